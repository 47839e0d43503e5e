import { isUrl } from "./content.js";

/** Pieces of work that run at the same time. */
const AT_ONCE = 16;
/** The same where each waits for a network most of the time. */
const REMOTE_AT_ONCE = 64;

/** How many of these are opened at the same time. */
export function atOnceOf(paths: readonly string[]): number {
  return paths.some(isUrl) ? REMOTE_AT_ONCE : AT_ONCE;
}

/** The results of `work` on each item, in the order of the items, a few at the same time. Rejects as the first item in order
 * that fails, but only when none is under way any more (p-map rejects while others go on, which leaves files open). */
export async function mapFewAtOnce<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
  atOnce = AT_ONCE,
): Promise<R[]> {
  const results: R[] = [];
  let failed: { readonly at: number; readonly error: unknown } | undefined;
  const left = items.entries();
  const worker = async (): Promise<void> => {
    // All workers take from one iterator, and stop where one has failed.
    for (const [i, item] of left) {
      try {
        results[i] = await work(item);
      } catch (error) {
        if (failed === undefined || i < failed.at) failed = { at: i, error };
      }
      if (failed !== undefined) return;
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  // Those before it were begun earlier: none of them has failed.
  if (failed !== undefined) throw failed.error;
  return results;
}

/** Opens several things, a few at the same time; where one fails, those that are open are closed again. */
export async function openFewAtOnce<T, R extends Disposable>(
  items: readonly T[],
  open: (item: T) => Promise<R>,
  atOnce = AT_ONCE,
): Promise<R[]> {
  const opened: R[] = [];
  const openOne = async (item: T): Promise<R> => {
    const one = await open(item);
    opened.push(one);
    return one;
  };
  try {
    return await mapFewAtOnce(items, openOne, atOnce);
  } catch (error) {
    for (const one of opened) one[Symbol.dispose]();
    throw error;
  }
}
