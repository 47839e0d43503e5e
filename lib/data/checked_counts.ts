import { DdscError } from "../errors.js";
import type { RawRows } from "./count_matrix.js";
import type { CellBlock, CellSource } from "./source.js";

/** What `checkedBlock` needs to know of a source to say where a bad count is. */
export type CountPlace = Pick<CellSource, "name" | "genes" | "cellIds"> & {
  /** What to do about counts that are no counts, e.g. "Pass --layer counts". */
  readonly remedy: string;
};

/** Things worth telling the user that do not stop the reading; kept once each. */
export class CountFindings {
  #fraction: string | undefined;
  readonly #repeatedCells = new Set<number>();
  #firstRepeated = "";

  /** Notes in words; empty if nothing was found. */
  notes(remedy: string): string[] {
    const notes: string[] = [];
    if (this.#fraction !== undefined) {
      notes.push(
        `counts are not whole numbers, e.g. ${this.#fraction}: looks normalised or log-transformed; ranks do not ` +
          `change under monotone transforms, but use raw counts if the file has them${remedy === "" ? "" : `: ${remedy}`}`,
      );
    }
    if (this.#repeatedCells.size > 0) {
      const cells = this.#repeatedCells.size === 1 ? "one cell" : `${this.#repeatedCells.size} cells`;
      notes.push(
        `a gene is stored more than once in ${cells}, e.g. ${this.#firstRepeated}: its counts were added`,
      );
    }
    return notes;
  }

  /** Remembers the first count with a fraction. */
  sawFraction(describe: () => string): void {
    this.#fraction ??= describe();
  }

  /** Remembers a gene stored twice in one cell. */
  sawRepeat(row: number, describe: () => string): void {
    if (this.#repeatedCells.size === 0) this.#firstRepeated = describe();
    this.#repeatedCells.add(row);
  }
}

function placeText(place: CountPlace, row: number, column: number): string {
  return `cell "${place.cellIds()[row] ?? ""}" (row ${row}), gene "${place.genes[column]?.id ?? ""}"`;
}

function badCount(place: CountPlace, row: number, column: number, value: number): DdscError {
  const remedy = place.remedy === "" ? "" : ` ${place.remedy}`;
  const where = `${place.name}: ${placeText(place, row, column)}: `;
  const cell = place.cellIds()[row] ?? "";
  const found = { file: place.name, row, cell, gene: place.genes[column]?.id ?? "" };
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
 * counted in `findings`. `rows` are the row numbers that `raw` holds, in its order.
 */
export function checkedBlock(
  raw: RawRows,
  rows: Int32Array,
  place: CountPlace,
  findings: CountFindings,
): CellBlock {
  const { offsets: bounds, columns, values } = raw;
  const offsets = new Int32Array(rows.length + 1);
  let kept = 0;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? 0;
    const start = bounds[i] ?? 0;
    const end = bounds[i + 1] ?? 0;
    sortRow(columns, values, start, end);
    const rowStart = kept;
    for (let entry = start; entry < end; entry++) {
      const column = columns[entry] ?? 0;
      const value = values[entry] ?? 0;
      // Also true for NaN.
      if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) throw badCount(place, row, column, value);
      if (value === 0) continue;
      if (value % 1 !== 0)
        findings.sawFraction(() => `${value.toPrecision(4)} in ${placeText(place, row, column)}`);
      if (kept > rowStart && columns[kept - 1] === column) {
        findings.sawRepeat(row, () => placeText(place, row, column));
        values[kept - 1] = (values[kept - 1] ?? 0) + value;
      } else {
        // Writing never overtakes reading, so the arrays are compacted in place.
        columns[kept] = column;
        values[kept++] = value;
      }
    }
    offsets[i + 1] = kept;
  }
  const all = kept === columns.length;
  return {
    rows: Int32Array.from(rows),
    offsets,
    genes: all ? columns : columns.slice(0, kept),
    counts: all ? values : values.slice(0, kept),
  };
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
