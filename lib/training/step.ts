import { DdscError } from "../base/errors.js";
import { FIRST_RANK_TOKEN, type RaggedBatch } from "../batching/index.js";
import { type CellNoise, drawNoise } from "../diffusion/index.js";
import type { Denoiser } from "../model/denoiser.js";
import type { StagedBatch } from "../native/denoiser.js";
import type { NativeLoss, NativeLossInput } from "../native/types.js";
import type { TrainerSettings } from "./options.js";

/** What one optimizer step gave. */
export interface StepOutcome {
  /** Mean loss, nats per valid token, mean matching included. */
  readonly loss: number;
  /** Mean -log p(x0) under SUBS, nats per masked token; NaN where nothing was masked. */
  readonly crossEntropy: number;
  /** Share of the masked tokens whose most probable rank is the right one; NaN where nothing was masked. */
  readonly accuracy: number;
  /** Global norm of the gradient before clipping. */
  readonly gradientNorm: number;
  /** Tokens, cls included. */
  readonly tokens: number;
}

/** Sums over the calls of a batch. */
export interface LossSums {
  readonly loss: number;
  readonly meanLoss: number;
  readonly crossEntropy: number;
  readonly correct: number;
  readonly maskedTokens: number;
  readonly validTokens: number;
}

export const noLoss: LossSums = {
  loss: 0,
  meanLoss: 0,
  crossEntropy: 0,
  correct: 0,
  maskedTokens: 0,
  validTokens: 0,
};

export function addLoss(sums: LossSums, part: NativeLoss): LossSums {
  return {
    loss: sums.loss + part.loss,
    meanLoss: sums.meanLoss + part.meanLoss,
    crossEntropy: sums.crossEntropy + part.crossEntropy,
    correct: sums.correct + part.correct,
    maskedTokens: sums.maskedTokens + part.maskedTokens,
    validTokens: sums.validTokens + part.validTokens,
  };
}

/**
 * The native calls that compute the loss of a batch in parts: times are drawn for the cells of all parts together, so that they are
 * evenly spread over the whole; masks are named by (seed, step, cell).
 */
export function lossInputs(
  model: Pick<Denoiser, "diffusion" | "strategy">,
  parts: readonly RaggedBatch[],
  names: { readonly seed: number; readonly step: number },
): NativeLossInput[] {
  const cells = Float64Array.from(parts.flatMap((part) => [...part.cells]));
  const drawn = drawNoise(model.diffusion, cells, { ...names, values: model.strategy.values });
  let start = 0;
  return parts.map((batch) => {
    const { moveChance, noise } = noiseOf(drawn, start, start + batch.cells.length);
    start += batch.cells.length;
    return {
      batch,
      noise,
      masking: { kind: "draw", moveChance, ...names },
      objective: model.diffusion.objective,
    };
  });
}

/** What an optimizer step computes on: one or more batches with their noise. */
export interface StepInput {
  /** Number of the step, from 1. */
  readonly step: number;
  readonly inputs: readonly NativeLossInput[];
  /** The first input, where the model was handed it ahead. */
  readonly staged?: StagedBatch | undefined;
  /** Tokens that are not special: what losses are divided by. */
  readonly validTokens: number;
  /** Tokens, cls included. */
  readonly tokens: number;
}

/** The input of a step, for which all but the batches is named by (seed, step, cell). */
export function stepInput(
  model: Pick<Denoiser, "diffusion" | "strategy">,
  batches: readonly RaggedBatch[],
  names: { readonly seed: number; readonly step: number },
): StepInput {
  return {
    step: names.step,
    inputs: lossInputs(model, batches, names),
    validTokens: batches.reduce((sum, { tokens }) => sum + countValid(tokens), 0),
    tokens: batches.reduce((sum, { tokens }) => sum + tokens.length, 0),
  };
}

/** Options of `trainStep`. */
export interface TrainStepOptions {
  readonly learningRate: number;
  readonly signal?: AbortSignal | undefined;
  /** Called while the model computes on the step's last batch: to stage the first of the step to come. */
  readonly stageNext?: () => void;
}

/**
 * One optimizer step, whose batches' gradients add up to exactly that of the mean loss over all their valid tokens.
 * Everything random is named by (settings.seed, step, cell).
 *
 * Throws `TRAIN_NOT_FINITE` where the loss or the gradient is not finite; rejects with the signal's reason where it is
 * aborted. Weights, moments and moving average are as before in either case.
 */
export async function trainStep(
  model: Denoiser,
  { step, inputs, staged, validTokens, tokens }: StepInput,
  settings: TrainerSettings,
  options: TrainStepOptions,
): Promise<StepOutcome> {
  const { native } = model;
  const { learningRate, signal } = options;
  const { seed: dropoutSeed, recompute } = settings;
  const common = { gradientScale: 1 / validTokens, dropoutSeed, step, recompute };
  let sums = noLoss;
  let ahead = staged;
  try {
    for (const [i, input] of inputs.entries()) {
      const loss = native.accumulate(ahead ?? input, common, signal);
      // A GPU gets the next batch while it works on this one.
      const next = inputs[i + 1];
      ahead = next && native.stage(next);
      if (next === undefined) options.stageNext?.();
      sums = addLoss(sums, await loss);
    }
    const loss = (sums.loss + sums.meanLoss) / validTokens;
    if (!Number.isFinite(loss)) throw notFinite("loss", loss, step);
    const { beta1, beta2, epsilon, weightDecay, clip: maxNorm } = settings;
    const emaDecay = Math.min(settings.ema, (1 + step) / (10 + step));
    const adamw = { learningRate, beta1, beta2, epsilon, weightDecay, emaDecay, maxNorm, step };
    const { gradientNorm, applied } = await native.update(adamw);
    if (!applied) throw notFinite("gradient norm", gradientNorm, step);
    return {
      loss,
      crossEntropy: sums.crossEntropy / sums.maskedTokens,
      accuracy: sums.correct / sums.maskedTokens,
      gradientNorm,
      tokens,
    };
  } catch (error) {
    // Where that fails, too (a GPU that is lost), the first error tells more.
    ahead?.[Symbol.dispose]();
    await native.clearGradient().catch(() => undefined);
    throw error;
  }
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

function notFinite(what: string, value: number, step: number): DdscError {
  return new DdscError(
    "TRAIN_NOT_FINITE",
    `step ${step}: the ${what} is ${value}; the weights are those of step ${step - 1} and checkpoints are kept: ` +
      "go on from the last one with a lower learning rate, a longer warm-up or fp32",
    { step },
  );
}
