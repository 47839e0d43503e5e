import { type Column, columnLength, columnText } from "./frame.js";
import { framesOf } from "./frames.js";
import { rowRange } from "./parts.js";
import type { CellSource } from "./source.js";

/** Minimum, quartiles, maximum and mean of a quantity. */
export interface Quantiles {
  readonly min: number;
  readonly q25: number;
  readonly median: number;
  readonly q75: number;
  readonly max: number;
  readonly mean: number;
}

/** A value of a metadata column and how many cells have it. */
export interface ValueCount {
  readonly value: string;
  readonly cells: number;
}

/** A metadata column: its most frequent values, or the range of its numbers. */
export interface ColumnSummary {
  readonly name: string;
  readonly kind: "categories" | "strings" | "booleans" | "numbers";
  /** Cells without a value. */
  readonly missing: number;
  /** Number of different values; absent for numbers. */
  readonly distinct?: number;
  /** Most frequent values, at most 5; absent for numbers. */
  readonly top?: readonly ValueCount[];
  /** Present for numbers, unless all are missing. */
  readonly range?: { readonly min: number; readonly max: number };
}

/** What is in a source, as plain data for `inspect --json`. */
export interface SourceSummary {
  readonly name: string;
  readonly cells: number;
  readonly genes: number;
  /** Stored counts above 0. */
  readonly counts: number;
  /** Share of the matrix that is above 0, in [0, 1]. */
  readonly density: number;
  /** Expressed genes a cell. */
  readonly genesPerCell: Quantiles;
  /** Cells by number of expressed genes: bins of equal width; `from` is inclusive, `to` exclusive but for the last. */
  readonly genesPerCellHistogram: readonly {
    readonly from: number;
    readonly to: number;
    readonly cells: number;
  }[];
  /** Total counts a cell. */
  readonly countsPerCell: Quantiles;
  /** Share of the counts above 0 that are 1, 2, 3-5, 6-10, 11-100 and more; fractions count as the next whole number. */
  readonly countValues: readonly { readonly upTo: number | null; readonly share: number }[];
  /** True if every count is a whole number. */
  readonly wholeNumbers: boolean;
  /** Cells without any expressed gene: they are skipped in training. */
  readonly emptyCells: number;
  /** Genes not expressed in any cell. */
  readonly silentGenes: number;
  readonly columns: readonly ColumnSummary[];
  readonly notes: readonly string[];
}

const BLOCK_CELLS = 1024;
const BINS = 10;
const TOP = 5;
const COUNT_LIMITS = [1, 2, 5, 10, 100, Number.POSITIVE_INFINITY] as const;

/**
 * Reads a source once, block by block, and summarises it. Memory: two numbers a cell, one a gene and one block.
 * Throws what reading throws (`DATA_NEGATIVE_COUNT`, ...).
 */
export async function summarise(source: CellSource): Promise<SourceSummary> {
  const { cellCount } = source;
  const expressed = new Float64Array(cellCount);
  const totals = new Float64Array(cellCount);
  const seen = new Uint8Array(source.genes.length);
  const values = new Float64Array(COUNT_LIMITS.length);
  let wholeNumbers = true;
  for (let start = 0; start < cellCount; start += BLOCK_CELLS) {
    const rows = rowRange(start, Math.min(start + BLOCK_CELLS, cellCount));
    const block = await source.read(rows);
    for (const gene of block.genes) seen[gene] = 1;
    for (const [i, row] of rows.entries()) {
      const counts = block.counts.subarray(block.offsets[i], block.offsets[i + 1]);
      expressed[row] = counts.length;
      for (const count of counts) {
        totals[row] = (totals[row] ?? 0) + count;
        wholeNumbers &&= Number.isInteger(count);
        const bin = COUNT_LIMITS.findIndex((limit) => count <= limit);
        values[bin] = (values[bin] ?? 0) + 1;
      }
    }
  }
  const counts = expressed.reduce((sum, length) => sum + length, 0);
  const entries = cellCount * source.genes.length;
  return {
    name: source.name,
    cells: cellCount,
    genes: source.genes.length,
    counts,
    density: entries === 0 ? 0 : counts / entries,
    genesPerCell: quantiles(expressed),
    genesPerCellHistogram: histogram(expressed),
    countsPerCell: quantiles(totals),
    countValues: COUNT_LIMITS.map((limit, bin) => ({
      upTo: Number.isFinite(limit) ? limit : null,
      share: counts === 0 ? 0 : (values[bin] ?? 0) / counts,
    })),
    wholeNumbers,
    emptyCells: expressed.reduce((sum, length) => sum + Number(length === 0), 0),
    silentGenes: seen.reduce((sum, flag) => sum + Number(flag === 0), 0),
    columns: [...(await framesOf(source)).obs.columns].map(([name, column]) => summariseColumn(name, column)),
    notes: [...source.notes],
  };
}

/** Quantiles by linear interpolation between order statistics, as NumPy's default. */
function quantiles(values: Float64Array): Quantiles {
  const sorted = values.slice().sort();
  const at = (share: number): number => {
    const position = share * Math.max(0, sorted.length - 1);
    const low = sorted[Math.floor(position)] ?? 0;
    const high = sorted[Math.ceil(position)] ?? 0;
    return low + (high - low) * (position - Math.floor(position));
  };
  const sum = sorted.reduce((total, value) => total + value, 0);
  const mean = sorted.length === 0 ? 0 : sum / sorted.length;
  return { min: at(0), q25: at(0.25), median: at(0.5), q75: at(0.75), max: at(1), mean };
}

function histogram(values: Float64Array): { from: number; to: number; cells: number }[] {
  const highest = values.reduce((most, value) => Math.max(most, value), 0);
  const width = Math.max(1, Math.ceil((highest + 1) / BINS));
  const bins = Array.from({ length: Math.ceil((highest + 1) / width) }, (_, bin) => ({
    from: bin * width,
    to: (bin + 1) * width,
    cells: 0,
  }));
  for (const value of values) {
    const bin = bins[Math.floor(value / width)];
    if (bin !== undefined) bin.cells++;
  }
  return bins;
}

function summariseColumn(name: string, column: Column): ColumnSummary {
  const length = columnLength(column);
  if (column.kind === "numbers") {
    let missing = 0;
    let min = Number.POSITIVE_INFINITY;
    let max = Number.NEGATIVE_INFINITY;
    for (let row = 0; row < length; row++) {
      const value = Number(column.values[row]);
      if (column.missing?.[row] === 1 || Number.isNaN(value)) {
        missing++;
        continue;
      }
      min = Math.min(min, value);
      max = Math.max(max, value);
    }
    return { name, kind: column.kind, missing, ...(missing === length ? {} : { range: { min, max } }) };
  }
  const counts = new Map<string, number>();
  let missing = 0;
  for (let row = 0; row < length; row++) {
    const value = columnText(column, row);
    if (value === undefined) missing++;
    else counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const top = [...counts]
    .sort(([a, cellsA], [b, cellsB]) => cellsB - cellsA || (a < b ? -1 : 1))
    .slice(0, TOP)
    .map(([value, cells]) => ({ value, cells }));
  return { name, kind: column.kind, missing, distinct: counts.size, top };
}
