import { DdscError } from "../base/errors.js";
import { alone, type Cluster } from "../cluster/cluster.js";
import { CellConditions } from "../conditions/cell_conditions.js";
import type { SourceCells } from "../counts/ask_model.js";
import { labelsFrom } from "../data/select/labels.js";
import { type CountCells, cellCount, countCellsOf } from "../evaluation/counts/count_cells.js";
import { type CountEvaluation, evaluateCounts } from "../evaluation/counts/index.js";
import { hideGenes } from "../evaluation/counts/masked_cells.js";
import { ModelPredictor } from "../evaluation/counts/model_predictor.js";
import type { Denoiser } from "../model/denoiser.js";
import { runTokenizer } from "../training/tokenizer.js";
import { tokensOfSome } from "../training/validation_cells.js";
import type { ChosenSource } from "./run_cells.js";

/** How a model of counts is scored. */
export interface ScoreCountsOptions {
  readonly heldOut: ChosenSource;
  readonly training: ChosenSource;
  readonly ratios: readonly number[];
  readonly seed: number;
  /** Held-out and training cells at most. */
  readonly heldOutCells: number;
  readonly trainingCells: number;
  /** Share of the molecules that are tested on; 0: no molecular cross-validation. */
  readonly thin: number;
  readonly openProblems?: boolean;
  /** Column of metadata that holds the groups to score by. */
  readonly by?: string | undefined;
  readonly maxRows?: number | undefined;
  /** Whether counts that are no whole numbers are rounded. */
  readonly allowFractional?: boolean;
  /** Default that of `evaluateCounts`. */
  readonly resamples?: number;
  /** The processes that share the cells; default this one alone. */
  readonly cluster?: Cluster | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Scores of a model of counts, and what they are of. */
export interface CountScoring {
  readonly scores: CountEvaluation;
  /** Cells that the baselines were fitted on. */
  readonly trainingCells: number;
  /** These cells. */
  readonly training: CountCells;
  /** The cells that were scored, their rows in the source, and the model asked about them. */
  readonly cells: CountCells;
  readonly rows: Float64Array;
  readonly predictor: ModelPredictor;
}

/**
 * Scores a model of counts beside the baselines. Throws `EVALUATION_EMPTY` where no cell is left to score, and as
 * `evaluateCounts`.
 */
export async function scoreCounts(model: Denoiser, options: ScoreCountsOptions): Promise<CountScoring> {
  const { ratios, seed, thin, openProblems = false, resamples, signal, maxRows, cluster = alone } = options;
  const heldOut = await readCells(model, options.heldOut, options.heldOutCells, options);
  if (cellCount(heldOut.cells) === 0) {
    const { name } = options.heldOut.source;
    throw new DdscError("EVALUATION_EMPTY", `${name}: there is no cell to score`, { file: name });
  }
  const training = await readCells(model, options.training, options.trainingCells, options);
  const rows = maxRows === undefined ? {} : { maxRows };
  const told = { heldOut: heldOut.told, training: training.told, ...rows };
  const predictor = new ModelPredictor(model, told);
  const untold = (cells: SourceCells) => ({ ...cells, conditions: CellConditions.none(model.conditions) });
  const without = new ModelPredictor(model, {
    heldOut: untold(heldOut.told),
    training: untold(training.told),
    ...rows,
  });
  const scores = await evaluateCounts({
    model: predictor,
    ...(model.conditions.length === 0 ? {} : { withoutConditions: without }),
    denoiser: predictor,
    heldOut: heldOut.cells,
    training: training.cells,
    base: predictor.base,
    masks: Object.fromEntries(ratios.map((ratio) => [String(ratio), hideGenes(heldOut.cells, ratio, seed)])),
    thin: thin === 0 ? null : thin,
    openProblems,
    ...(heldOut.cells.labels === undefined ? {} : { groups: heldOut.cells.labels }),
    ...(resamples === undefined ? {} : { resamples }),
    seed,
    cluster,
    ...(signal === undefined ? {} : { signal }),
  });
  return {
    scores,
    trainingCells: cellCount(training.cells),
    training: training.cells,
    cells: heldOut.cells,
    rows: heldOut.told.rows,
    predictor,
  };
}

/** Some cells of a selection, with what the model is told of them. */
async function readCells(
  model: Denoiser,
  { source, selection }: ChosenSource,
  cells: number,
  {
    seed,
    by,
    allowFractional = false,
    cluster = alone,
  }: Pick<ScoreCountsOptions, "seed" | "by" | "allowFractional" | "cluster">,
): Promise<{ readonly cells: CountCells; readonly told: SourceCells }> {
  const { maxLength } = model.tokenizer;
  const tokenizer = runTokenizer(model.tokenizer, { maxLength, seed, allowFractional });
  const batch = await tokensOfSome(source, tokenizer, { selection, cells, seed });
  const { panels } = tokenizer.map(source);
  const conditions = await CellConditions.read(source, model.conditions, { peers: cluster });
  const labels = by === undefined ? undefined : await labelsFrom(source, by)(batch.cells);
  return { cells: countCellsOf(batch, panels, labels), told: { rows: batch.cells, conditions } };
}
