/** What the tokenizer left out, so that nothing is lost in silence. Plain data: may be posted and saved. */
export interface TokenizerReport {
  /** Cells that became tokens. */
  cells: number;
  /** Their tokens, cls included. */
  tokens: number;
  /** Cells skipped because no gene is expressed. */
  emptyCells: number;
  /** Cells skipped because none of their expressed genes is in the vocabulary. */
  unknownOnlyCells: number;
  /** Cells skipped because fewer than `minGenes` of their expressed genes are in the vocabulary. */
  smallCells: number;
  /** Rows of the first skipped cells of any kind. */
  skippedRows: number[];
  /** Cells with more genes than fit in `maxLength`. */
  shortenedCells: number;
  /** Expressed genes left out of those cells by sampling or truncation. */
  leftOutGenes: number;
  /** Counts dropped because the gene has no id in the vocabulary (unknown, ambiguous or a duplicate). */
  unknownCounts: number;
  /** Identifiers of the first such genes. */
  unknownGenes: string[];
}

/** How many examples a report keeps of each kind. */
export const REPORT_EXAMPLES = 5;

/** A report of nothing. */
export function emptyReport(): TokenizerReport {
  return {
    cells: 0,
    tokens: 0,
    emptyCells: 0,
    unknownOnlyCells: 0,
    smallCells: 0,
    skippedRows: [],
    shortenedCells: 0,
    leftOutGenes: 0,
    unknownCounts: 0,
    unknownGenes: [],
  };
}

/** Adds `from` to `into`. */
export function addReport(into: TokenizerReport, from: TokenizerReport): void {
  into.cells += from.cells;
  into.tokens += from.tokens;
  into.emptyCells += from.emptyCells;
  into.unknownOnlyCells += from.unknownOnlyCells;
  into.smallCells += from.smallCells;
  into.shortenedCells += from.shortenedCells;
  into.leftOutGenes += from.leftOutGenes;
  into.unknownCounts += from.unknownCounts;
  for (const row of from.skippedRows) addExample(into.skippedRows, row);
  for (const gene of from.unknownGenes) addExample(into.unknownGenes, gene);
}

/** Keeps an example unless it is known or there are enough. */
export function addExample<T>(examples: T[], example: T): void {
  if (examples.length < REPORT_EXAMPLES && !examples.includes(example)) examples.push(example);
}

/** The report in lines for a reader; none where nothing was left out. `minGenes` as the tokenizer had it. */
export function describeReport(report: TokenizerReport, minGenes: number): string[] {
  const lines: string[] = [];
  const skipped = report.emptyCells + report.unknownOnlyCells + report.smallCells;
  if (skipped > 0) {
    const reasons = [
      [report.emptyCells, "without an expressed gene"],
      [report.unknownOnlyCells, "without an expressed gene of the vocabulary"],
      [report.smallCells, `with fewer than ${minGenes} expressed genes of the vocabulary`],
    ] as const;
    const parts = reasons.filter(([count]) => count > 0).map(([count, reason]) => `${count} ${reason}`);
    lines.push(
      `skipped ${plural(skipped, "cell")}: ${parts.join(", ")} (rows ${list(report.skippedRows, skipped)})`,
    );
  }
  if (report.unknownCounts > 0) {
    lines.push(
      `dropped ${plural(report.unknownCounts, "count")} of genes that are not in the vocabulary, such as ${report.unknownGenes.join(", ")}`,
    );
  }
  if (report.shortenedCells > 0) {
    lines.push(
      `shortened ${plural(report.shortenedCells, "cell")} by ${plural(report.leftOutGenes, "gene")} in all`,
    );
  }
  return lines;
}

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

function list(examples: readonly number[], total: number): string {
  return examples.join(", ") + (total > examples.length ? ", ..." : "");
}
