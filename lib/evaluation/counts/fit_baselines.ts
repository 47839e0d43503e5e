import { Purpose, RandomStream } from "../../base/random.js";
import type { Cluster } from "../../cluster/cluster.js";
import { CellScores } from "./baselines/cell_scores.js";
import { GeneMarginal, MARGINAL_WEIGHTS } from "./baselines/gene_marginal.js";
import { DepthTimesShare, type MeanMethod } from "./baselines/mean_method.js";
import {
  chooseByLikelihood,
  type MeanChoice,
  MeanPredictor,
  type TuningChunk,
} from "./baselines/mean_predictor.js";
import { NeighbourMeans } from "./baselines/neighbours.js";
import { RidgeMeans } from "./baselines/ridge.js";
import { MOST_COMPONENTS, SingularVectorMeans } from "./baselines/singular_vectors.js";
import { TypeMeans } from "./baselines/type_means.js";
import { type CountBase, type CountCells, cellCount, chooseCells } from "./count_cells.js";
import { answersOf, hideGenes, maskCells, someOf } from "./masked_cells.js";
import {
  chooseByMcv,
  denoiserMethod,
  geneMeans,
  type McvChoice,
  type McvMethod,
  meanMethod,
  noDenoising,
} from "./molecular_cross_validation.js";
import type { CountDenoiser, CountPredictor } from "./predictor.js";
import type { CountBaseline } from "./scores.js";
import { thinCells } from "./thinning.js";

/** Training cells that choices are made on: at most this many, and at most this share of all. */
const MOST_TUNING_CELLS = 400;
const TUNING_SHARE = 0.2;
/** Hidden genes that choices are made on, in all: with many genes a cell, some of them are asked about. */
const MOST_TUNING_QUERIES = 300_000;
const CHUNK = 64;

/** A method ready for molecular cross-validation. */
export interface FittedMcv {
  readonly method: McvMethod;
  readonly choice: McvChoice;
  readonly chosen: string;
}

/** Baselines fitted on the training cells, with what was chosen for them. */
export interface FittedBaselines {
  /** Predictors of hidden genes by share hidden. */
  readonly hidden: ReadonlyMap<
    string,
    ReadonlyMap<CountBaseline, { predictor: CountPredictor; chosen: string }>
  >;
  /** The methods of molecular cross-validation, the model ("model") with them; empty where that was not asked for. */
  readonly mcv: ReadonlyMap<CountBaseline | "model", FittedMcv>;
}

/** What baselines are fitted for. */
export interface FitOptions {
  /** Shares of genes that are hidden, as text and number. */
  readonly ratios: ReadonlyMap<string, number>;
  /** Chance of a molecule to be tested on; undefined: no molecular cross-validation. */
  readonly thin: number | undefined;
  /** The model, whose weight of depth times share is chosen as the baselines' are. */
  readonly denoiser: CountDenoiser | undefined;
  readonly seed: number;
  readonly pause: () => Promise<void>;
  readonly signal: AbortSignal | undefined;
  /** The ranks that share what asks the model; the baselines are fitted by each of them. */
  readonly cluster: Cluster | undefined;
}

type Methods = Map<CountBaseline, MeanMethod>;

/**
 * Fits the baselines. What they have to choose is chosen on some training cells by methods fitted on the others; with the choices
 * made, the methods are fitted on all training cells.
 */
export async function fitBaselines(
  training: CountCells,
  base: CountBase,
  options: FitOptions,
): Promise<FittedBaselines> {
  const { tuning, tuningPlaces, others } = splitForTuning(training, options.seed);
  const early = await fitMethods(others, base, options);
  const choices = new Map<string, Map<CountBaseline, MeanChoice>>();
  const marginals = new Map<string, number>();
  for (const [text, ratio] of options.ratios) {
    const chunks = tuningChunks(tuning, base, ratio, options.seed);
    const found = new Map<CountBaseline, MeanChoice>();
    for (const [name, method] of early.get(text) as Methods) {
      // The base of a count model as it is: an untrained model is exactly this.
      const choice =
        name === "negativeBinomial"
          ? { setting: 0, weight: 1, sizeFactor: 1 }
          : await chooseByLikelihood(method, base, chunks, options.pause);
      found.set(name, choice);
    }
    choices.set(text, found);
    marginals.set(text, await marginalWeight(others, base, chunks));
    await options.pause();
  }
  const mcvChoices = await chooseForMcv(tuning, tuningPlaces, base, early, options);
  const final = await fitMethods(training, base, options);
  const hidden = new Map(
    [...options.ratios.keys()].map((text) => {
      const predictors = new Map<CountBaseline, { predictor: CountPredictor; chosen: string }>();
      const weight = marginals.get(text) as number;
      predictors.set("geneMarginal", {
        predictor: new GeneMarginal(training, base, weight),
        chosen: `smoothed by ${weight} cells`,
      });
      for (const [name, method] of final.get(text) as Methods) {
        const choice = choices.get(text)?.get(name) as MeanChoice;
        predictors.set(name, {
          predictor: new MeanPredictor(method, base, choice),
          chosen: `${method.settings[choice.setting]}, ${choice.weight} depth times share, sizes times ${choice.sizeFactor}`,
        });
      }
      return [text, predictors] as const;
    }),
  );
  const mcvMethods = methodsForMcv(final, base, options);
  const mcv = new Map(
    [...mcvMethods].map(([name, method]) => {
      const choice = mcvChoices.get(name) as McvChoice;
      const own = Number.isFinite(choice.sizeFactor) ? `, own count by sizes times ${choice.sizeFactor}` : "";
      const chosen = `${method.settings[choice.setting]}, ${choice.weight} depth times share${own}`;
      return [name, { method, choice, chosen }] as const;
    }),
  );
  return { hidden, mcv };
}

/** Some training cells that choices are made on, where they are among all, and the other training cells. */
function splitForTuning(training: CountCells, seed: number) {
  const cells = cellCount(training);
  const order = new RandomStream(seed, Purpose.split).shuffle(
    Int32Array.from({ length: cells }, (_, cell) => cell),
  );
  const tuned = Math.max(1, Math.min(MOST_TUNING_CELLS, Math.floor(TUNING_SHARE * cells)));
  const tuningPlaces = order.slice(0, tuned).sort();
  const others = chooseCells(training, order.slice(tuned).sort());
  return { tuning: chooseCells(training, tuningPlaces), tuningPlaces, others };
}

/** The gene marginal alone, fitted for cells with a share of their genes hidden as `fitBaselines` does it. */
export async function fitMarginal(
  training: CountCells,
  base: CountBase,
  { ratio, seed }: { readonly ratio: number; readonly seed: number },
): Promise<CountPredictor> {
  const { tuning, others } = splitForTuning(training, seed);
  const weight = await marginalWeight(others, base, tuningChunks(tuning, base, ratio, seed));
  return new GeneMarginal(training, base, weight);
}

/** The methods by share hidden; but for ridge, which is fitted at each share, they are the same. */
async function fitMethods(
  training: CountCells,
  base: CountBase,
  options: FitOptions,
): Promise<ReadonlyMap<string, Methods>> {
  const { seed, pause } = options;
  const common: Methods = new Map();
  common.set("negativeBinomial", new DepthTimesShare(base));
  common.set("knn", new NeighbourMeans(training, base));
  await pause();
  const scores = new CellScores(training, base, MOST_COMPONENTS, seed);
  await pause();
  common.set("svd", new SingularVectorMeans(scores, base));
  const labelled = training.labels?.some((label) => label !== undefined) === true;
  const fitted = new Map<string, Methods>();
  for (const [text, ratio] of options.ratios) {
    const methods = new Map(common);
    methods.set("ridge", await RidgeMeans.fit(training, base, scores, { ratio, seed, pause }));
    if (labelled) methods.set("typeMean", new TypeMeans(training, base));
    fitted.set(text, methods);
  }
  return fitted;
}

/** With nothing hidden, ridge as it was fitted with the fewest genes hidden. */
function methodsForMcv(
  fitted: ReadonlyMap<string, Methods>,
  base: CountBase,
  { thin, denoiser, ratios }: FitOptions,
): Map<CountBaseline | "model", McvMethod> {
  const methods = new Map<CountBaseline | "model", McvMethod>();
  if (thin === undefined) return methods;
  if (denoiser !== undefined) methods.set("model", denoiserMethod(denoiser));
  const fewest = [...ratios].reduce((least, each) => (each[1] < least[1] ? each : least))[0];
  for (const [name, method] of fitted.get(fewest) as Methods) methods.set(name, meanMethod(method));
  methods.set("none", noDenoising);
  methods.set("geneMean", geneMeans(thinnedBase(base, thin)));
  return methods;
}

async function chooseForMcv(
  tuning: CountCells,
  places: Int32Array,
  base: CountBase,
  fitted: ReadonlyMap<string, Methods>,
  options: FitOptions,
): Promise<Map<CountBaseline | "model", McvChoice>> {
  const choices = new Map<CountBaseline | "model", McvChoice>();
  const { thin, seed } = options;
  if (thin === undefined) return choices;
  // Another seed than that of the held-out cells: places of the two run from 0.
  const thinned = await thinCells(tuning, thin, seed + 1);
  for (const [name, method] of methodsForMcv(fitted, base, options)) {
    choices.set(name, await chooseByMcv(method, thinned, places, thinnedBase(base, thin), thin, options));
  }
  return choices;
}

/** The base of cells from which a share of the molecules was taken. */
export function thinnedBase(base: CountBase, thin: number): CountBase {
  return { ...base, meanDepth: base.meanDepth * (1 - thin) };
}

function tuningChunks(tuning: CountCells, base: CountBase, ratio: number, seed: number): TuningChunk[] {
  const cells = cellCount(tuning);
  const hidden = hideGenes(tuning, ratio, seed + 1);
  const queries = someOf(hidden, Math.max(1, Math.floor(MOST_TUNING_QUERIES / cells)), seed);
  const chunks: TuningChunk[] = [];
  for (let first = 0; first < cells; first += CHUNK) {
    const masked = maskCells(tuning, hidden, first, Math.min(cells, first + CHUNK), base, queries);
    chunks.push({ masked, answers: answersOf(tuning, masked) });
  }
  return chunks;
}

async function marginalWeight(
  training: CountCells,
  base: CountBase,
  chunks: readonly TuningChunk[],
): Promise<number> {
  let best = MARGINAL_WEIGHTS[0] as number;
  let most = Number.NEGATIVE_INFINITY;
  for (const weight of MARGINAL_WEIGHTS) {
    const marginal = new GeneMarginal(training, base, weight);
    let sum = 0;
    for (const { masked, answers } of chunks) {
      const { logProbability } = await marginal.predict(masked, answers);
      sum += logProbability.reduce((total, each) => total + each, 0);
    }
    if (sum > most) {
      most = sum;
      best = weight;
    }
  }
  return best;
}
