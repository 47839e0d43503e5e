/**
 * How much of `ddsc compare`'s correlation structure is chance where few cells are held out: `npx tsx scripts/correlation_drawings.ts RUN
 * GENERATED` takes the generated cells in as many sets of the size of the held-out cells of a run as there are, at most 20, and sets of
 * training cells likewise; then all generated cells, and all training cells, at once. The files have the same genes.
 */
import { parseArgs } from "node:util";
import { type CellRows, rowCount, takeRows, withLogs } from "../lib/comparison/cell_rows.js";
import { compareCorrelationSets, compareCorrelations } from "../lib/comparison/correlations.js";
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
  const sets: CellRows[] = [];
  for (let first = 0; first + size <= rowCount(cells) && sets.length < MOST_SETS; first += size)
    sets.push(takeRows(cells, rowRange(first, first + size)));
  const { correlationStructure, correlationSets } = await compareCorrelationSets(real, sets, undefined);
  const { count, deviation } = correlationSets;
  return `${correlationStructure?.toFixed(3)} (${deviation?.toFixed(3)}; ${count} sets)`;
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
