import { missingColumn } from "../sources/frame.js";
import type { CellSource } from "../sources/source.js";

/** Group of cells without a value in the column. */
const NO_VALUE = "(none)";

/** Reads the groups of cells, by row, from a column of metadata. Throws `DATA_MISSING_COLUMN`. */
export function labelsFrom(
  source: CellSource,
  column: string,
): (cells: Float64Array) => Promise<readonly string[]> {
  const known = source.metadataColumns.map(({ name }) => name);
  if (!known.includes(column)) throw missingColumn(source.name, column, known);
  return async (cells) => {
    const table = await source.metadata({ columns: [column], rows: Int32Array.from(cells) });
    return Array.from(table.getChild(column) ?? [], (value: unknown) =>
      value === null ? NO_VALUE : String(value),
    );
  };
}
