import { DdscError } from "../base/errors.js";
import { alone, type Cluster } from "../cluster/cluster.js";
import { SAMPLE_CELLS } from "../counts/depth_sample.js";
import type { Denoiser } from "../model/denoiser.js";
import type { NativeLoss } from "../native/types.js";
import type { TrainerSettings } from "./options.js";
import type { StepInput } from "./task.js";

/** What one optimizer step gave. */
export interface StepOutcome {
  /** Mean loss, nats per valid token, mean matching included; of counts nats a hidden gene. */
  readonly loss: number;
  /** Mean -log p(x0) under SUBS, nats per masked token, NaN where nothing was masked; of counts the same as `loss`. */
  readonly crossEntropy: number;
  /** Share of the masked tokens whose most probable rank is the right one; NaN where nothing was masked, and of counts. */
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

/** The same sums over all ranks. */
export async function sumOverRanks<Sums extends Readonly<Record<keyof Sums, number>>>(
  cluster: Cluster,
  sums: Sums,
): Promise<Sums> {
  if (cluster.world === 1) return sums;
  const names = Object.keys(sums) as (keyof Sums)[];
  const values = await cluster.sum(names.map((name) => sums[name]));
  return Object.fromEntries(names.map((name, i) => [name, values[i]])) as Sums;
}

/** Options of `trainStep`. */
export interface TrainStepOptions {
  readonly learningRate: number;
  readonly signal?: AbortSignal | undefined;
  /** The ranks that share the step; default this process alone. */
  readonly cluster?: Cluster;
  /** Called while the model computes on the step's last batch: to stage the first of the step to come. */
  readonly stageNext?: () => void;
}

/**
 * One optimizer step, whose batches' gradients add up to exactly that of the mean loss over all their valid tokens.
 * Everything random is named by (settings.seed, step, cell). In a cluster each rank computes its share, and all have the same
 * outcome, weights included.
 *
 * Throws `TRAIN_NOT_FINITE` where the loss or the gradient is not finite; rejects with the signal's reason where it is
 * aborted. Weights, moments and moving average are as before in either case.
 */
export async function trainStep(
  model: Denoiser,
  { step, inputs, staged, divisor, constant, tokens }: StepInput,
  settings: TrainerSettings,
  options: TrainStepOptions,
): Promise<StepOutcome> {
  const { native } = model;
  const { learningRate, signal, cluster = alone } = options;
  const { seed: dropoutSeed, recompute } = settings;
  const common = { gradientScale: 1 / divisor, dropoutSeed, step, recompute };
  const ofCounts = model.config.counts !== undefined;
  let sums = noLoss;
  let ahead = staged;
  try {
    for (const [i, input] of inputs.entries()) {
      const next = inputs[i + 1];
      const communicator = next === undefined ? cluster.communicator : undefined;
      const loss = native.accumulate(ahead ?? input, { ...common, communicator }, signal);
      // A GPU gets the next batch while it works on this one.
      ahead = next && native.stage(next);
      if (next === undefined) options.stageNext?.();
      sums = addLoss(sums, await loss);
    }
    // Before all else that ranks tell one another: sums of the gradient are under way.
    if (cluster.communicator !== undefined) await native.sumGradient(cluster.communicator);
    const all = await sumOverRanks(cluster, { ...sums, constant, tokens });
    const loss = (all.loss + all.meanLoss + all.constant) / divisor;
    if (!Number.isFinite(loss)) throw notFinite("loss", loss, step);
    const { beta1, beta2, epsilon, weightDecay, clip: maxNorm } = settings;
    const emaDecay = Math.min(settings.ema, (1 + step) / (10 + step));
    const stateRate = settings.queries?.stateRate ?? 1;
    const adamw = { learningRate, beta1, beta2, epsilon, weightDecay, emaDecay, maxNorm, step };
    const rates = { stateRate, sizesRate: sizesRateOf(model) };
    const { gradientNorm, applied } = await native.update({ ...adamw, ...rates }, cluster.communicator);
    if (!applied) throw notFinite("gradient norm", gradientNorm, step);
    return {
      loss,
      crossEntropy: ofCounts ? loss : all.crossEntropy / all.maskedTokens,
      accuracy: ofCounts ? Number.NaN : all.correct / all.maskedTokens,
      gradientNorm,
      tokens: all.tokens,
    };
  } catch (error) {
    // Where that fails, too (a GPU that is lost), the first error tells more.
    ahead?.[Symbol.dispose]();
    await native.clearGradient().catch(() => undefined);
    throw error;
  }
}

/**
 * How fast what moves sizes learns, beside the rest of the state: the fewer training cells there are than a full sample of depths has,
 * the slower, for few cells are learnt by heart.
 */
function sizesRateOf({ depths }: Pick<Denoiser, "depths">): number {
  return depths === undefined ? 1 : Math.min(1, depths.depth.length / SAMPLE_CELLS);
}

function notFinite(what: string, value: number, step: number): DdscError {
  return new DdscError(
    "TRAIN_NOT_FINITE",
    `step ${step}: the ${what} is ${value}; the weights are those of step ${step - 1} and checkpoints are kept: ` +
      "go on from the last one with a lower learning rate, a longer warm-up or fp32",
    { step },
  );
}
