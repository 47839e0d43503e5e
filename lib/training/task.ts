import type { RaggedBatch, Share } from "../batching/index.js";
import type { BatchLimit } from "../batching/limit.js";
import type { StagedBatch } from "../native/denoiser.js";
import type { AnyNativeLossInput } from "../native/types.js";
import type { OtherCells } from "./ranks/share.js";

/** What an optimizer step, or a validation, computes on: a rank's share of it. */
export interface LossInputs {
  readonly inputs: readonly AnyNativeLossInput[];
  /** What the sum of the losses of all ranks is divided by: tokens that are not special, of counts cells. */
  readonly divisor: number;
  /** What the sum of this rank's losses leaves out, nats: log widths of the bins of counts. */
  readonly constant: number;
  /** Rows that the network computes on this rank, cls included. */
  readonly tokens: number;
}

/** `LossInputs` of an optimizer step. */
export interface StepInput extends LossInputs {
  /** Number of the step, from 1. */
  readonly step: number;
  /** The first input, where the model was handed it ahead. */
  readonly staged?: StagedBatch | undefined;
}

/** What the training of one kind of model, of ranks or of counts, does in its own way. */
export interface TrainingTask {
  /**
   * What a step computes on; everything random in it is named by (seed, step, cell).
   * @param batches the cells that this rank computes
   * @param others what other ranks have of each batch; default nothing
   */
  stepInput(
    batches: readonly RaggedBatch[],
    names: { readonly seed: number; readonly step: number },
    others?: readonly OtherCells[],
  ): Promise<StepInput>;
  /**
   * What a validation computes on, always the same: times and the like are evenly spread over all cells.
   * @param options.share which of the cells this rank computes; default all
   */
  validationInputs(
    cells: RaggedBatch,
    options: { readonly limit: BatchLimit; readonly seed: number; readonly share?: Share },
  ): Promise<LossInputs>;
}
