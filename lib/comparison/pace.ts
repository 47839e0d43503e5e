import { setImmediate } from "node:timers/promises";

/** Milliseconds of work between two looks at the event loop. */
const INTERVAL = 15;

/** Lets the event loop run now and then within long work: `if (pace.isDue) await pace.rest()`. */
export class Pace {
  readonly #signal: AbortSignal | undefined;
  #since = performance.now();

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** Whether work has gone on for long enough. */
  get isDue(): boolean {
    return performance.now() - this.#since > INTERVAL;
  }

  /** Lets others run. Throws the signal's reason once it is aborted. */
  async rest(): Promise<void> {
    await setImmediate();
    this.#signal?.throwIfAborted();
    this.#since = performance.now();
  }
}
