import { NativeDenoiser } from "../../lib/native/denoiser.js";
import type { DType, NativeLoss } from "../../lib/native/types.js";
import { Comparisons } from "./compare.js";
import { type Fixture, notAFixture } from "./fixture.js";
import { type ModelInputs, readModelInputs, unpadded } from "./model_inputs.js";
import { ancestralProbabilities, splitInfinite, subsLogProbabilities } from "./subs.js";

/** Gradients are clipped to this norm in the fixtures' optimizer steps. */
const MAX_NORM = 1;

/**
 * Everything a model fixture knows: logits, log-probabilities, loss and its terms by token, every parameter's
 * gradient and their norm, the ancestral sampler's probabilities, and where the file has them, the weights, the
 * moving average and the losses of some optimizer steps.
 */
export async function compareModel(fixture: Fixture, dtype: DType, device: string) {
  const inputs = await readModelInputs(fixture);
  using model = new NativeDenoiser({ config: inputs.config, dtype, device, trainable: true });
  await loadWeights(model, fixture);
  const comparisons = new Comparisons(dtype);
  await comparePrediction(model, fixture, inputs, comparisons);
  await compareTraining(model, fixture, inputs, comparisons);
  return { device: model.device, tensors: comparisons.list };
}

export async function loadWeights(model: NativeDenoiser, fixture: Fixture): Promise<void> {
  await model.initialise(0);
  const extra = new Set(fixture.names("param."));
  for (const { name, offset, size } of model.parameters) {
    if (!extra.delete(`param.${name}`)) throw notAFixture(fixture.file, `it holds no tensor "param.${name}"`);
    const values = await fixture.floats(`param.${name}`, size);
    await model.write("weights", offset, values);
    await model.write("ema", offset, values);
  }
  for (const name of extra)
    throw notAFixture(fixture.file, `the model has no parameter for its tensor "${name}"`);
  await model.clearGradient();
}

async function comparePrediction(
  model: NativeDenoiser,
  fixture: Fixture,
  inputs: ModelInputs,
  comparisons: Comparisons,
): Promise<void> {
  const { batch, noisy, noise, places, config } = inputs;
  const vocabulary = config.vocabSize;
  const mask = vocabulary - 1;
  const expected = async (name: string, width = 1) => unpadded(await fixture.floats(name), places, width);
  using prediction = await model.predict(
    { ...batch, tokens: noisy },
    { conditioning: noise.conditioning, rows: Int32Array.from(noisy.keys()) },
  );
  const logits = await prediction.logits();
  comparisons.add("out.logits", "output", logits, await expected("out.logits", vocabulary));

  const ours = subsLogProbabilities(logits, noisy, vocabulary);
  const theirs = splitInfinite(await expected("out.log_probs", vocabulary));
  comparisons.add("out.log_probs", "output", splitInfinite(ours).finite, theirs.finite);
  comparisons.add("out.log_probs (zero mass)", "exact", splitInfinite(ours).infinite, theirs.infinite);
  comparisons.add(
    "out.ancestral_probs",
    "output",
    ancestralProbabilities(ours, batch.offsets, inputs.time, vocabulary),
    await expected("out.ancestral_probs", vocabulary),
  );

  const { targetLogProbability, expectedToken } = await prediction.statistics(batch.tokens);
  const cellOf = cellIndices(batch.offsets);
  const masked = (of: (token: number) => number) =>
    Float64Array.from(noisy, (token, i) => (token === mask ? of(i) : 0));
  const weightOf = (token: number) => noise.weight[cellOf[token] as number] as number;
  const nelbo = masked((i) => -(targetLogProbability[i] as number) * weightOf(i));
  const distance = masked((i) => Math.abs((expectedToken[i] as number) - (batch.tokens[i] as number)));
  comparisons.add("out.nelbo_per_token", "output", nelbo, await expected("out.nelbo_per_token"));
  comparisons.add(
    "out.mean_matching_per_token",
    "output",
    distance,
    await expected("out.mean_matching_per_token"),
  );
}

async function compareTraining(
  model: NativeDenoiser,
  fixture: Fixture,
  inputs: ModelInputs,
  comparisons: Comparisons,
): Promise<void> {
  const steps = stepsOf(fixture);
  const losses: number[] = [];
  const { batch, noisy, noise, valid } = inputs;
  const validTokens = valid.reduce((sum, one) => sum + one, 0);
  for (let step = 1; step <= Math.max(1, steps); step++) {
    const sums: NativeLoss = await model.accumulate(
      { batch, masking: { kind: "given", noisy }, noise, objective: { kind: "subs" } },
      { gradientScale: 1 / validTokens, dropoutSeed: 0, step },
    );
    losses.push((sums.loss + sums.meanLoss) / sums.validTokens);
    if (step === 1) await compareGradients(model, fixture, comparisons);
    const { gradientNorm } = await model.update({
      learningRate: 3e-4,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 0,
      emaDecay: Math.min(0.9999, (1 + step) / (10 + step)),
      maxNorm: MAX_NORM,
      step,
    });
    if (step > 1) continue;
    comparisons.add("out.loss", "output", losses, await fixture.floats("out.loss", 1));
    comparisons.add("out.grad_norm", "gradient", [gradientNorm], await fixture.floats("out.grad_norm", 1));
  }
  if (steps === 0) return;
  comparisons.add(`out.losses${steps}`, "output", losses, await fixture.floats(`out.losses${steps}`, steps));
  for (const [buffer, prefix] of [
    ["weights", "after"],
    ["ema", "ema"],
  ] as const) {
    for (const { name, offset, size } of model.parameters) {
      const tensor = `${prefix}${steps}.${name}`;
      const ours = await model.read(buffer, offset, size);
      comparisons.add(tensor, "output", ours, await fixture.floats(tensor, size));
    }
  }
}

async function compareGradients(
  model: NativeDenoiser,
  fixture: Fixture,
  comparisons: Comparisons,
): Promise<void> {
  for (const { name, offset, size } of model.parameters) {
    const ours = await model.read("gradient", offset, size);
    comparisons.add(`grad.${name}`, "gradient", ours, await fixture.floats(`grad.${name}`, size));
  }
}

/** Number of optimizer steps whose outcome the file holds. */
function stepsOf(fixture: Fixture): number {
  const [name] = fixture.names("after");
  return Number(/^after(\d+)\./.exec(name ?? "")?.[1] ?? 0);
}

/** Index of each token's cell. */
function cellIndices(offsets: Int32Array): Int32Array {
  const cells = new Int32Array(offsets.at(-1) ?? 0);
  for (let cell = 0; cell + 1 < offsets.length; cell++) {
    cells.fill(cell, offsets[cell], offsets[cell + 1]);
  }
  return cells;
}
