import { setImmediate } from "node:timers/promises";
import { cellLengths, selectCells } from "../batching/collate.js";
import { cutBatches } from "../batching/limit.js";
import { noiseConditioning } from "../diffusion/index.js";
import type { NativePrediction } from "../native/types.js";
import type { RaggedBatch } from "../tokenizer/ragged_batch.js";
import type { DenoisingModel } from "./denoising_model.js";
import type { CheckedSampling } from "./options.js";

/** Rows of one cell that the network is asked about. */
export interface CellRows {
  /** The cell's number in the batch. */
  readonly place: number;
  /** Rows of the batch, all of this cell, ascending; at least one. */
  readonly rows: Int32Array;
  /** Share of tokens masked at the cell's time: the noise level the network is told. */
  readonly moveChance: number;
}

/** One run of the network; whoever gets it frees it. */
export interface CellPredictions<C extends CellRows> {
  /** Its rows are those of `cells`, end to end. */
  readonly prediction: NativePrediction;
  readonly cells: readonly C[];
}

/** Memory, weights and cancelling of the network's runs. */
export type NetworkOptions = Pick<CheckedSampling, "weights" | "maxTokens" | "signal">;

/**
 * Runs the network for rows of some cells of a batch, as many cells at a time as fit in `maxTokens`; no other cell of the
 * batch is computed.
 */
export async function* runNetwork<C extends CellRows>(
  model: DenoisingModel,
  batch: RaggedBatch,
  cells: readonly C[],
  options: NetworkOptions,
): AsyncGenerator<CellPredictions<C>, void> {
  // A step without work must not hold up the event loop either, nor an abort.
  if (cells.length === 0) await setImmediate();
  options.signal?.throwIfAborted();
  const allLengths = cellLengths(batch);
  const lengths = Int32Array.from(cells, ({ place }) => allLengths[place] as number);
  const longest = lengths.reduce((longer, length) => Math.max(longer, length), 1);
  const bounds = cutBatches(lengths, { kind: "tokens", tokens: Math.max(options.maxTokens, longest) });
  for (let i = 0; i + 1 < bounds.length; i++) {
    const part = cells.slice(bounds[i], bounds[i + 1]);
    const partBatch = selectCells(
      batch,
      part.map(({ place }) => place),
    );
    const conditioning = Float32Array.from(part, ({ moveChance }) =>
      noiseConditioning(model.diffusion, moveChance),
    );
    const rows = rowsWithin(batch, partBatch, part);
    const prediction = await model.native.predict(
      partBatch,
      { conditioning, rows, weights: options.weights },
      options.signal,
    );
    yield { prediction, cells: part };
  }
}

/** `runNetwork`, with each prediction handed to `use` and its memory freed when that is done. */
export async function predictCells<C extends CellRows>(
  model: DenoisingModel,
  batch: RaggedBatch,
  cells: readonly C[],
  options: NetworkOptions,
  use: (prediction: NativePrediction, cells: readonly C[]) => Promise<void>,
): Promise<void> {
  for await (const { prediction, cells: part } of runNetwork(model, batch, cells, options)) {
    using held = prediction;
    await use(held, part);
  }
}

/** The cells' rows, renumbered from the whole batch to a batch of those cells alone. */
function rowsWithin(whole: RaggedBatch, part: RaggedBatch, cells: readonly CellRows[]): Int32Array {
  const count = cells.reduce((sum, { rows }) => sum + rows.length, 0);
  const renumbered = new Int32Array(count);
  let next = 0;
  for (const [i, { place, rows }] of cells.entries()) {
    const shift = (part.offsets[i] as number) - (whole.offsets[place] as number);
    for (const row of rows) renumbered[next++] = row + shift;
  }
  return renumbered;
}
