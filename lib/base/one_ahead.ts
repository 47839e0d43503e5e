/** What `begin` gives for each item, in order; that of the next item is begun before one is given out. */
export async function* oneAhead<T, R>(
  items: Iterable<T>,
  begin: (item: T) => Promise<R>,
): AsyncGenerator<R, void, undefined> {
  let ahead: Promise<R> | undefined;
  try {
    for (const item of items) {
      const current = ahead;
      ahead = begin(item);
      ahead.catch(() => undefined); // thrown in its turn
      if (current !== undefined) yield await current;
    }
    if (ahead !== undefined) yield await ahead;
  } finally {
    // Whoever leaves early may close what is read from.
    await Promise.allSettled([ahead]);
  }
}
