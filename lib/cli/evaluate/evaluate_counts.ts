import { DdscError } from "../../base/errors.js";
import { CellConditions } from "../../conditions/cell_conditions.js";
import type { SourceCells } from "../../counts/ask_model.js";
import type { CellSource } from "../../data/sources/source.js";
import { type CountCells, cellCount, countCellsOf } from "../../evaluation/counts/count_cells.js";
import { type CountEvaluation, evaluateCounts, renderCountTable } from "../../evaluation/counts/index.js";
import { hideGenes } from "../../evaluation/counts/masked_cells.js";
import { ModelPredictor } from "../../evaluation/counts/model_predictor.js";
import type { Denoiser } from "../../model/denoiser.js";
import { runTokenizer } from "../../training/tokenizer.js";
import { tokensOfSome } from "../../training/validation_cells.js";
import { type Output, withThousands } from "../output.js";
import type { ChosenSource } from "../run_cells.js";

/** What `evaluate` is asked for a model of counts. */
export interface CountEvaluationOptions {
  readonly heldOut: ChosenSource;
  readonly training: ChosenSource;
  readonly ratios: readonly number[];
  readonly seed: number;
  /** Held-out and training cells at most. */
  readonly heldOutCells: number;
  readonly trainingCells: number;
  readonly thin: number;
  readonly openProblems: boolean;
  /** The group of each cell at some rows of a source. */
  readonly labelsOf?: (source: CellSource, rows: Float64Array) => Promise<readonly string[]>;
  readonly by: string | undefined;
  readonly maxRows: number | undefined;
  /** Whether counts that are no whole numbers are rounded. */
  readonly allowFractional: boolean;
  readonly signal: AbortSignal;
}

/**
 * Scores a model of counts beside the baselines, prints the table and the verdict, and returns the scores. Throws
 * `EVALUATION_EMPTY` where no cell is left to score, and as `evaluateCounts`.
 */
export async function evaluateCountModel(
  model: Denoiser,
  options: CountEvaluationOptions,
  output: Output,
): Promise<CountEvaluation> {
  const { ratios, seed, thin, openProblems, by, signal, maxRows } = options;
  const heldOut = await readCells(model, options.heldOut, options.heldOutCells, options);
  if (cellCount(heldOut.cells) === 0) {
    throw new DdscError("EVALUATION_EMPTY", `${options.heldOut.source.name}: there is no cell to score`, {
      file: options.heldOut.source.name,
    });
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
  output.line(
    `${options.heldOut.source.name}: ${withThousands(cellCount(heldOut.cells))} held-out cells; baselines from ` +
      `${withThousands(cellCount(training.cells))} training cells`,
  );
  const result = await evaluateCounts({
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
    seed,
    signal,
  });
  output.lines(renderCountTable(result, by));
  return result;
}

/** Some cells of a selection, with what the model is told of them. */
async function readCells(
  model: Denoiser,
  { source, selection }: ChosenSource,
  cells: number,
  { seed, labelsOf, allowFractional }: Pick<CountEvaluationOptions, "seed" | "labelsOf" | "allowFractional">,
): Promise<{ readonly cells: CountCells; readonly told: SourceCells }> {
  const { maxLength } = model.tokenizer;
  const tokenizer = runTokenizer(model.tokenizer, { maxLength, seed, allowFractional });
  const batch = await tokensOfSome(source, tokenizer, { selection, cells, seed });
  const { panels } = tokenizer.map(source);
  const conditions = await CellConditions.read(source, model.conditions);
  const labels = await labelsOf?.(source, batch.cells);
  return { cells: countCellsOf(batch, panels, labels), told: { rows: batch.cells, conditions } };
}
