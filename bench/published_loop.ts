import type { RaggedBatch } from "../lib/batching/index.js";
import { noiseConditioning, noiseSchedule } from "../lib/diffusion/index.js";
import { type DenoisingModel, maskToken } from "../lib/sampling/index.js";

/**
 * The published program's cached ancestral loop on our network: at every step all cells of the batch run through the
 * network, unless not one of them has changed. Returns the tokens, which are those of the ancestral sampler.
 */
export async function publishedLoop(
  model: DenoisingModel,
  batch: RaggedBatch,
  steps: number,
  seed: number,
): Promise<Int32Array> {
  const schedule = noiseSchedule(model.diffusion.schedule);
  const cells = batch.cells.length;
  const rows = Int32Array.from(batch.tokens.keys()).filter((row) => batch.tokens[row] === maskToken(model));
  const tokens = batch.tokens.slice();
  let prediction: Awaited<ReturnType<DenoisingModel["native"]["predict"]>> | undefined;
  try {
    for (let step = 0; step < steps; step++) {
      const moveChance = schedule.moveChance((steps - step) / steps);
      const stay = step + 1 < steps ? schedule.moveChance((steps - step - 1) / steps) : 0;
      const conditioning = new Float32Array(cells).fill(noiseConditioning(model.diffusion, moveChance));
      prediction ??= await model.native.predict(
        { ...batch, tokens },
        { conditioning, rows, weights: model.inferenceWeights },
      );
      const { tokens: drawn } = await prediction.draw({
        objective: "subs",
        reveal: new Float32Array(cells).fill(moveChance - stay),
        stay: new Float32Array(cells).fill(stay),
        temperature: 1,
        seed,
        step,
      });
      let changed = false;
      for (const [i, row] of rows.entries()) {
        const token = drawn[i] as number;
        if (tokens[row] !== maskToken(model) || token === maskToken(model)) continue;
        tokens[row] = token;
        changed = true;
      }
      if (!changed) continue;
      prediction[Symbol.dispose]();
      prediction = undefined;
    }
  } finally {
    prediction?.[Symbol.dispose]();
  }
  return tokens;
}
