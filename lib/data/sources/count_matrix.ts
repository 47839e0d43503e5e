import type { RowSpan } from "./parts.js";

/** Rows of a matrix of counts as they lie in the file: not sorted, not checked, zeros possible. */
export interface RawRows {
  /** Bounds of each row, [rows + 1]. */
  readonly offsets: Int32Array;
  readonly columns: Int32Array;
  readonly values: Float32Array;
  /** Whether genes ascend strictly within rows and counts are whole, finite and above 0: nothing is left to check. */
  readonly checked?: boolean;
  /** Whether nobody else has the memory of `columns` and `values`: see `CellBlock`. */
  readonly owned?: boolean;
}

/**
 * Gathers the rows asked for (any order, repeats allowed) into runs of neighbours, ascending. Rows at most `gap`
 * apart join a run: reading past a few unwanted rows costs less than another call. A run is at most `limit` rows.
 *
 * @param joins whether a row is to join the run that ends before row `end`, however far it is from there
 */
export function rowRuns(
  rows: Int32Array,
  gap: number,
  limit: number,
  joins: (end: number, row: number) => boolean = () => false,
): RowSpan[] {
  const sorted = Int32Array.from(rows).sort();
  const runs: { first: number; end: number }[] = [];
  let last: { first: number; end: number } | undefined;
  // By index: an iterator takes twice as long until this is compiled, milliseconds for all rows of a file.
  for (let i = 0; i < sorted.length; i++) {
    const row = sorted[i] ?? 0;
    const near = last !== undefined && (row - last.end <= gap || joins(last.end, row));
    if (last !== undefined && near && row + 1 - last.first <= limit) {
      if (row >= last.end) last.end = row + 1;
    } else {
      last = { first: row, end: row + 1 };
      runs.push(last);
    }
  }
  return runs;
}

/** How many entries each of these rows has, by the bounds of all of them. */
export function lengthsOfRows(bounds: ArrayLike<number>, rows: Int32Array): Int32Array {
  return rows.map((row) => (bounds[row + 1] ?? 0) - (bounds[row] ?? 0));
}

/** Positions in `rows` sorted by row number, so that runs can be served in file order. */
export function positionsByRow(rows: Int32Array): Uint32Array {
  const positions = new Uint32Array(rows.length);
  for (let i = 0; i < positions.length; i++) positions[i] = i;
  // Nearly always they ascend already.
  let isSorted = true;
  for (let i = 1; i < rows.length && isSorted; i++) isSorted = (rows[i - 1] ?? 0) <= (rows[i] ?? 0);
  return isSorted ? positions : positions.sort((a, b) => (rows[a] ?? 0) - (rows[b] ?? 0));
}
