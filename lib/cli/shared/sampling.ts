import type { Denoiser } from "../../model/denoiser.js";
import type { SamplerConfig, SamplingOptions } from "../../sampling/index.js";
import { type CommandContext, checkExclusive } from "./command.js";
import type { OptionValues } from "./options.js";
import { UsageError } from "./usage_error.js";

/** Options of a command that samples. */
export const SAMPLING_OPTIONS = [
  "sampler",
  "samplingSteps",
  "temperature",
  "seed",
  "batch",
  "batchTokens",
] as const;
type SamplingValues = OptionValues<(typeof SAMPLING_OPTIONS)[number]>;

/** Cells read and filled in at a time where `--batch` is not given. */
const DEFAULT_CELLS = 64;
/** Tokens in one run of the network where neither size is given. */
const DEFAULT_TOKENS = 16_384;
/** Steps of a sampler that was chosen without saying how many. */
const DEFAULT_STEPS = 32;
const ANY_TOKENS = 2 ** 31 - 1;

/** Cells to take at a time. Throws a UsageError where both sizes of a batch are given. */
export function samplingCells({ batch }: SamplingValues, context: CommandContext): number {
  checkExclusive(context, "batch", "batchTokens");
  return batch ?? DEFAULT_CELLS;
}

/** What the samplers take, from the command line. */
export function samplingOptions(
  model: Denoiser,
  options: SamplingValues,
  context: CommandContext,
): SamplingOptions {
  return {
    sampler: samplerOf(options, context),
    temperature: options.temperature,
    seed: options.seed,
    weights: model.inferenceWeights,
    maxTokens: options.batchTokens ?? (options.batch === undefined ? DEFAULT_TOKENS : ANY_TOKENS),
    signal: context.signal,
  };
}

/** A command's own default number of steps is for its own default sampler; first-hitting is exact unless it is told one. */
function samplerOf(
  { sampler: kind, samplingSteps }: SamplingValues,
  { given }: CommandContext,
): SamplerConfig {
  if (kind === "remasking")
    throw new UsageError("--sampler remasking is for models of counts; choose another");
  if (kind === "first-hitting") return given("samplingSteps") ? { kind, steps: samplingSteps } : { kind };
  return { kind, steps: given("sampler") && !given("samplingSteps") ? DEFAULT_STEPS : samplingSteps };
}
