import { constants } from "node:os";

/** Signals that ask a program to end: Ctrl-C, a polite kill, and the end of the terminal or the connection. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
type InterruptSignal = (typeof SIGNALS)[number];

/** The reason of an abort by a signal. */
export class Interrupted extends Error {
  /** As a shell reports it: 130 for Ctrl-C, 143 for a polite kill, 129 for a terminal that was closed. */
  readonly exitCode: number;

  constructor(name: InterruptSignal) {
    super(`interrupted by ${name}`);
    this.exitCode = 128 + constants.signals[name];
  }
}

/**
 * Listens for Ctrl-C, SIGTERM and SIGHUP until disposed: the first aborts `signal` so that work can be put away, the second
 * ends the process at once.
 */
export class InterruptListener implements Disposable {
  readonly #controller = new AbortController();
  readonly #onFirst: () => void;
  readonly #listener = (name: InterruptSignal): void => {
    const reason = new Interrupted(name);
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
