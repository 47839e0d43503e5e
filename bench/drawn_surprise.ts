import { FIRST_RANK_TOKEN } from "../lib/batching/index.js";
import type { NativePrediction } from "../lib/native/types.js";
import { type DenoisingModel, maskToken } from "../lib/sampling/index.js";

/** A model that notes how surprising what is drawn from it is. */
export interface SurpriseModel extends DenoisingModel {
  /**
   * By global index of the cell: sum over its draws of -log p(drawn) less the entropy of p. Its mean is zero, as draws
   * are exact, and it goes with the cross-entropy of the cell drawn: what tells a lucky sampler from a good one.
   */
  readonly surprise: ReadonlyMap<number, number>;
}

/** Wraps a model for sampling at temperature 1. */
export function notingSurprise(model: DenoisingModel): SurpriseModel {
  const surprise = new Map<number, number>();
  const mask = maskToken(model);
  return {
    native: {
      predict: async (batch, options, signal): Promise<NativePrediction> => {
        const prediction = await model.native.predict(batch, options, signal);
        const cellOf = rowCells(prediction.rows, batch.offsets);
        return {
          rows: prediction.rows,
          logits: () => prediction.logits(),
          statistics: (targets) => prediction.statistics(targets),
          draw: async (draw) => {
            const drawn = await prediction.draw(draw);
            const logits = await prediction.logits();
            for (const [i, token] of drawn.tokens.entries()) {
              if (token === mask) continue;
              const place = draw.places?.[i] ?? i;
              const start = place * (mask + 1);
              const values = logits.subarray(start + FIRST_RANK_TOKEN, start + mask);
              const cell = batch.cells[cellOf[place] as number] as number;
              surprise.set(cell, (surprise.get(cell) ?? 0) + surpriseOf(values, token - FIRST_RANK_TOKEN));
            }
            return drawn;
          },
          [Symbol.dispose]: () => prediction[Symbol.dispose](),
        };
      },
    },
    config: model.config,
    diffusion: model.diffusion,
    vocabulary: model.vocabulary,
    strategy: model.strategy,
    inferenceWeights: model.inferenceWeights,
    tokenizer: model.tokenizer,
    surprise,
  };
}

/** -log p(value) less the entropy of p, p being the softmax of the logits. */
export function surpriseOf(logits: Float32Array, value: number): number {
  const largest = logits.reduce((most, logit) => Math.max(most, logit), Number.NEGATIVE_INFINITY);
  let sum = 0;
  let mean = 0;
  for (const logit of logits) {
    const weight = Math.exp(logit - largest);
    sum += weight;
    mean += weight * logit;
  }
  return mean / sum - (logits[value] as number);
}

/** The cell of each of some ascending rows. */
function rowCells(rows: Int32Array, offsets: Int32Array): Int32Array {
  let cell = 0;
  return rows.map((row) => {
    while (row >= (offsets[cell + 1] as number)) cell++;
    return cell;
  });
}
