import { constants } from "node:os";

/**
 * Signals that ask a program to end: Ctrl-C, a polite kill, the end of the terminal or the connection, and the warning of a batch
 * system (`sbatch --signal=USR1@120`) that the time is nearly up.
 */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"] as const;
type InterruptSignal = (typeof SIGNALS)[number];

/** What a shell adds to the number of a signal that ended a program. */
const BY_SIGNAL = 128;

/** The reason of an abort by a signal. */
export class Interrupted extends Error {
  /** As a shell reports it: 130 for Ctrl-C, 143 for a polite kill, 129 for a terminal that was closed, 138 for SIGUSR1. */
  readonly exitCode: number;

  constructor(name: InterruptSignal) {
    super(`interrupted by ${name}`);
    this.exitCode = BY_SIGNAL + constants.signals[name];
  }

  /** The signal that such an exit code tells of: another rank's, which ends this one, too. */
  static byExitCode(code: number): Interrupted {
    return new Interrupted(SIGNALS.find((name) => BY_SIGNAL + constants.signals[name] === code) ?? "SIGTERM");
  }
}

/**
 * Listens for Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 until disposed: the first aborts `signal` so that work can be put away, the second
 * ends the process at once, but for SIGUSR1.
 */
export class InterruptListener implements Disposable {
  readonly #controller = new AbortController();
  readonly #onFirst: () => void;
  readonly #listener = (name: InterruptSignal): void => {
    const reason = new Interrupted(name);
    // A warning is no insistence: launchers repeat it.
    if (this.#controller.signal.aborted && name === "SIGUSR1") return;
    if (this.#controller.signal.aborted) process.exit(reason.exitCode);
    this.#onFirst();
    this.#controller.abort(reason);
  };

  /** @param onFirst tells the user that the first one was heard */
  constructor(onFirst: () => void) {
    this.#onFirst = onFirst;
    for (const name of SIGNALS) process.on(name, this.#listener);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    for (const name of SIGNALS) process.off(name, this.#listener);
  }
}
