import { takeTurn } from "../base/turns.js";
import { CellResamples } from "../evaluation/counts/bootstrap.js";
import { type CellRows, rowCount, takeRows } from "./cell_rows.js";
import { classify } from "./classifiers.js";
import { compareCorrelationSets } from "./correlations.js";
import { meanDistance, nearestDistances } from "./distances.js";
import { drawNegativeBinomial, permuteWithinTypes } from "./floors.js";
import {
  compareGeneZeros,
  compareMoments,
  compareTotals,
  compareZeros,
  geneSums,
  type ZeroShares,
  zeroShares,
} from "./marginals.js";
import { compareNearest } from "./memorisation.js";
import type { ComparisonBounds, ComparisonScores } from "./scores.js";

/** What is compared: as many real as generated cells, and training cells, at least as many. */
export interface ComparedCells {
  readonly real: CellRows;
  readonly generated: CellRows;
  readonly training: CellRows;
  /** Places of the training cells that stand in for generated ones, as many as there are. */
  readonly others: Int32Array;
  /** More sets of as many real, generated and training cells, none of which is in two. */
  readonly more: {
    readonly real: readonly CellRows[];
    readonly generated: readonly CellRows[];
    readonly others: readonly Int32Array[];
  };
}

/** How measures are computed. */
export interface MeasureOptions {
  readonly seed: number;
  readonly resamples: number;
  readonly signal: AbortSignal | undefined;
}

/** All measures of the generated cells, of the ceiling and of the floors. */
export async function measureAll(
  { real, generated, training, others, more }: ComparedCells,
  options: MeasureOptions,
): Promise<ComparisonScores & ComparisonBounds> {
  const { seed, signal } = options;
  const measures = await Measures.against([real, ...more.real], training, options);
  const scores = await measures.of(generated, { more: more.generated });
  const moreOthers = more.others.map((places) => takeRows(training, places));
  const ceiling = await measures.of(takeRows(training, others), { own: others, more: moreOthers });
  const drawn = await drawNegativeBinomial(training, others, seed, signal);
  const negativeBinomial = await measures.of(drawn);
  const permuted = takeRows(await permuteWithinTypes(training, seed, signal), others);
  return { ...scores, ceiling, floors: { negativeBinomial, shuffled: await measures.of(permuted) } };
}

/** Streams have the resample's number as their cell: the last bit of the seed tells the two kinds of cells apart. */
function otherSeed(seed: number): number {
  return seed % 2 === 0 ? seed + 1 : seed - 1;
}

function cellsIn(sets: readonly CellRows[]): number {
  return sets.reduce((sum, rows) => sum + rowCount(rows), 0);
}

/** Measures of several sets of cells against the same real ones: what the latter say alone is computed once. */
class Measures {
  /** The set of real cells that is compared at equal numbers, and all sets. */
  readonly #real: CellRows;
  readonly #realSets: readonly CellRows[];
  readonly #training: CellRows;
  readonly #options: MeasureOptions;
  readonly #resamples: { readonly real: CellResamples; readonly generated: CellResamples };
  /** Mean distance between two real cells, and of each to the nearest training cell. */
  readonly #within: number;
  readonly #nearest: Float64Array;
  readonly #zeros: ZeroShares;

  private constructor(
    real: CellRows,
    realSets: readonly CellRows[],
    training: CellRows,
    options: MeasureOptions,
    resamples: { readonly real: CellResamples; readonly generated: CellResamples },
    within: number,
    nearest: Float64Array,
    zeros: ZeroShares,
  ) {
    this.#real = real;
    this.#realSets = realSets;
    this.#training = training;
    this.#options = options;
    this.#resamples = resamples;
    this.#within = within;
    this.#nearest = nearest;
    this.#zeros = zeros;
  }

  /** @param realSets the first is compared at equal numbers */
  static async against(
    realSets: readonly [CellRows, ...CellRows[]],
    training: CellRows,
    options: MeasureOptions,
  ): Promise<Measures> {
    const [real] = realSets;
    const { resamples, seed, signal } = options;
    const ofReal = new CellResamples(rowCount(real), resamples, seed);
    await takeTurn(signal);
    const ofGenerated = new CellResamples(rowCount(real), resamples, otherSeed(seed));
    await takeTurn(signal);
    const within = await meanDistance(real, undefined, signal);
    const nearest = await nearestDistances(real, training, signal);
    const zeros = await zeroShares(realSets, resamples, seed, signal);
    const drawn = { real: ofReal, generated: ofGenerated };
    return new Measures(real, realSets, training, options, drawn, within, nearest, zeros);
  }

  /**
   * @param own where the cells are themselves training cells, their places among them
   * @param more sets of such cells, for what a single one leaves to chance
   */
  async of(
    cells: CellRows,
    { own, more = [] }: { readonly own?: Int32Array; readonly more?: readonly CellRows[] } = {},
  ): Promise<ComparisonScores> {
    const { seed, signal } = this.#options;
    const real = this.#real;
    const [realSets, sets] = [this.#realSets, [cells, ...more]];
    const resamples = this.#resamples;
    const marginalCells = { real: cellsIn(realSets), generated: cellsIn(sets) };
    const sums = { real: geneSums(real), generated: geneSums(cells) };
    const nearest = await nearestDistances(cells, this.#training, signal, own);
    const [between, within] = [
      await meanDistance(real, cells, signal),
      await meanDistance(cells, undefined, signal),
    ];
    const auc = await classify(real, cells, resamples, seed, signal);
    const zeros = await zeroShares(sets, this.#options.resamples, otherSeed(seed), signal);
    return {
      auc,
      marginalCells,
      zeroFraction: {
        ...compareZeros(this.#zeros, zeros),
        byGene: compareGeneZeros(sums.real, sums.generated),
      },
      totals: compareTotals(realSets, sets),
      meanVariance: compareMoments(sums.real, sums.generated),
      ...(await compareCorrelationSets(real, sets, signal)),
      energyDistance: 2 * between - this.#within - within,
      memorisation: compareNearest({ real: this.#nearest, generated: nearest }, resamples),
    };
  }
}
