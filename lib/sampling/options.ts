import { checkOptions } from "../base/arguments.js";
import { checkChoice, checkNumber, checkSeed, checkWhole, DdscError } from "../base/errors.js";
import type { DenoisingModel } from "./denoising_model.js";

/** How masked ranks are filled in. */
export type SamplerConfig =
  /**
   * The reverse process in `steps` equal steps of time: a masked token is revealed between t and s with chance
   * (m(t) - m(s)) / m(t) for the move chance m (Sahoo et al. 2024). Tokens revealed in the same step are drawn
   * independently of each other, so few steps lose their dependence. Which tokens may be revealed is known from the
   * random stream before the network runs, so it runs only for cells with such a token, and its head only for those
   * tokens: at most one evaluation for each masked token, whatever the steps. For a model trained with sedd, ranks
   * are drawn from its normalised scores.
   */
  | { readonly kind: "ancestral"; readonly steps: number }
  /**
   * Another name of `ancestral`, by which the published program calls its loop that keeps the network's answers while no
   * cell changes.
   */
  | { readonly kind: "cached-ancestral"; readonly steps: number }
  /**
   * The score-based update of Lou et al. 2024 (sedd): the chance to reveal a token depends on the scores, not on the
   * schedule alone. With subs and d3pm models it is `ancestral`.
   */
  | { readonly kind: "analytic"; readonly steps: number }
  /**
   * Exact in continuous time (Zheng et al. 2024, "Masked diffusion models are secretly time-agnostic masked models and
   * exploit inaccurate categorical sampling"): jumps from one reveal to the next, m <- m u^(1/n) with n tokens
   * masked, and reveals one of them, uniformly. One evaluation for each masked token. `steps` bounds the evaluations of a
   * cell: the order of reveals stays as it is, but those of one step are drawn as if independent, leaving a share
   * cos(pi/2 i/steps) ("cosine", default) or 1 - i/steps ("linear") of the tokens masked. Cells with no more masked
   * tokens than steps stay exact.
   */
  | {
      readonly kind: "first-hitting";
      readonly steps?: number;
      readonly schedule?: "cosine" | "linear";
    }
  /**
   * Draws all masked tokens at each step and keeps those with the highest probability (Chang et al. 2022, "MaskGIT"),
   * leaving a share cos(pi/2 i/steps) ("cosine", default) or 1 - i/steps ("linear") of them masked. Fast; its cells are
   * more alike than the model's distribution.
   */
  | {
      readonly kind: "parallel";
      readonly steps: number;
      readonly order?: "confidence";
      readonly schedule?: "cosine" | "linear";
    };

/** The kinds of `SamplerConfig`. */
export const SAMPLER_KINDS = [
  "ancestral",
  "cached-ancestral",
  "analytic",
  "first-hitting",
  "parallel",
] as const;

/** Options of every sampler. */
export interface SamplingOptions {
  /** Default `{ kind: "first-hitting" }`. */
  readonly sampler?: SamplerConfig;
  /** Divides the logits: below 1 favours probable ranks, 0 always takes the most probable. 0..100, default 1. */
  readonly temperature?: number;
  /** Whole number below 2^53; with a cell's global index it names the cell's random numbers. Default 0. */
  readonly seed?: number;
  /** The trained weights or their moving average; default the model's `inferenceWeights`. */
  readonly weights?: "weights" | "ema";
  /** Tokens in one run of the network at most (a longer cell runs alone); bounds memory. Default 16,384. */
  readonly maxTokens?: number;
  /** Ends sampling: the call rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** `SamplingOptions` with defaults filled in and checked. */
export interface CheckedSampling {
  readonly sampler: SamplerConfig;
  readonly temperature: number;
  readonly seed: number;
  readonly weights: "weights" | "ema";
  readonly maxTokens: number;
  readonly signal: AbortSignal | undefined;
}

/** Steps of a sampler, of ranks and of counts, at most. */
export const MAX_STEPS = 1_000_000;

/** Fills in defaults. Throws `ARGUMENT_TYPE`, `ARGUMENT_RANGE`, `ARGUMENT_CHOICE`, or `SAMPLER_UNKNOWN`. */
export function checkSampling(
  options: SamplingOptions,
  model: Pick<DenoisingModel, "inferenceWeights">,
): CheckedSampling {
  checkOptions(options, { sampler: "object", signal: "signal" });
  return {
    sampler: checkSampler(options.sampler ?? { kind: "first-hitting" }),
    temperature: checkNumber("temperature", options.temperature ?? 1, { min: 0, max: 100 }),
    seed: checkSeed(options.seed ?? 0),
    weights: checkChoice("weights", options.weights ?? model.inferenceWeights, ["weights", "ema"]),
    maxTokens: checkWhole("maxTokens", options.maxTokens ?? 16_384, 1, 2 ** 31 - 1),
    signal: options.signal,
  };
}

function checkSampler(sampler: SamplerConfig): SamplerConfig {
  const whole = { min: 1, max: MAX_STEPS, integer: true };
  switch (sampler.kind) {
    case "ancestral":
    case "cached-ancestral":
    case "analytic":
      checkNumber("sampler.steps", sampler.steps, whole);
      return sampler;
    case "first-hitting":
      checkNumber("sampler.steps", sampler.steps ?? 1, whole);
      checkChoice("sampler.schedule", sampler.schedule ?? "cosine", ["cosine", "linear"]);
      return sampler;
    case "parallel":
      checkNumber("sampler.steps", sampler.steps, whole);
      checkChoice("sampler.order", sampler.order ?? "confidence", ["confidence"]);
      checkChoice("sampler.schedule", sampler.schedule ?? "cosine", ["cosine", "linear"]);
      return sampler;
    default:
      throw new DdscError(
        "SAMPLER_UNKNOWN",
        `expected one of ${SAMPLER_KINDS.join(", ")} for sampler.kind but received ${String((sampler as { kind?: unknown }).kind)}`,
        { argument: "sampler.kind" },
      );
  }
}
