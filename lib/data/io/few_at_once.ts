/** Pieces of work that run at the same time. */
const AT_ONCE = 16;

/** The results of `work` on each item, in the order of the items, a few at the same time. Rejects as
 * the first that fails, but only when none is under way any more (p-map rejects while others go on, which leaves files open). */
export async function mapFewAtOnce<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const errors: unknown[] = [];
  const left = items.entries();
  const worker = async (): Promise<void> => {
    // All workers take from one iterator, and stop where one has failed.
    for (const [i, item] of left) {
      try {
        results[i] = await work(item);
      } catch (error) {
        errors.push(error);
      }
      if (errors.length > 0) return;
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker));
  if (errors.length > 0) throw errors[0];
  return results;
}

/** Opens several things, a few at the same time; where one fails, those that are open are closed again. */
export async function openFewAtOnce<T, R extends Disposable>(
  items: readonly T[],
  open: (item: T) => Promise<R>,
): Promise<R[]> {
  const opened: R[] = [];
  try {
    return await mapFewAtOnce(items, async (item) => {
      const one = await open(item);
      opened.push(one);
      return one;
    });
  } catch (error) {
    for (const one of opened) one[Symbol.dispose]();
    throw error;
  }
}
