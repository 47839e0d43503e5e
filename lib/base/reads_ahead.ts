/** Reads that are under way while what an earlier one gave is worked on: one decodes while another waits for the disk. */
const READS_AHEAD = 2;

/** What `begin` gives for each item, in order; those of the next two items are begun before one is given out. */
export async function* readsAhead<T, R>(
  items: Iterable<T>,
  begin: (item: T) => Promise<R>,
): AsyncGenerator<R, void, undefined> {
  const underWay: Promise<R>[] = [];
  try {
    for (const item of items) {
      const read = begin(item);
      read.catch(() => undefined); // thrown in its turn
      underWay.push(read);
      if (underWay.length > READS_AHEAD) yield await (underWay.shift() as Promise<R>);
    }
    for (const read of underWay.splice(0)) yield await read;
  } finally {
    // Whoever leaves early may close what is read from.
    await Promise.allSettled(underWay);
  }
}
