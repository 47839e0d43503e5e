import { FIRST_RANK_TOKEN, type RaggedBatch, splitBatch } from "../batching/index.js";
import type { BatchLimit } from "../batching/limit.js";
import { type CellNoise, drawNoise } from "../diffusion/index.js";
import type { Denoiser } from "../model/denoiser.js";
import type { NativeLossInput } from "../native/types.js";
import { type Share, shareOf, WHOLE } from "./ranks/share.js";
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
    share: Share = WHOLE,
  ): Promise<StepInput> {
    return { step: names.step, ...rankInputs(this.#model, batches, names, share) };
  }

  async validationInputs(
    cells: RaggedBatch,
    {
      limit,
      seed,
      share = WHOLE,
    }: { readonly limit: BatchLimit; readonly seed: number; readonly share?: Share },
  ): Promise<LossInputs> {
    const { strategy, diffusion } = this.#model;
    const even = { strategy, diffusion: { ...diffusion, antithetic: true } };
    const { inputs, ...sums } = rankInputs(even, splitBatch(cells, limit), { seed, step: 0 }, share);
    return {
      ...sums,
      inputs: inputs.map(({ noise: { meanWeight: _, ...noise }, ...input }) => ({ ...input, noise })),
    };
  }
}

/**
 * The native calls that compute the loss of a batch in parts: times are drawn for the cells of all parts together, so that they are
 * evenly spread over the whole; masks are named by (seed, step, cell). Of each part a rank has its share.
 */
function rankInputs(
  model: Pick<Denoiser, "diffusion" | "strategy">,
  parts: readonly RaggedBatch[],
  names: { readonly seed: number; readonly step: number },
  share: Share,
): Omit<LossInputs, "inputs"> & { readonly inputs: readonly NativeLossInput[] } {
  const cells = Float64Array.from(parts.flatMap((part) => [...part.cells]));
  const drawn = drawNoise(model.diffusion, cells, { ...names, values: model.strategy.values });
  let start = 0;
  const inputs: NativeLossInput[] = [];
  for (const part of parts) {
    const { first, last, batch } = shareOf(part, share);
    const { moveChance, noise } = noiseOf(drawn, start + first, start + last);
    start += part.cells.length;
    if (last === first) continue;
    inputs.push({
      batch,
      noise,
      masking: { kind: "draw", moveChance, ...names },
      objective: model.diffusion.objective,
    });
  }
  return {
    inputs,
    divisor: parts.reduce((sum, { tokens }) => sum + countValid(tokens), 0),
    constant: 0,
    tokens: inputs.reduce((sum, { batch }) => sum + batch.tokens.length, 0),
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
