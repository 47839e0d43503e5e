import { Purpose, RandomStream } from "../../lib/base/random.js";
import type { DiffusionConfig } from "../../lib/diffusion/index.js";
import { Denoiser } from "../../lib/model/denoiser.js";
import { maskToken } from "../../lib/sampling/index.js";
import { GeneVocabulary, QuantileRanks } from "../../lib/tokenizer/index.js";
import type { RaggedBatch } from "../../lib/tokenizer/ragged_batch.js";

const GENES = 200;

/** A small network with random weights throughout, so that its logits hang on all it sees. */
export async function randomModel(
  bins: number,
  diffusion: Partial<DiffusionConfig> = {},
  timeConditioning = true,
): Promise<Denoiser> {
  const model = await Denoiser.create({
    vocabulary: GeneVocabulary.fromIds(Array.from({ length: GENES }, (_, i) => `gene ${i}`)),
    values: new QuantileRanks({ bins }),
    shape: { hidden: 16, blocks: 1, heads: 2, condDim: 8, timeConditioning },
    diffusion,
    trainable: false,
  });
  const random = new RandomStream(1, Purpose.initialise);
  for (const { name, size } of model.parameters) {
    const scale = name.endsWith("linear.weight") ? 1 : 0.3;
    const values = await model.readParameter(name);
    if (values.every((value) => value === 0)) {
      await model.writeParameter(
        name,
        Float32Array.from({ length: size }, () => scale * random.normal()),
      );
    }
  }
  return model;
}

/** Cells of genes, half of them masked, a cls token first. */
export function halfMasked(model: Denoiser, lengths: readonly number[], firstCell = 0): RaggedBatch {
  const offsets = Int32Array.from([
    0,
    ...lengths.map((_, i) => lengths.slice(0, i + 1).reduce((a, b) => a + b + 1, 0)),
  ]);
  const genes: number[] = [];
  const tokens: number[] = [];
  const random = new RandomStream(2, Purpose.simulate);
  for (const length of lengths) {
    genes.push(1);
    tokens.push(0);
    for (let i = 0; i < length; i++) {
      genes.push(3 + i);
      tokens.push(random.uniform() < 0.5 ? maskToken(model) : 2 + random.below(model.strategy.values));
    }
  }
  return {
    offsets,
    genes: Int32Array.from(genes),
    tokens: Int32Array.from(tokens),
    cells: Float64Array.from(lengths, (_, i) => firstCell + i),
  };
}
