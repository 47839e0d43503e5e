import { FIRST_RANK_TOKEN, type RaggedBatch, splitBatch } from "../batching/index.js";
import type { BatchLimit } from "../batching/limit.js";
import { type CellNoise, drawNoise } from "../diffusion/index.js";
import type { Denoiser } from "../model/denoiser.js";
import type { NativeLossInput } from "../native/types.js";
import type { LossInputs, StepInput, TrainingTask } from "./task.js";

/** Masks ranks, and learns to fill them in. */
export class RankTask implements TrainingTask {
  readonly #model: Pick<Denoiser, "diffusion" | "strategy">;

  constructor(model: Pick<Denoiser, "diffusion" | "strategy">) {
    this.#model = model;
  }

  async stepInput(
    batches: readonly RaggedBatch[],
    names: { readonly seed: number; readonly step: number },
  ): Promise<StepInput> {
    return { step: names.step, ...rankInputs(this.#model, batches, names) };
  }

  async validationInputs(
    cells: RaggedBatch,
    { limit, seed }: { readonly limit: BatchLimit; readonly seed: number },
  ): Promise<LossInputs> {
    const { strategy, diffusion } = this.#model;
    const even = { strategy, diffusion: { ...diffusion, antithetic: true } };
    const { inputs, ...sums } = rankInputs(even, splitBatch(cells, limit), { seed, step: 0 });
    return {
      ...sums,
      inputs: inputs.map(({ noise: { meanWeight: _, ...noise }, ...input }) => ({ ...input, noise })),
    };
  }
}

/**
 * The native calls that compute the loss of a batch in parts: times are drawn for the cells of all parts together, so that they are
 * evenly spread over the whole; masks are named by (seed, step, cell).
 */
function rankInputs(
  model: Pick<Denoiser, "diffusion" | "strategy">,
  parts: readonly RaggedBatch[],
  names: { readonly seed: number; readonly step: number },
): Omit<LossInputs, "inputs"> & { readonly inputs: readonly NativeLossInput[] } {
  const cells = Float64Array.from(parts.flatMap((part) => [...part.cells]));
  const drawn = drawNoise(model.diffusion, cells, { ...names, values: model.strategy.values });
  let start = 0;
  const inputs = parts.map((batch): NativeLossInput => {
    const { moveChance, noise } = noiseOf(drawn, start, start + batch.cells.length);
    start += batch.cells.length;
    return {
      batch,
      noise,
      masking: { kind: "draw", moveChance, ...names },
      objective: model.diffusion.objective,
    };
  });
  return {
    inputs,
    divisor: parts.reduce((sum, { tokens }) => sum + countValid(tokens), 0),
    constant: 0,
    tokens: parts.reduce((sum, { tokens }) => sum + tokens.length, 0),
  };
}

function countValid(tokens: Int32Array): number {
  let valid = 0;
  for (const token of tokens) if (token >= FIRST_RANK_TOKEN) valid++;
  return valid;
}

function noiseOf(
  { moveChance, noise }: CellNoise,
  start: number,
  end: number,
): Pick<CellNoise, "moveChance" | "noise"> {
  const { conditioning, weight, sigma, time, meanWeight } = noise;
  return {
    moveChance: moveChance.subarray(start, end),
    noise: {
      conditioning: conditioning.subarray(start, end),
      weight: weight.subarray(start, end),
      sigma: sigma.subarray(start, end),
      time: time.subarray(start, end),
      ...(meanWeight === undefined ? {} : { meanWeight: meanWeight.subarray(start, end) }),
    },
  };
}
