import { describe, expect, it } from "vitest";
import { evaluate } from "../../lib/evaluation/evaluate.js";
import { inpaint, maskToken, type SamplerConfig, sample } from "../../lib/sampling/index.js";
import { halfMasked, randomModel } from "./random_model.js";

const samplers: readonly SamplerConfig[] = [
  { kind: "first-hitting" },
  { kind: "first-hitting", steps: 3 },
  { kind: "parallel", steps: 3 },
  { kind: "ancestral", steps: 3 },
  { kind: "cached-ancestral", steps: 3 },
];

/** A model whose logits are no finite numbers: its weights are finite, their products are not. */
async function overflowing() {
  const model = await randomModel(8);
  const name = "output_layer.linear.weight";
  const size = model.parameters.find((parameter) => parameter.name === name)!.size;
  await model.writeParameter(name, new Float32Array(size).fill(3e38));
  return model;
}

describe("a network that says no finite number", () => {
  it.each(samplers)("ends sampling with an error that names the cell ($kind)", async (sampler) => {
    using model = await overflowing();
    const batch = halfMasked(model, [30, 20], 7);
    await expect(sample(model, batch, { sampler })).rejects.toMatchObject({
      code: "MODEL_NOT_FINITE",
      message: expect.stringMatching(/of cell [78]:/),
    });
  });

  it("ends filling in and evaluation, too", async () => {
    using model = await overflowing();
    const batch = halfMasked(model, [30, 20]);
    const expected = { code: "MODEL_NOT_FINITE" };
    for (const temperature of [0, 1])
      await expect(
        inpaint(model, batch, { sampler: { kind: "parallel", steps: 1 }, temperature }),
      ).rejects.toMatchObject(expected);
    const tokens = batch.tokens.map((token) => (token === maskToken(model) ? 3 : token));
    await expect(evaluate(model, [{ ...batch, tokens }])).rejects.toMatchObject(expected);
  });

  it.each(samplers)("ends where nothing is revealed ($kind)", async (sampler) => {
    using model = await randomModel(8);
    const mask = maskToken(model);
    const { native } = model;
    const blind = {
      ...pick(model),
      native: {
        predict: async (...call: Parameters<typeof native.predict>) => {
          const prediction = await native.predict(...call);
          return {
            ...prediction,
            draw: async (options: Parameters<typeof prediction.draw>[0]) => {
              const { tokens, probability } = await prediction.draw(options);
              return { tokens: tokens.map(() => mask), probability };
            },
          };
        },
      },
    };
    await expect(sample(blind, halfMasked(model, [12], 4), { sampler })).rejects.toMatchObject({
      code: "SAMPLING_STUCK",
      message: expect.stringContaining("tokens of cell 4 masked"),
    });
  });
});

function pick(model: Awaited<ReturnType<typeof randomModel>>) {
  const { config, diffusion, vocabulary, strategy, inferenceWeights, tokenizer } = model;
  return { config, diffusion, vocabulary, strategy, inferenceWeights, tokenizer };
}
