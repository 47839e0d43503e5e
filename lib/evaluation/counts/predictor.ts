import type { CountCells } from "./count_cells.js";
import type { MaskedCells } from "./masked_cells.js";

/** What a method says of the genes that are asked about, [queries] each. */
export interface QueryPredictions {
  /** log P(the true count), in nats; of its bin less the bin's log width where a method predicts bins. */
  readonly logProbability: Float64Array;
  /** Expected count. */
  readonly mean: Float64Array;
  /** P(a count below the true one) and P(the true count): for calibration. */
  readonly below: Float64Array;
  readonly at: Float64Array;
  /** P(a count above 0). */
  readonly expressed: Float64Array;
}

/** A method that predicts hidden counts: the model, or a baseline. */
export interface CountPredictor {
  /** For tables. */
  readonly name: string;
  /**
   * Predicts the genes that are asked about from what is visible.
   *
   * @param answers the true counts, [queries]: to evaluate probabilities at, never to look at
   */
  predict(masked: MaskedCells, answers: Int32Array, signal?: AbortSignal): Promise<QueryPredictions>;
}

/** A method that denoises cells, for molecular cross-validation. */
export interface CountDenoiser {
  readonly name: string;
  /**
   * Expected counts at the depth of the cells given, one for each measured gene of each cell, in the order of its panel, cells end
   * to end; none below 0.
   *
   * @param cells kept molecules of some cells
   * @param of which cells they are: places among the held-out cells, or among the training cells that were given (on these, the
   *   weight of depth times share is chosen), for methods that look up more of a cell
   */
  denoise(
    cells: CountCells,
    of: { readonly places: Int32Array; readonly training: boolean },
    signal?: AbortSignal,
  ): Promise<Float64Array>;
}

/** Memory for the predictions of some queries. */
export function emptyPredictions(queries: number): QueryPredictions {
  return {
    logProbability: new Float64Array(queries),
    mean: new Float64Array(queries),
    below: new Float64Array(queries),
    at: new Float64Array(queries),
    expressed: new Float64Array(queries),
  };
}
