import { Purpose, RandomStream } from "../base/random.js";
import { isTurnOver, takeTurn } from "../base/turns.js";
import { type CellResamples, percentiles } from "../evaluation/counts/bootstrap.js";
import { type CellRows, rowCount } from "./cell_rows.js";
import { binFeatures, featuresOf } from "./features.js";
import { fitLogistic, logOdds } from "./logistic_regression.js";
import { forestScores } from "./random_forest.js";
import type { ClassifierScores } from "./scores.js";

const FOLDS = 5;
const TREES = 100;
/** C of the logistic regression: of 1, 0.1 ... 0.0001 the one that told real cells whose counts of some genes were thinned best from others. */
const STRENGTH = 0.01;
/** Step of the stream `Purpose.shuffle` that folds are dealt with, apart from an epoch's. */
const FOLD_STEP = 2 ** 43 + 512;

/** Cells with a classifier's scores, and the fold in which each was tested. */
export interface FoldedScores {
  readonly scores: Float64Array;
  /** 1 for the cells whose scores should be greater. */
  readonly isPositive: Uint8Array;
  readonly folds: Uint8Array;
}

/**
 * How well classifiers tell generated cells from real ones, as the area under the ROC curve (AUC): L2-regularised logistic
 * regression and a random forest of 100 trees, on log1p counts and log1p total, in 5-fold cross-validation with an equal share of
 * each kind in each fold.
 */
export async function classify(
  real: CellRows,
  generated: CellRows,
  resamples: { readonly real: CellResamples; readonly generated: CellResamples },
  seed: number,
  signal: AbortSignal | undefined,
): Promise<ClassifierScores> {
  const features = featuresOf(real, generated);
  const cells = rowCount(real) + rowCount(generated);
  const isPositive = new Uint8Array(cells).fill(1, rowCount(real));
  const folds = dealFolds(isPositive, seed);
  const binned = await binFeatures(features, signal);
  const logistic = new Float64Array(cells);
  const forest = new Float64Array(cells);
  const places = Int32Array.from(folds.keys());
  for (let fold = 0; fold < FOLDS; fold++) {
    const train = places.filter((cell) => folds[cell] !== fold);
    const test = places.filter((cell) => folds[cell] === fold);
    const model = await fitLogistic(features, isPositive, train, STRENGTH, signal);
    const grown = await forestScores(binned, isPositive, train, test, {
      trees: TREES,
      seed,
      number: fold,
      signal,
    });
    for (const [i, odds] of logOdds(features, model, test).entries()) logistic[test[i] as number] = odds;
    for (const [i, share] of grown.entries()) forest[test[i] as number] = share;
  }
  const aucs = [logistic, forest].map((scores) => new FoldedAuc({ scores, isPositive, folds }));
  const [ofLogistic, ofForest] = aucs.map((auc) => auc.value()) as [number, number];
  const larger = aucs[ofForest > ofLogistic ? 1 : 0] as FoldedAuc;
  const values: number[] = [];
  for (let resample = 0; resample < resamples.real.resamples; resample++) {
    if (isTurnOver()) await takeTurn(signal);
    const times = new Uint8Array(cells);
    times.set(resamples.real.times(resample));
    times.set(resamples.generated.times(resample), rowCount(real));
    const value = larger.value(times);
    if (!Number.isNaN(value)) values.push(value);
  }
  const { low, high } = percentiles(values);
  const atLeastHalf = (value: number) => Math.max(0.5, value);
  return {
    value: atLeastHalf(Math.max(ofLogistic, ofForest)),
    low: atLeastHalf(low),
    high: atLeastHalf(high),
    logistic: ofLogistic,
    forest: ofForest,
  };
}

/** Fold of each cell: those of each class are dealt out in random order, [cells]. */
export function dealFolds(isPositive: Uint8Array, seed: number): Uint8Array {
  const folds = new Uint8Array(isPositive.length);
  for (const kind of [0, 1]) {
    const places = Int32Array.from(isPositive.keys()).filter((cell) => isPositive[cell] === kind);
    new RandomStream(seed, Purpose.shuffle, FOLD_STEP, kind).shuffle(places);
    for (const [i, cell] of places.entries()) folds[cell] = i % FOLDS;
  }
  return folds;
}

/**
 * The share of the pairs of a positive and a negative cell of one fold in which the positive one has the greater score, ties
 * counting half: scores of different folds come from different fits and are not compared.
 */
export class FoldedAuc {
  /** Cells by fold, then by ascending score. */
  readonly #order: Int32Array;
  readonly #scored: FoldedScores;

  constructor(scored: FoldedScores) {
    const { folds, scores } = scored;
    this.#scored = scored;
    this.#order = Int32Array.from(scores.keys()).sort(
      (a, b) => (folds[a] as number) - (folds[b] as number) || (scores[a] as number) - (scores[b] as number),
    );
  }

  /** NaN where no fold has cells of both kinds. @param times how often each cell counts; default once, [cells] */
  value(times?: Uint8Array): number {
    const { folds, scores, isPositive } = this.#scored;
    let [won, pairs] = [0, 0];
    // Of the fold at hand: negatives below the tie, negatives and positives within it, positives so far.
    let [below, tiedNegative, tiedPositive, positives] = [0, 0, 0, 0];
    let last = -1;
    const endTie = () => {
      won += tiedPositive * (below + tiedNegative / 2);
      below += tiedNegative;
      positives += tiedPositive;
      tiedNegative = 0;
      tiedPositive = 0;
    };
    for (const cell of this.#order) {
      const isNewFold = last < 0 || folds[cell] !== folds[last];
      if (isNewFold || scores[cell] !== scores[last]) endTie();
      if (isNewFold) {
        pairs += below * positives;
        below = 0;
        positives = 0;
      }
      last = cell;
      const count = times === undefined ? 1 : (times[cell] as number);
      if (isPositive[cell] === 1) tiedPositive += count;
      else tiedNegative += count;
    }
    endTie();
    pairs += below * positives;
    return won / pairs;
  }
}
