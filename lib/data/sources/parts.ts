/** Rows of a part of a source that has no structure of its own. */
const PART_CELLS = 256;

/** Bounds of parts of so many rows each, the last maybe shorter, [parts + 1]: see `CellSource.partBounds`. */
export function fixedParts(cellCount: number, cells = PART_CELLS): Float64Array {
  return Float64Array.from({ length: Math.ceil(cellCount / cells) + 1 }, (_, part) =>
    Math.min(part * cells, cellCount),
  );
}

/** Some rows of one of a file's row groups or record batches. */
export interface GroupRows {
  readonly group: number;
  /** First row, from 0 in the group. */
  readonly first: number;
  readonly count: number;
}

/** Rows of a file in parts that are read at once. */
export interface GroupParts {
  /** Bounds of parts in rows of the file, [parts + 1]. */
  readonly bounds: Float64Array;
  /** The same rows in numbers of their group, [parts]. */
  readonly groups: readonly GroupRows[];
}

/** Groups with more values or rows than these are read in several parts. */
const GROUP_VALUES = 2 ** 23;
const PART_VALUES = 2 ** 22;
const PART_ROWS = 2 ** 16;

/** Parts of a file: its groups, large ones cut up. `values` are those of a group that are decoded together. */
export function partsOfGroups(
  sizes: readonly { readonly rows: number; readonly values: number }[],
): GroupParts {
  const bounds = [0];
  const groups: GroupRows[] = [];
  for (const [group, { rows, values }] of sizes.entries()) {
    const byValues = values > GROUP_VALUES ? Math.ceil(values / PART_VALUES) : 1;
    const count = Math.min(rows, Math.max(byValues, Math.ceil(rows / PART_ROWS)));
    for (let part = 0; part < count; part++) {
      const first = Math.floor((rows * part) / count);
      const end = Math.floor((rows * (part + 1)) / count);
      groups.push({ group, first, count: end - first });
      bounds.push((bounds.at(-1) ?? 0) + end - first);
    }
  }
  return { bounds: Float64Array.from(bounds), groups };
}

/** Row numbers first .. end - 1. */
export function rowRange(first: number, end: number): Int32Array {
  const rows = new Int32Array(Math.max(0, end - first));
  for (let i = 0; i < rows.length; i++) rows[i] = first + i;
  return rows;
}

/** Rows from all over a source, ascending: `runs` runs of `runRows` neighbours, evenly spread; all rows where those are no more. */
export function spreadRows(cellCount: number, runs: number, runRows: number): Int32Array {
  if (cellCount <= runs * runRows) return rowRange(0, cellCount);
  return Int32Array.from({ length: runs * runRows }, (_, i) => {
    const run = Math.floor(i / runRows);
    return Math.floor((run * (cellCount - runRows)) / (runs - 1)) + (i % runRows);
  });
}

/** The bounds of parts that hold some of these ascending rows, in numbers of those rows: the parts of a subset. */
export function partsOfRows(bounds: Float64Array, rows: Int32Array): Float64Array {
  const own = [0];
  let part = 0;
  for (const [place, row] of rows.entries()) {
    const before = part;
    while (row >= (bounds[part + 1] ?? Number.POSITIVE_INFINITY)) part++;
    if (part !== before && place > 0) own.push(place);
  }
  if (rows.length > 0) own.push(rows.length);
  return Float64Array.from(own);
}

/** Consecutive rows, `first` to `end` - 1. */
export interface RowSpan {
  readonly first: number;
  readonly end: number;
}

/** All rows in order, in spans of whole parts with at most `cells` rows; a longer part in several spans. */
export function* rowSpans(bounds: Float64Array, cells = 8192): Generator<RowSpan, void, undefined> {
  let first = 0;
  for (let part = 1; part < bounds.length; part++) {
    const end = bounds[part] ?? 0;
    const after = bounds[part + 1];
    // Goes on while the next part still fits.
    if (after !== undefined && after - first <= cells) continue;
    for (; first < end; first = Math.min(first + cells, end))
      yield { first, end: Math.min(first + cells, end) };
  }
}

/** Lists of rows end to end. */
export function joinRows(lists: readonly Int32Array[]): Int32Array {
  const rows = new Int32Array(lists.reduce((count, list) => count + list.length, 0));
  let place = 0;
  for (const list of lists) {
    rows.set(list, place);
    place += list.length;
  }
  return rows;
}
