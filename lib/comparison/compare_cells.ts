import { checkOptions } from "../base/arguments.js";
import { checkNumber, checkOptionNames, checkSeed, checkWhole, DdscError } from "../base/errors.js";
import { Purpose, RandomStream } from "../base/random.js";
import { takeTurn } from "../base/turns.js";
import { type CountCells, cellCount, checkCells, chooseCells } from "../evaluation/counts/count_cells.js";
import { COMPARED_CELLS, FEW_CELLS, RESAMPLES } from "../evaluation/defaults.js";
import { chooseWithoutReplacement } from "../tokenizer/choose.js";
import { type CellRows, commonGenes, placesByLabel, rowCount, rowsOf, takeRows } from "./cell_rows.js";
import { type ComparedCells, type MeasureOptions, measureAll } from "./measure.js";
import type { CellComparison, GroupComparison } from "./scores.js";

/** Options of `compareCells`. */
export interface CompareCellsOptions {
  /**
   * Real cells that the generator learnt from: what is near them is memorised, and what ceiling and floors are made of. Default: a
   * random half of the real cells, with the other half compared.
   */
  readonly training?: CountCells;
  /** Cells of each kind that are compared at most, 20 to 20,000; more are drawn from by the seed. Default 2,000. */
  readonly cells?: number;
  /** Bootstrap resamples for the 95% intervals, 20 to 10^5. Default 1,000. */
  readonly resamples?: number;
  /** Whole number below 2^53. Default 0. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
}

/** Range of the option `cells`. */
export const CELLS_RANGE = { min: FEW_CELLS, max: 20_000 };
/** Fewest cells of a group that is compared: one for each fold of the cross-validation. */
const FEWEST_CELLS = 5;
/** Sets of cells of a kind, at most. */
const MOST_SETS = 20;
/** Groups at most: a column with more values names cells rather than groups. */
const MOST_GROUPS = 1000;
/** Step of the stream `Purpose.split` by which cells are chosen, apart from those of other draws. */
const CHOICE_STEP = 2 ** 43;

/**
 * Compares generated cells with real ones, at equal numbers where these matter: can they be told apart, and by what? Measures, each also for real
 * training cells in place of the generated ones (the ceiling) and for cells of two simple generators (floors), are those of
 * `ComparisonScores`; docs/comparison.md defines them. Counts are taken as they are, over the genes that all cells measure; where
 * real and generated cells have `labels`, each group is compared by itself, too, and the floors are by label.
 *
 * Takes time in proportion to the square of the cells and to the counts of a cell; lets the event loop run. Memory: the counts a
 * few times over, and a byte for each compared cell and gene. A function of its arguments alone.
 *
 * Throws `ARGUMENT_*`, `BATCH_INVALID`, `COMPARE_NO_GENES` where no gene is measured in all cells, `COMPARE_TOO_FEW` for fewer than
 * 20 cells of a kind, `EVALUATION_GROUPS` for too many groups; rejects with the signal's reason when aborted.
 */
export async function compareCells(
  real: CountCells,
  generated: CountCells,
  options: CompareCellsOptions = {},
): Promise<CellComparison> {
  checkCells("real", real);
  checkCells("generated", generated);
  checkOptions(options, { signal: "signal" });
  const known = { training: true, cells: true, resamples: true, seed: true, signal: true } as const;
  checkOptionNames("options", options, known);
  if (options.training !== undefined) checkCells("training", options.training);
  const most = checkNumber("cells", options.cells ?? COMPARED_CELLS, { ...CELLS_RANGE, integer: true });
  const resamples = checkWhole("resamples", options.resamples ?? RESAMPLES, 20, 1e5);
  const seed = checkSeed(options.seed ?? 0);
  const { signal } = options;
  await takeTurn(signal);
  const halves = options.training === undefined ? halve(real, seed) : undefined;
  const [compared, training] = halves ?? [real, options.training as CountCells];
  const least = 2 * FEW_CELLS;
  requireEnough("real", cellCount(real), halves === undefined ? FEW_CELLS : least);
  requireEnough("generated", cellCount(generated), FEW_CELLS);
  requireEnough("training", cellCount(training), FEW_CELLS);
  const genes = commonGenes([compared, generated, training]);
  const rows = {
    real: rowsOf(compared, genes),
    generated: rowsOf(generated, genes),
    training: rowsOf(training, genes),
  };
  const measuring: MeasureOptions = { seed, resamples, signal };
  const hasGroups = real.labels !== undefined && generated.labels !== undefined;
  // Too many groups are told before the work, not after it.
  const labels = hasGroups ? groupLabels(rows) : [];
  const chosen = equalNumbers(rows, most, seed);
  const scores = await measureAll(chosen, measuring);
  const groups: [string, GroupComparison][] = [];
  for (const label of labels) groups.push([label, await compareGroup(rows, label, most, measuring)]);
  return {
    cells: rowCount(chosen.real),
    genes: genes.length,
    reference: halves === undefined ? "training" : "half",
    trainingCells: rowCount(rows.training),
    ...scores,
    ...(hasGroups
      ? { groups: Object.fromEntries(groups.sort(([, a], [, b]) => b.cells - a.cells || b.real - a.real)) }
      : {}),
  };
}

type Sets = Pick<ComparedCells, "real" | "generated" | "training">;

/** Draws equally many cells of each kind, as many as the smallest has, `most` at most; and more sets of as many, from what is left. */
function equalNumbers({ real, generated, training }: Sets, most: number, seed: number): ComparedCells {
  const size = Math.min(most, ...[real, generated, training].map(rowCount));
  const draw = (rows: CellRows, number: number) =>
    chooseWithoutReplacement(
      rowCount(rows),
      size,
      new RandomStream(seed, Purpose.split, CHOICE_STEP, number),
    );
  const [compared, drawn, others] = [draw(real, 1), draw(generated, 2), draw(training, 3)];
  const more = (rows: CellRows, taken: Int32Array, number: number) =>
    setsOfOthers(rowCount(rows), taken, new RandomStream(seed, Purpose.split, CHOICE_STEP, number));
  return {
    real: takeRows(real, compared),
    generated: takeRows(generated, drawn),
    training,
    others,
    more: {
      real: more(real, compared, 6).map((places) => takeRows(real, places)),
      generated: more(generated, drawn, 4).map((places) => takeRows(generated, places)),
      others: more(training, others, 5),
    },
  };
}

/** Places that were not taken, in sets of as many as were, at random: as many sets as there are, MOST_SETS at most with the one taken. */
function setsOfOthers(total: number, taken: Int32Array, random: RandomStream): Int32Array[] {
  const isTaken = new Uint8Array(total);
  for (const place of taken) isTaken[place] = 1;
  const left = Int32Array.from({ length: total }, (_, place) => place).filter(
    (place) => isTaken[place] === 0,
  );
  random.shuffle(left);
  const count = Math.min(MOST_SETS - 1, Math.floor(left.length / Math.max(1, taken.length)));
  return Array.from({ length: count }, (_, i) => left.slice(i * taken.length, (i + 1) * taken.length).sort());
}

async function compareGroup(
  sets: Sets,
  label: string,
  most: number,
  options: MeasureOptions,
): Promise<GroupComparison> {
  const only = (rows: CellRows) => takeRows(rows, placesByLabel(rows.labels).get(label) ?? new Int32Array(0));
  const [real, generated, training] = [only(sets.real), only(sets.generated), only(sets.training)];
  const chosen = equalNumbers({ real, generated, training }, most, options.seed);
  const cells = rowCount(chosen.real);
  return {
    cells,
    few: cells < FEW_CELLS,
    real: rowCount(real),
    generated: rowCount(generated),
    ...(cells < FEWEST_CELLS ? {} : await measureAll(chosen, options)),
  };
}

/** Labels that there are, the empty one left out. Throws `EVALUATION_GROUPS`. */
function groupLabels({ real, generated }: Sets): string[] {
  const found = [...new Set([...real.labels, ...generated.labels])].filter((label) => label !== "").sort();
  if (found.length <= MOST_GROUPS) return found;
  throw new DdscError(
    "EVALUATION_GROUPS",
    `there are ${found.length} groups, more than ${MOST_GROUPS}; choose a column that several cells share`,
    { argument: "by" },
  );
}

/** Cells in two random halves; of an odd number the second has one more. */
function halve(cells: CountCells, seed: number): [CountCells, CountCells] {
  const order = Int32Array.from({ length: cellCount(cells) }, (_, place) => place);
  new RandomStream(seed, Purpose.split, CHOICE_STEP).shuffle(order);
  const middle = order.length >> 1;
  return [chooseCells(cells, order.slice(0, middle).sort()), chooseCells(cells, order.slice(middle).sort())];
}

function requireEnough(argument: string, cells: number, least: number): void {
  if (cells >= least) return;
  throw new DdscError(
    "COMPARE_TOO_FEW",
    `${argument}: ${cells} cells are too few to compare; give ${least} or more`,
    { argument },
  );
}
