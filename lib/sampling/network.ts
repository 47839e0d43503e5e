import { setImmediate } from "node:timers/promises";
import type { RaggedBatch } from "../batching/batch.js";
import { cellLengths, selectCells } from "../batching/collate.js";
import { cutBatches } from "../batching/limit.js";
import { noiseConditioning, sigmaOf } from "../diffusion/index.js";
import type { NativeObjective, NativePrediction } from "../native.js";
import type { DenoisingModel } from "./denoising_model.js";
import type { CheckedSampling } from "./options.js";
import type { SamplingState } from "./state.js";

/** Rows of one cell that the network is asked about. */
export interface CellRows {
  /** The cell's number in the batch. */
  readonly place: number;
  /** Rows of the batch, all of this cell, ascending; at least one. */
  readonly rows: Int32Array;
  /** Share of tokens masked at the cell's time: the noise level the network is told. */
  readonly moveChance: number;
}

/** A categorical draw for rows of one cell: values with weight `reveal` in all, the mask with weight `stay`. */
export interface CellDraw extends CellRows {
  readonly reveal: number;
  readonly stay: number;
}

/** What was drawn for a `CellDraw`, row by row. */
export interface DrawnCell {
  readonly place: number;
  readonly rows: Int32Array;
  readonly tokens: Int32Array;
  /** Probability of each drawn value among the values; 0 where the mask was drawn. */
  readonly probability: Float32Array;
}

/** Memory, weights and cancelling of the network's runs. */
export type NetworkOptions = Pick<CheckedSampling, "weights" | "maxTokens" | "signal">;

/**
 * Runs the network for rows of some cells of a batch, as many cells at a time as fit in `maxTokens`, and hands each
 * prediction to `use` with the cells it is for; its rows are theirs end to end. The prediction's memory is freed
 * when `use` is done.
 */
export async function predictCells<C extends CellRows>(
  model: DenoisingModel,
  batch: RaggedBatch,
  cells: readonly C[],
  options: NetworkOptions,
  use: (prediction: NativePrediction, cells: readonly C[]) => Promise<void>,
): Promise<void> {
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
    using prediction = await model.native.predict(
      partBatch,
      { conditioning, rows, weights: options.weights },
      options.signal,
    );
    await use(prediction, part);
  }
}

/** Draws tokens for rows of some cells and puts them into `state`; `step` names the random numbers. */
export async function drawCells(
  model: DenoisingModel,
  state: SamplingState,
  cells: readonly CellDraw[],
  objective: NativeObjective["kind"],
  step: number,
  options: CheckedSampling,
): Promise<DrawnCell[]> {
  const drawn: DrawnCell[] = [];
  const { seed, temperature } = options;
  await predictCells(
    model,
    { ...state.batch, tokens: state.tokens },
    cells,
    options,
    async (prediction, part) => {
      const { tokens, probability } = await prediction.draw({
        objective,
        reveal: Float32Array.from(part, ({ reveal }) => reveal),
        stay: Float32Array.from(part, ({ stay }) => stay),
        ...(objective === "sedd"
          ? { sigma: Float32Array.from(part, ({ moveChance }) => sigmaOf(moveChance)) }
          : {}),
        temperature,
        seed,
        step,
      });
      let start = 0;
      for (const { place, rows } of part) {
        const end = start + rows.length;
        drawn.push({
          place,
          rows,
          tokens: tokens.slice(start, end),
          probability: probability.slice(start, end),
        });
        state.networkEvaluations[place] = (state.networkEvaluations[place] as number) + 1;
        start = end;
      }
    },
  );
  return drawn;
}

/** The cells' rows, renumbered from the whole batch to a batch of those cells alone. */
function rowsWithin(whole: RaggedBatch, part: RaggedBatch, cells: readonly CellRows[]): Int32Array {
  const renumbered: number[] = [];
  for (const [i, { place, rows }] of cells.entries()) {
    const shift = (part.offsets[i] as number) - (whole.offsets[place] as number);
    for (const row of rows) renumbered.push(row + shift);
  }
  return Int32Array.from(renumbered);
}
