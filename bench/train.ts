// How long a training step takes: masking, forward, loss with mean matching, backward, clipping, AdamW and EMA.
import { defaultDiffusion, drawNoise } from "../lib/diffusion/index.js";
import { DEFAULT_RANKS } from "../lib/tokenizer/index.js";
import { benchBatch, benchModel } from "./inputs.js";
import { bench, forwardFlops } from "./measure.js";
import { readBenchOptions } from "./options.js";

const options = readBenchOptions();
const { config, native } = await benchModel(options, true);
using model = native;
const batch = benchBatch(options);
const tokens = options.batch * options.length;
const diffusion = { ...defaultDiffusion, antithetic: false, meanMatching: 1 };
let step = 0;

async function trainStep(): Promise<void> {
  step++;
  const { moveChance, noise } = drawNoise(diffusion, batch.cells, { seed: 0, step, values: DEFAULT_RANKS });
  await model.accumulate(
    { batch, masking: { kind: "draw", moveChance, seed: 0, step }, noise, objective: { kind: "subs" } },
    { gradientScale: 1 / tokens, dropoutSeed: 0, step },
  );
  await model.update({
    learningRate: 3e-4,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0,
    emaDecay: 0.9999,
    maxNorm: 1,
    step,
  });
}

await bench(options, {
  what: "train step",
  repeats: options.repeats,
  flops: 3 * forwardFlops(config, options.length, tokens),
  run: trainStep,
});
