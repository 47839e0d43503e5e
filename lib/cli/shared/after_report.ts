/** What waits for the error that ends the program to be printed. */
const waiting: (() => void)[] = [];

/**
 * Does this once the error that ends the program has been printed. Other ranks, told of it, end, and a launcher that sees one end may kill this
 * process before it has said why.
 */
export function afterReport(work: () => void): void {
  waiting.push(work);
}

/** Does what waits: the error has been printed. */
export function doAfterReport(): void {
  for (const work of waiting.splice(0)) work();
}
