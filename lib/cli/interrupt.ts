import { constants } from "node:os";

/** The reason of an abort by a signal. */
export class Interrupted extends Error {
  /** As a shell reports it: 130 for Ctrl-C, 143 for a polite kill. */
  readonly exitCode: number;

  constructor(name: "SIGINT" | "SIGTERM") {
    super(`interrupted by ${name}`);
    this.exitCode = 128 + constants.signals[name];
  }
}

/**
 * Listens for Ctrl-C and SIGTERM until disposed: the first aborts `signal` so that work can be put away, the second
 * ends the process at once.
 */
export class InterruptListener implements Disposable {
  readonly #controller = new AbortController();
  readonly #onFirst: () => void;
  readonly #listener = (name: "SIGINT" | "SIGTERM"): void => {
    const reason = new Interrupted(name);
    if (this.#controller.signal.aborted) process.exit(reason.exitCode);
    this.#onFirst();
    this.#controller.abort(reason);
  };

  /** @param onFirst tells the user that the first one was heard */
  constructor(onFirst: () => void) {
    this.#onFirst = onFirst;
    process.on("SIGINT", this.#listener);
    process.on("SIGTERM", this.#listener);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    process.off("SIGINT", this.#listener);
    process.off("SIGTERM", this.#listener);
  }
}
