import { rounded } from "./statistics.js";

/** Cells filled in by one sampler; every array is [cells]. */
export interface FilledCells {
  /** Cross-entropy of the filled-in tokens, nats. */
  readonly crossEntropy: Float64Array;
  /** How surprising the draws were: zero on average, see drawn_surprise.ts. */
  readonly surprise: Float64Array;
  /** Tokens that were filled in. */
  readonly tokens: Float64Array;
}

/** Cross-entropy beside that of a reference. */
export interface Quality {
  /** Nats a filled-in token. */
  readonly crossEntropy: number;
  /** By how much it is above the reference's, percent, and the standard error of that. */
  readonly difference: number;
  readonly standardError: number;
}

/**
 * Compares what two samplers filled in in the same cells. Each cross-entropy is freed of the part that went with lucky or
 * unlucky draws (a control variate: surprise times the factor that regression over the cells gives), then they are
 * compared cell by cell.
 */
export function compareQuality(sampled: FilledCells, reference: FilledCells): Quality {
  const own = withoutLuck(sampled);
  const other = withoutLuck(reference);
  const tokens = sum(sampled.tokens);
  const base = sum(other) / tokens;
  const difference = (sum(own) - sum(other)) / tokens;
  let squares = 0;
  for (const [cell, value] of own.entries()) {
    const expected = difference * (sampled.tokens[cell] as number);
    squares += (value - (other[cell] as number) - expected) ** 2;
  }
  return {
    crossEntropy: sum(own) / tokens,
    difference: (100 * difference) / base,
    standardError: (100 * Math.sqrt(squares)) / tokens / base,
  };
}

function withoutLuck({ crossEntropy, surprise, tokens }: FilledCells): Float64Array {
  const mean = sum(crossEntropy) / sum(tokens);
  let products = 0;
  let squares = 0;
  for (const [cell, luck] of surprise.entries()) {
    products += luck * ((crossEntropy[cell] as number) - mean * (tokens[cell] as number));
    squares += luck ** 2;
  }
  const factor = squares === 0 ? 0 : products / squares;
  return crossEntropy.map((nats, cell) => nats - factor * (surprise[cell] as number));
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}

/** One sampler's line. */
export interface QualityRow extends Quality {
  /** Share of the ranks that was filled in. */
  readonly masked: number;
  readonly sampler: string;
  /** Runs of the network a cell, on average. */
  readonly evaluations: number;
  /** For the timed cells. */
  readonly seconds: number;
  /** Time of the published loop over this. */
  readonly faster: number;
}

/** One line for people. */
export function qualityInWords(row: QualityRow): string {
  return (
    `${percent(row.masked)} masked, ${row.sampler}: ${row.evaluations.toFixed(1)} runs of the network a cell, ` +
    `${row.seconds.toFixed(2)} s, ${row.faster.toFixed(1)} times as fast as the published loop; ` +
    `${row.crossEntropy.toFixed(4)} nats a token, ${signed(row.difference)}% +- ${row.standardError.toFixed(2)}%`
  );
}

/** The rows as a table of Markdown. */
export function qualityTable(rows: readonly QualityRow[]): string {
  return [
    "| masked | sampler | network runs a cell | seconds | published loop / this | cross-entropy | beside ancestral:128 |",
    "|---|---|---|---|---|---|---|",
    ...rows.map(
      (row) =>
        `| ${percent(row.masked)} | ${row.sampler} | ${rounded(row.evaluations, 1)} | ${rounded(row.seconds, 2)} | ` +
        `${row.faster.toFixed(1)} | ${row.crossEntropy.toFixed(3)} | ` +
        `${signed(row.difference)}% ± ${row.standardError.toFixed(2)}% |`,
    ),
  ].join("\n");
}

function percent(share: number): string {
  return `${rounded(100 * share, 1)}%`;
}

function signed(value: number): string {
  return `${value < 0 ? "" : "+"}${value.toFixed(2)}`;
}
