import { belowNegativeBinomial, logNegativeBinomial } from "../../../counts/negative_binomial.js";
import { chanceAboveZero } from "../../../counts/negative_binomial_quantile.js";
import type { CountBase } from "../count_cells.js";
import type { MaskedCells } from "../masked_cells.js";
import { type CountPredictor, emptyPredictions, type QueryPredictions } from "../predictor.js";
import { baseMeans, type MeanMethod } from "./mean_method.js";

/** Least expected count, as in the base of a count model. */
const LEAST_MEAN = 1e-8;
/** Weights of depth times share in the mean, to choose from. */
const WEIGHTS = [0.01, 0.03, 0.1, 0.2, 0.4, 0.7, 1] as const;
/** Factors of the genes' sizes, to choose from: what a method explains is no longer spread. */
const SIZE_FACTORS = [0.5, 1, 2, 4, 8, 16] as const;

/** How a method's means become distributions. */
export interface MeanChoice {
  /** Place in the method's `settings`. */
  readonly setting: number;
  /** Weight of depth times share. */
  readonly weight: number;
  /** Factor of the genes' sizes. */
  readonly sizeFactor: number;
}

/** Masked training cells that choices are made on, chunk by chunk. */
export interface TuningChunk {
  readonly masked: MaskedCells;
  readonly answers: Int32Array;
}

/** A method's means, mixed with depth times share, as means of negative binomials of the genes' sizes times a factor. */
export class MeanPredictor implements CountPredictor {
  readonly name: string;
  readonly #method: MeanMethod;
  readonly #base: CountBase;
  readonly choice: MeanChoice;

  constructor(method: MeanMethod, base: CountBase, choice: MeanChoice) {
    this.name = method.name;
    this.#method = method;
    this.#base = base;
    this.choice = choice;
  }

  async predict(masked: MaskedCells, answers: Int32Array): Promise<QueryPredictions> {
    const { setting, weight, sizeFactor } = this.choice;
    const raw = this.#method.means(masked, [setting])[0] as Float64Array;
    const means = mixed(raw, baseMeans(masked, this.#base), weight);
    const predictions = emptyPredictions(means.length);
    const { genes } = masked.queries;
    for (let query = 0; query < means.length; query++) {
      const count = answers[query] as number;
      const mean = means[query] as number;
      const size = (this.#base.size[genes[query] as number] as number) * sizeFactor;
      const log = logNegativeBinomial(count, mean, size);
      const at = Math.exp(log);
      predictions.logProbability[query] = log;
      predictions.mean[query] = mean;
      predictions.at[query] = at;
      predictions.below[query] = belowNegativeBinomial(count, mean, size, at);
      predictions.expressed[query] = chanceAboveZero(mean, size);
    }
    return predictions;
  }
}

/**
 * Chooses setting, weight and size factor by the likelihood of masked training cells: the setting at a middling weight and factor
 * first, then weight and factor, then the setting once more.
 */
export async function chooseByLikelihood(
  method: MeanMethod,
  base: CountBase,
  chunks: readonly TuningChunk[],
  pause: () => Promise<void>,
): Promise<MeanChoice> {
  const every = method.settings.map((_, setting) => setting);
  const means: Float64Array[][] = [];
  const bases: Float64Array[] = [];
  for (const { masked } of chunks) {
    means.push(method.means(masked, every));
    bases.push(baseMeans(masked, base));
    await pause();
  }
  const score = (choice: MeanChoice) => {
    let sum = 0;
    chunks.forEach(({ masked, answers }, i) => {
      const raw = means[i]?.[choice.setting] as Float64Array;
      sum += logLikelihood(raw, bases[i] as Float64Array, masked.queries.genes, answers, base, choice);
    });
    return sum;
  };
  const settings = async (held: MeanChoice) =>
    best(
      every.map((setting) => ({ ...held, setting })),
      score,
      pause,
    );
  const first = await settings({ setting: 0, weight: 0.2, sizeFactor: 2 });
  const second = await best(
    WEIGHTS.flatMap((weight) => SIZE_FACTORS.map((sizeFactor) => ({ ...first, weight, sizeFactor }))),
    score,
    pause,
  );
  return every.length === 1 ? second : settings(second);
}

/** The choice with the highest score, the first of equals. */
async function best(
  choices: readonly MeanChoice[],
  score: (choice: MeanChoice) => number,
  pause: () => Promise<void>,
): Promise<MeanChoice> {
  let found = choices[0] as MeanChoice;
  let highest = Number.NEGATIVE_INFINITY;
  for (const choice of choices) {
    const value = score(choice);
    if (value > highest) {
      highest = value;
      found = choice;
    }
    await pause();
  }
  return found;
}

function logLikelihood(
  raw: Float64Array,
  base: Float64Array,
  genes: Int32Array,
  answers: Int32Array,
  { size }: CountBase,
  { weight, sizeFactor }: MeanChoice,
): number {
  let sum = 0;
  for (let query = 0; query < raw.length; query++) {
    const mean = mixture(raw[query] as number, base[query] as number, weight);
    const spread = (size[genes[query] as number] as number) * sizeFactor;
    sum += logNegativeBinomial(answers[query] as number, mean, spread);
  }
  return sum;
}

function mixed(raw: Float64Array, base: Float64Array, weight: number): Float64Array {
  return raw.map((mean, query) => mixture(mean, base[query] as number, weight));
}

function mixture(mean: number, base: number, weight: number): number {
  return Math.max(LEAST_MEAN, (1 - weight) * Math.max(0, mean) + weight * base);
}
