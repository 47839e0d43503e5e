import type { DiffusionConfig } from "../../diffusion/index.js";
import type { DenoiserOptions } from "../../model/denoiser.js";
import type { QuerySettings, TrainerOptions } from "../../training/options.js";
import type { CommandContext } from "../shared/command.js";
import { DATA_OPTIONS } from "../shared/open.js";
import { flagOf } from "../shared/option_kinds.js";
import { EVERYWHERE, type OptionName, type OptionValues } from "../shared/options.js";
import { UsageError } from "../shared/usage_error.js";

const MODEL_SHAPE = [
  "values",
  "condition",
  "preset",
  "dropout",
  "timeConditioning",
  "vocabulary",
  "weights",
] as const;
const TOKENS = ["maxLength", "includeUnexpressed", "minGenes"] as const;
const DIFFUSION = [
  "objective",
  "diffusionSteps",
  "noiseSchedule",
  "meanMatching",
  "timeSampling",
  "importanceSampling",
  "changeOfVariables",
] as const;
const OPTIMISER = [
  "steps",
  "batch",
  "batchTokens",
  "lanes",
  "accumulate",
  "recompute",
  "shardOptimizer",
  "learningRate",
  "learningRateSchedule",
  "warmup",
  "weightDecay",
  "clip",
  "ema",
  "patience",
  "zeros",
  "expressed",
  "thinning",
  "mostlyHidden",
  "conditionDrop",
  "validation",
  "holdout",
  "validationCells",
  "validateEvery",
  "checkpointEvery",
  "keep",
] as const;
/** Options of `ddsc train`. */
export const TRAIN_OPTIONS = [
  "data",
  "out",
  ...OPTIMISER,
  ...MODEL_SHAPE,
  ...TOKENS,
  ...DIFFUSION,
  "seed",
  "device",
  "dtype",
  ...DATA_OPTIONS,
  "allowFractional",
  "where",
  "resume",
  "overwrite",
  "watch",
  "tensorboard",
] as const;
/** What may be given anew when a run goes on; all else it has from its beginning. */
export const RESUMABLE: ReadonlySet<OptionName> = new Set([
  "data",
  "out",
  "steps",
  "device",
  "shardOptimizer",
  "resume",
  "watch",
  "tensorboard",
  ...DATA_OPTIONS,
  ...EVERYWHERE,
]);

/** Their values. */
export type TrainOptions = OptionValues<(typeof TRAIN_OPTIONS)[number], "out">;

/** Names of the conditions that were asked for. */
export function conditionNames({ condition, values }: TrainOptions): string[] {
  if (condition === undefined) return [];
  if (values === "counts") return condition.split(",").map((name) => name.trim());
  throw new UsageError("--condition is for models of counts; leave it out, or leave --values ranks out");
}

/** Options that belong to one kind of model. */
const OF_COUNTS = ["zeros", "expressed", "thinning", "mostlyHidden", "conditionDrop"] as const;
const OF_RANKS = ["timeConditioning", "includeUnexpressed"] as const;

/** What a new model is to be; which vocabulary and weights it starts from is the caller's. */
export function denoiserOptions(
  options: TrainOptions,
  { given }: CommandContext,
): Omit<DenoiserOptions, "vocabulary"> {
  const { values, preset, dropout, timeConditioning, maxLength, includeUnexpressed, minGenes, seed } =
    options;
  const { device, dtype } = options;
  const other = (values === "counts" ? OF_RANKS : OF_COUNTS).find(given);
  if (other !== undefined) {
    throw new UsageError(
      `${flagOf(other)} is for models of ${values === "counts" ? "ranks (--values ranks)" : "counts"}; leave it out`,
    );
  }
  if (given("diffusionSteps") && options.objective !== "d3pm") {
    throw new UsageError("--diffusion-steps is for --objective d3pm, of models of ranks; leave it out");
  }
  return {
    values,
    preset,
    shape: values === "counts" ? { dropout } : { dropout, timeConditioning },
    diffusion: diffusionOf(options),
    tokenizer: { maxLength, includeUnexpressed, minGenes, seed },
    seed,
    ...(device === undefined ? {} : { device }),
    ...(dtype === undefined ? {} : { dtype }),
  };
}

function diffusionOf(options: TrainOptions): Partial<DiffusionConfig> {
  const { objective: kind, diffusionSteps: steps, noiseSchedule, meanMatching } = options;
  return {
    objective: kind === "d3pm" ? { kind, steps } : { kind },
    schedule: { kind: noiseSchedule },
    meanMatching,
    antithetic: options.timeSampling === "antithetic",
    importanceSampling: options.importanceSampling,
    changeOfVariables: options.changeOfVariables,
  };
}

/** How it is to be trained. */
export function trainerOptions(options: TrainOptions, { given }: CommandContext): TrainerOptions {
  const { batch, batchTokens, where, holdout, warmup, validateEvery, checkpointEvery } = options;
  const size = batchTokens === undefined ? { batchCells: batch ?? 64 } : { batchTokens };
  const kind = options.learningRateSchedule;
  return {
    folder: options.out,
    overwrite: options.overwrite,
    ...(options.learningRate === undefined ? {} : { learningRate: options.learningRate }),
    schedule: warmup === undefined ? { kind } : { kind, warmup },
    ...(options.weightDecay === undefined ? {} : { weightDecay: options.weightDecay }),
    clip: options.clip,
    lanes: options.lanes,
    accumulation: options.accumulate,
    recompute: options.recompute,
    ...(options.ema === undefined ? {} : { ema: options.ema }),
    ...(options.patience === undefined ? {} : { patience: options.patience }),
    ...(options.values === "counts" ? { queries: querySettings(options) } : {}),
    ...size,
    // Batches of so many tokens hold cells of similar length, or the longest cell would decide how many fit.
    lengthBuckets: given("batchTokens"),
    seed: options.seed,
    allowFractional: options.allowFractional,
    ...(where === undefined ? {} : { where }),
    validation:
      options.validation === 0
        ? false
        : {
            ...(holdout === undefined ? { fraction: options.validation } : { where: holdout }),
            cells: options.validationCells,
            ...(validateEvery === undefined ? {} : { every: validateEvery }),
          },
    checkpoint: { keep: options.keep, ...(checkpointEvery === undefined ? {} : { every: checkpointEvery }) },
  };
}

function querySettings(options: TrainOptions): Partial<QuerySettings> {
  const { zeros, expressed, thinning, mostlyHidden, conditionDrop } = options;
  return {
    ...(zeros === undefined ? {} : { zeros }),
    ...(expressed === undefined ? {} : { expressed }),
    ...(thinning === undefined ? {} : { thinning }),
    ...(mostlyHidden === undefined ? {} : { mostlyHidden }),
    ...(conditionDrop === undefined ? {} : { conditionDrop }),
  };
}
