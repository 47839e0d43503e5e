/**
 * How much of `ddsc compare`'s correlation structure is chance where few cells are held out: `npx tsx scripts/correlation_drawings.ts RUN
 * GENERATED` takes the generated cells in as many sets of the size of the held-out cells of a run as there are, at most 20, and sets of
 * training cells likewise; then all generated cells, and all training cells, at once. The files have the same genes.
 */
import { parseArgs } from "node:util";
import { type CellRows, rowCount, takeRows, withLogs } from "../lib/comparison/cell_rows.js";
import { compareCorrelations } from "../lib/comparison/correlations.js";
import { openCells } from "../lib/data/open/open_cells.js";
import { rowRange } from "../lib/data/sources/parts.js";
import type { CellSource } from "../lib/data/sources/source.js";
import { openRunCells, splitRunCells } from "../lib/training/run_data.js";
import { readRecord } from "../lib/training/state.js";

const MOST_SETS = 20;

async function cellsOf(source: CellSource, rows: Int32Array): Promise<CellRows> {
  const { offsets, columns, counts } = await source.read(rows);
  const sparse = {
    offsets: Int32Array.from(offsets),
    columns: Int32Array.from(columns),
    counts: Int32Array.from(counts),
  };
  return withLogs(
    sparse,
    source.genes.length,
    Array.from(rows, () => ""),
  );
}

/** Of sets of as many cells as there are real ones, each set's correlations against those: mean and standard deviation. */
async function drawings(real: CellRows, cells: CellRows): Promise<string> {
  const size = rowCount(real);
  const found: number[] = [];
  for (let first = 0; first + size <= rowCount(cells) && found.length < MOST_SETS; first += size)
    found.push(
      (await compareCorrelations(real, takeRows(cells, rowRange(first, first + size)), undefined)) ?? 0,
    );
  const mean = found.reduce((sum, one) => sum + one, 0) / found.length;
  const variance = found.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (found.length - 1);
  return `${mean.toFixed(3)} (${Math.sqrt(variance).toFixed(3)}; ${found.length} sets)`;
}

async function whole(real: CellRows, cells: CellRows): Promise<string> {
  return ((await compareCorrelations(real, cells, undefined)) ?? 0).toFixed(3);
}

const [run = "", file = ""] = parseArgs({ allowPositionals: true }).positionals;
const record = await readRecord(`${run}/best`);
using source = await openRunCells(record.data);
using generatedCells = await openCells(file);
const split = await splitRunCells(record.data, source);
const heldOut = await cellsOf(source, split.validation);
const training = await cellsOf(source, split.train);
const generated = await cellsOf(generatedCells, rowRange(0, generatedCells.cellCount));
console.log(`| | ${rowCount(heldOut)} at a time | all at once | all against training cells |`);
console.log("|---|---|---|---|");
const against = await whole(training, generated);
console.log(
  `| generated | ${await drawings(heldOut, generated)} | ${await whole(heldOut, generated)} | ${against} |`,
);
console.log(
  `| training cells | ${await drawings(heldOut, training)} | ${await whole(heldOut, training)} | |`,
);
