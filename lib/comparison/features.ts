import { lowerBound } from "../base/search.js";
import { isTurnOver, takeTurn } from "../base/turns.js";
import { type CellRows, rowCount, transpose } from "./cell_rows.js";

/** Features of cells for a classifier, sparse: log1p of each gene's count, and as the last one log1p of the total. */
export interface Features {
  /** Number of features. */
  readonly width: number;
  /** Bounds of each cell in `columns` and `values`, [cells + 1]. */
  readonly offsets: Int32Array;
  /** Features that are not 0, ascending within a cell. */
  readonly columns: Int32Array;
  readonly values: Float32Array;
}

/** Features in at most 256 bins, for a random forest. */
export interface BinnedFeatures {
  readonly cells: number;
  /** Number of features; those with one value alone are left out. */
  readonly width: number;
  /** Bin of each value, [features, cells]. */
  readonly bins: Uint8Array;
}

const MOST_BINS = 256;

/** The features of some cells, then those of others. */
export function featuresOf(...sets: readonly CellRows[]): Features {
  const cells = sets.reduce((sum, rows) => sum + rowCount(rows), 0);
  const entries = sets.reduce((sum, rows) => sum + rows.columns.length, 0);
  const genes = sets[0]?.genes ?? 0;
  const offsets = new Int32Array(cells + 1);
  const columns = new Int32Array(entries + cells);
  const values = new Float32Array(entries + cells);
  let cell = 0;
  let length = 0;
  for (const rows of sets) {
    for (const [i, total] of rows.totals.entries()) {
      const [start, end] = [rows.offsets[i] as number, rows.offsets[i + 1] as number];
      columns.set(rows.columns.subarray(start, end), length);
      values.set(rows.logs.subarray(start, end), length);
      length += end - start;
      if (total > 0) {
        columns[length] = genes;
        values[length++] = Math.log1p(total);
      }
      offsets[++cell] = length;
    }
  }
  return {
    width: genes + 1,
    offsets,
    columns: columns.subarray(0, length),
    values: values.subarray(0, length),
  };
}

/**
 * Bins of features >= 0: one for each different value where there are at most 256, otherwise between 256 quantiles. A tree splits
 * by order alone, so the former loses nothing.
 */
export async function binFeatures(
  { width, offsets, columns, values }: Features,
  signal: AbortSignal | undefined,
): Promise<BinnedFeatures> {
  const cells = offsets.length - 1;
  const { offsets: starts, columns: rows, values: sorted } = transpose({ offsets, columns, values }, width);
  const kept: Uint8Array[] = [];
  for (let column = 0; column < width; column++) {
    const [start, end] = [starts[column] as number, starts[column + 1] as number];
    const own = sorted.subarray(start, end);
    const edges = binEdges(own, cells);
    if (isTurnOver()) await takeTurn(signal);
    if (edges.length === 0) continue;
    const bins = new Uint8Array(cells);
    for (const [i, value] of own.entries()) bins[rows[start + i] as number] = lowerBound(edges, value);
    kept.push(bins);
  }
  const bins = new Uint8Array(kept.length * cells);
  for (const [feature, of] of kept.entries()) bins.set(of, feature * cells);
  return { cells, width: kept.length, bins };
}

/** Largest value of each bin but the last; `values` are those that are not 0. */
function binEdges(values: Float32Array, cells: number): Float32Array {
  const sorted = values.slice().sort();
  const zeros = cells - sorted.length;
  const distinct: number[] = zeros > 0 ? [0] : [];
  for (const value of sorted) if (value !== distinct.at(-1)) distinct.push(value);
  if (distinct.length <= MOST_BINS) return Float32Array.from(distinct.slice(0, -1));
  const edges = new Set<number>();
  for (let bin = 1; bin < MOST_BINS; bin++) {
    const place = Math.ceil((bin * cells) / MOST_BINS) - 1;
    edges.add(place < zeros ? 0 : (sorted[place - zeros] as number));
  }
  edges.delete(sorted.at(-1) as number);
  return Float32Array.from(edges);
}
