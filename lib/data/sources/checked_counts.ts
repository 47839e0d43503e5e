import { DdscError } from "../../base/errors.js";
import { isTurnOver, takeTurn } from "../../base/turns.js";
import type { CellBlock } from "./cells.js";
import type { RawRows } from "./count_matrix.js";
import type { CellSource } from "./source.js";

/** What `checkedBlock` needs to know of a source to say where a bad count is. */
export type CountPlace = Pick<CellSource, "name" | "genes" | "cellIds"> & {
  /** What to do about counts that are no counts, e.g. "Pass --layer counts"; "" if nothing. */
  readonly remedy: string;
};

/** A stored count that is worth a word. */
interface Entry {
  readonly row: number;
  readonly column: number;
  readonly value: number;
}

/** Cells with a gene stored twice that are counted one by one. */
const MOST_REPEATED = 1000;

/** Things worth telling the user that do not stop the reading; kept once each. */
export class CountFindings {
  #fraction: string | undefined;
  readonly #repeatedRows = new Set<number>();
  #firstRepeated: string | undefined;

  /** Notes in words; empty if nothing was found. */
  notes(remedy: string): string[] {
    const notes: string[] = [];
    if (this.#fraction !== undefined) {
      notes.push(
        `counts are not whole numbers, e.g. ${this.#fraction}: looks normalised or log-transformed; use raw ` +
          `counts to train and to impute${remedy === "" ? "" : `: ${remedy}`}`,
      );
    }
    const repeated = this.#repeatedRows.size;
    if (this.#firstRepeated !== undefined && repeated > 0) {
      const many = repeated === MOST_REPEATED ? `${repeated} cells or more` : `${repeated} cells`;
      notes.push(
        `a gene is stored more than once in ${repeated === 1 ? "one cell" : many}, e.g. ${this.#firstRepeated}: its counts were added`,
      );
    }
    return notes;
  }

  /** Takes in what a block held; names of cells are asked for only for the first of a kind. */
  async add(found: BlockFindings, place: CountPlace): Promise<void> {
    const { fraction, repeated, repeatedRows } = found;
    if (fraction !== undefined && this.#fraction === undefined) {
      this.#fraction = `${fraction.value.toPrecision(4)} in ${await placeText(place, fraction)}`;
    }
    for (const row of repeatedRows) if (this.#repeatedRows.size < MOST_REPEATED) this.#repeatedRows.add(row);
    if (repeated !== undefined) this.#firstRepeated ??= await placeText(place, repeated);
  }
}

/** What was noticed in one block. */
interface BlockFindings {
  /** The first count that is no whole number. */
  readonly fraction: Entry | undefined;
  /** The first gene stored twice in a cell. */
  readonly repeated: Entry | undefined;
  /** Cells in which that happened. */
  readonly repeatedRows: readonly number[];
}

async function placeText(place: CountPlace, { row, column }: Entry): Promise<string> {
  return `cell "${await nameOf(place, row)}" (row ${row}), gene "${place.genes[column]?.id ?? ""}"`;
}

async function nameOf(place: CountPlace, row: number): Promise<string> {
  return (await place.cellIds(Int32Array.of(row)))[0] ?? "";
}

async function badCount(place: CountPlace, entry: Entry): Promise<DdscError> {
  const { row, column, value } = entry;
  const remedy = place.remedy === "" ? "" : ` ${place.remedy}`;
  const where = `${place.name}: ${await placeText(place, entry)}: `;
  const found = {
    file: place.name,
    row,
    cell: await nameOf(place, row),
    gene: place.genes[column]?.id ?? "",
  };
  if (value < 0) {
    const text = `${where}${value}; counts must be >= 0; is this scaled or log-transformed data?${remedy}`;
    return new DdscError("DATA_NEGATIVE_COUNT", text, found);
  }
  const text = `${where}${value}; counts must be finite numbers; remove or fill missing values first.${remedy}`;
  return new DdscError("DATA_NOT_FINITE", text, found);
}

/**
 * Turns rows as they were stored into a `CellBlock`: every count checked (`DATA_NEGATIVE_COUNT`,
 * `DATA_NOT_FINITE`), genes ascending, explicit zeros dropped, a gene stored twice in a cell added up and
 * counted in `findings`. `rows` are the row numbers that `raw` holds, in its order. The arrays of `raw` are used up.
 */
export async function checkedBlock(
  raw: RawRows,
  rows: Int32Array,
  place: CountPlace,
  findings: CountFindings,
): Promise<CellBlock> {
  const owned = raw.owned === true ? { owned: true } : {};
  if (raw.checked === true) {
    const { offsets, columns, values } = raw;
    return { rows: Int32Array.from(rows), offsets, columns, counts: values, ...owned };
  }
  const { block, bad, ...found } = await checkRawRows(raw, rows);
  if (bad !== undefined) throw await badCount(place, bad);
  await findings.add(found, place);
  return { ...block, ...owned };
}

/** Rows between two looks at the clock. */
const ROWS_A_LOOK = 32;

async function checkRawRows(
  raw: RawRows,
  rows: Int32Array,
): Promise<BlockFindings & { readonly block: CellBlock; readonly bad: Entry | undefined }> {
  const state: CheckState = {
    offsets: new Int32Array(rows.length + 1),
    bad: undefined,
    fraction: undefined,
    repeated: undefined,
    repeatedRows: [],
    kept: 0,
  };
  for (let first = 0; first < rows.length && state.bad === undefined; first += ROWS_A_LOOK) {
    if (isTurnOver()) await takeTurn();
    checkSome(raw, rows, state, [first, Math.min(first + ROWS_A_LOOK, rows.length)]);
  }
  const { offsets, kept, bad, fraction, repeated, repeatedRows } = state;
  const { columns, values } = raw;
  const all = kept === columns.length;
  const block = {
    rows: Int32Array.from(rows),
    offsets,
    columns: all ? columns : columns.slice(0, kept),
    counts: all ? values : values.slice(0, kept),
  };
  return { block, bad, fraction, repeated, repeatedRows };
}

/** What has been found so far. */
interface CheckState {
  readonly offsets: Int32Array;
  readonly repeatedRows: number[];
  bad: Entry | undefined;
  fraction: Entry | undefined;
  repeated: Entry | undefined;
  /** Entries that are kept. */
  kept: number;
}

/** Checks the rows at places from `first` up to `end`; a loop of its own, as those of asynchronous functions are compiled less well. */
function checkSome(
  { offsets: bounds, columns, values }: RawRows,
  rows: Int32Array,
  state: CheckState,
  [first, end]: readonly [number, number],
): void {
  const { offsets, repeatedRows } = state;
  let { bad, fraction, repeated, kept } = state;
  for (let i = first; i < end && bad === undefined; i++) {
    const row = rows[i] ?? 0;
    const start = bounds[i] ?? 0;
    const stop = bounds[i + 1] ?? 0;
    sortRow(columns, values, start, stop);
    const rowStart = kept;
    for (let entry = start; entry < stop; entry++) {
      const column = columns[entry] ?? 0;
      const value = values[entry] ?? 0;
      // Also true for NaN.
      if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) {
        bad = { row, column, value };
        break;
      }
      if (value === 0) continue;
      if (fraction === undefined && value % 1 !== 0) fraction = { row, column, value };
      if (kept > rowStart && columns[kept - 1] === column) {
        repeated ??= { row, column, value };
        if (repeatedRows.at(-1) !== row) repeatedRows.push(row);
        values[kept - 1] = (values[kept - 1] ?? 0) + value;
      } else {
        // Writing never overtakes reading, so the arrays are compacted in place.
        columns[kept] = column;
        values[kept++] = value;
      }
    }
    offsets[i + 1] = kept;
  }
  Object.assign(state, { bad, fraction, repeated, kept });
}

/** Sorts one row by column if it is not sorted already; equal columns keep their order. */
function sortRow(columns: Int32Array, values: Float32Array, start: number, end: number): void {
  let sorted = true;
  for (let i = start + 1; i < end && sorted; i++) sorted = (columns[i - 1] ?? 0) <= (columns[i] ?? 0);
  if (sorted) return;
  const rowColumns = columns.slice(start, end);
  const rowValues = values.slice(start, end);
  const order = Uint32Array.from(rowColumns.keys()).sort(
    (a, b) => (rowColumns[a] ?? 0) - (rowColumns[b] ?? 0) || a - b,
  );
  for (const [i, from] of order.entries()) {
    columns[start + i] = rowColumns[from] ?? 0;
    values[start + i] = rowValues[from] ?? 0;
  }
}

/** Throws `ARGUMENT_RANGE` unless every row number is in [0, cellCount). */
export function checkRows(rows: Int32Array, cellCount: number, name: string): void {
  for (const row of rows) {
    if (row >= 0 && row < cellCount) continue;
    throw new DdscError(
      "ARGUMENT_RANGE",
      `${name}: row ${row} was asked for but there are ${cellCount} cells`,
      {
        argument: "rows",
        file: name,
        row,
      },
    );
  }
}
