// How long filling in half of each cell takes, by cached ancestral steps.

import { Denoiser } from "../lib/model/denoiser.js";
import { Purpose, RandomStream } from "../lib/random.js";
import { maskToken, sample } from "../lib/sampling/index.js";
import { GeneVocabulary } from "../lib/tokenizer/index.js";
import { benchBatch } from "./inputs.js";
import { bench } from "./measure.js";
import { readBenchOptions } from "./options.js";

const options = readBenchOptions();
const { preset, device, dtype } = options;
const vocabulary = GeneVocabulary.fromIds(
  Array.from({ length: options.genes - 3 }, (_, gene) => `gene ${gene}`),
);
using model = await Denoiser.create({ preset, device, dtype, vocabulary, trainable: false });
const whole = benchBatch(options);
const random = new RandomStream(0, Purpose.mask);
const batch = {
  ...whole,
  tokens: whole.tokens.map((token) => (random.uniform() < 0.5 ? maskToken(model) : token)),
};

await bench(options, {
  what: `inpaint ${options.samplingSteps} steps`,
  repeats: Math.max(1, Math.floor(options.repeats / 3)),
  run: async () => {
    await sample(model, batch, { sampler: { kind: "cached-ancestral", steps: options.samplingSteps } });
  },
});
