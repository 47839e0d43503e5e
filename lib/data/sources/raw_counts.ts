import { DdscError } from "../../base/errors.js";
import { isTransposed, TRANSPOSED } from "../genes/orientation.js";
import { spreadRows } from "./parts.js";
import type { CellSource } from "./source.js";

/** Cells that are looked at: so many runs of neighbouring rows, evenly spread. */
const RUNS = 8;
const RUN_ROWS = 8;

/**
 * Throws where cells are none that a model should be trained on or used with: `DATA_TRANSPOSED` for genes by cells, going by
 * the names, and `DATA_FRACTIONAL_COUNT` for counts that are no whole numbers in a few cells from all over the source, unless
 * those are allowed.
 */
export async function requireRawCounts(source: CellSource, allowFractional: boolean): Promise<void> {
  if (await isTransposed(source))
    throw new DdscError("DATA_TRANSPOSED", `${source.name}: ${TRANSPOSED}`, { file: source.name });
  if (allowFractional) return;
  const { rows, offsets, columns, counts } = await source.read(spreadRows(source.cellCount, RUNS, RUN_ROWS));
  const place = counts.findIndex((count) => count % 1 !== 0);
  if (place < 0) return;
  const row = rows[offsets.findIndex((end) => end > place) - 1] ?? 0;
  const [cell = ""] = await source.cellIds(Int32Array.of(row));
  const gene = source.genes[columns[place] ?? 0]?.id ?? "";
  const { remedy = "" } = source as { readonly remedy?: string };
  throw new DdscError(
    "DATA_FRACTIONAL_COUNT",
    `${source.name}: cell "${cell}" (row ${row}), gene "${gene}": ${counts[place]?.toPrecision(4)}; counts must be whole numbers, ` +
      `and these look normalised or log-transformed: use raw counts.${remedy === "" ? "" : ` ${remedy}.`} ` +
      "Pass allowFractional to take them as they are: ranks do not change under monotone transforms (a model of counts rounds)",
    { file: source.name, row, cell, gene },
  );
}
