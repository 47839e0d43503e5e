import { setImmediate } from "node:timers";

/** Milliseconds that the package works for before the rest of the program has its turn. */
const TURN_MS = 8;

const waiting: (() => void)[] = [];
/** When the turn under way began, as `performance.now()` counts. */
let began = 0;

/** One waiter alone goes on in a round of the event loop, however many there are. Called in a round's last phase, after its timers and files. */
function wakeOne(): void {
  began = performance.now();
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(wakeOne);
}

/** Whether the package has worked for long enough. Takes some 50 ns: ask once in some microseconds. */
export function isTurnOver(): boolean {
  return performance.now() - began >= TURN_MS;
}

/**
 * Lets the rest of the program have its turn if it is time to: what takes a while calls it between pieces of about a millisecond.
 * All of the package shares one turn: pieces that follow each other without it, in whatever call, count together.
 *
 *     for (...) {
 *       if (isTurnOver()) await takeTurn(signal);
 *       ...
 *     }
 *
 * Rejects with the signal's reason when aborted.
 */
export async function takeTurn(signal?: AbortSignal): Promise<void> {
  if (isTurnOver()) {
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
      // Twice: from a file's callback the first follows at once, before any timer.
      if (waiting.length === 1) setImmediate(() => setImmediate(wakeOne));
    });
  }
  signal?.throwIfAborted();
}
