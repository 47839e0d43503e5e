import { setImmediate } from "node:timers";

/** Milliseconds that a loop works for before others have their turn. */
const TURN_MS = 8;

const waiting: (() => void)[] = [];

/** One loop alone goes on in a round of the event loop, however many wait for it. */
function wakeOne(): void {
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(wakeOne);
}

/**
 * Lets a long loop leave the event loop to others every few milliseconds, and end when it is aborted:
 *
 *     const turns = new Turns(signal);
 *     for (...) {
 *       if (turns.isOver) await turns.next();
 *       ...
 *     }
 */
export class Turns {
  readonly #signal: AbortSignal | undefined;
  #began = performance.now();

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** Whether the loop has worked long enough. Takes some 50 ns: ask once in some microseconds of work. */
  get isOver(): boolean {
    return performance.now() - this.#began >= TURN_MS;
  }

  /** Resolves when it is the loop's turn again; rejects with the signal's reason when aborted. */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
      if (waiting.length === 1) setImmediate(wakeOne);
    });
    this.#signal?.throwIfAborted();
    this.#began = performance.now();
  }
}
