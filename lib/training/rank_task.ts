import { countValid } from "../batching/collate.js";
import { type RaggedBatch, type Share, splitBatch, WHOLE } from "../batching/index.js";
import type { BatchLimit } from "../batching/limit.js";
import { drawNoise } from "../diffusion/index.js";
import type { Denoiser } from "../model/denoiser.js";
import type { NativeLossInput } from "../native/types.js";
import { type OtherCells, placesOf, sharesOf } from "./ranks/share.js";
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
    others: readonly OtherCells[] = [],
  ): Promise<StepInput> {
    return { step: names.step, ...rankInputs(this.#model, batches, names, others) };
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
    const { batches, others } = sharesOf(splitBatch(cells, limit), share);
    const { inputs, ...sums } = rankInputs(even, batches, { seed, step: 0 }, others);
    return {
      ...sums,
      inputs: inputs.map(({ noise: { meanWeight: _, ...noise }, ...input }) => ({ ...input, noise })),
    };
  }
}

/**
 * The native calls that compute the loss of a batch in parts: times are evenly spread over the cells of all parts and ranks together;
 * masks are named by (seed, step, cell).
 */
function rankInputs(
  model: Pick<Denoiser, "diffusion" | "strategy">,
  parts: readonly RaggedBatch[],
  names: { readonly seed: number; readonly step: number },
  others: readonly OtherCells[],
): Omit<LossInputs, "inputs"> & { readonly inputs: readonly NativeLossInput[] } {
  const { places, cellCount } = placesOf(parts, others);
  const inputs: NativeLossInput[] = [];
  let valid = 0;
  for (const [i, batch] of parts.entries()) {
    valid += countValid(batch.tokens) + (others[i]?.validTokens ?? 0);
    if (batch.cells.length === 0) continue;
    const { values } = model.strategy;
    const place = { first: places[i] ?? 0, of: cellCount };
    const { moveChance, noise } = drawNoise(model.diffusion, batch.cells, { ...names, values, ...place });
    inputs.push({
      batch,
      noise,
      masking: { kind: "draw", moveChance, ...names },
      objective: model.diffusion.objective,
    });
  }
  return {
    inputs,
    divisor: valid,
    constant: 0,
    tokens: inputs.reduce((sum, { batch }) => sum + batch.tokens.length, 0),
  };
}
