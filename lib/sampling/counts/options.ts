import { checkOptions } from "../../base/arguments.js";
import { checkChoice, checkNumber, checkSeed, checkWhole, DdscError } from "../../base/errors.js";
import { MAX_ROWS } from "../../counts/count_cells.js";
import { MAX_STEPS } from "../options.js";
import type { UnmaskingSchedule } from "../unmasking.js";

/** How the hidden genes of a cell are revealed, in random order: none of the kinds looks at what the network says to choose. */
export type CountSamplerConfig =
  /**
   * One gene after the other: exact draws from the model, as many runs of the network as there are hidden genes. With `steps`,
   * several genes in a step, as `parallel`; cells with no more hidden genes than steps stay exact.
   */
  | { readonly kind: "first-hitting"; readonly steps?: number; readonly schedule?: UnmaskingSchedule }
  /** A fixed number of genes in each step: a share cos(pi/2 i/steps) ("cosine", default) or 1 - i/steps ("linear") stays hidden. */
  | { readonly kind: "parallel"; readonly steps: number; readonly schedule?: UnmaskingSchedule }
  /** The reverse process in `steps` equal steps of time: each hidden gene is revealed between t and s with chance (t - s) / t. */
  | { readonly kind: "ancestral"; readonly steps: number }
  /**
   * `ancestral`, but genes that were drawn are hidden again, with chance eta times the greatest that leaves the process as it is
   * (Wang, Schiff, Sahoo and Kuleshov, "Remasking discrete diffusion models with inference-time scaling", 2025: ReMDM-rescale), so
   * that what was drawn early is drawn once more beside what came later. `eta` 0..1, default 0.2.
   */
  | { readonly kind: "remasking"; readonly steps: number; readonly eta?: number };

/** The kinds of `CountSamplerConfig`. */
export const COUNT_SAMPLER_KINDS = ["first-hitting", "parallel", "ancestral", "remasking"] as const;

/** Classifier-free guidance: network logits, tilts and log sizes are those without conditions + gamma times what conditions add. */
export interface GuidanceConfig {
  /** 1: the model as it is; 0: without conditions; above 1: more typical of them. 0..100 */
  readonly gamma: number;
  /** "linear": from 1 at the first step to gamma at the last. Default: gamma in every step. */
  readonly ramp?: "linear";
}

/** Options of what draws counts. */
export interface CountSamplingOptions {
  /** Default `{ kind: "parallel", steps: 64 }`. */
  readonly sampler?: CountSamplerConfig;
  /** Default 1. A number is a gamma without a ramp. */
  readonly guidance?: number | GuidanceConfig;
  /**
   * Network logits, tilts and log sizes are those of a cell of which nothing is visible + so much of what the visible genes add, drawn ones
   * too: 1 is the model as it is; above 1, cells differ more from each other. 0..10. Default 1; of whole cells, by `generateCells`, 1.15.
   */
  readonly evidenceGuidance?: number;
  /** Whole number below 2^53; with a cell's global index it names the cell's random numbers. Default 0. */
  readonly seed?: number;
  /** The trained weights or their moving average; default the model's `inferenceWeights`. */
  readonly weights?: "weights" | "ema";
  /** Rows (cls, evidence, queries) in one run of the network at most; a longer cell runs alone. Bounds memory. Default 32,768. */
  readonly maxRows?: number;
  /** Ends sampling: the call rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** `CountSamplingOptions` with defaults filled in and checked. */
export interface CheckedCountSampling {
  readonly sampler: CountSamplerConfig;
  readonly guidance: GuidanceConfig;
  readonly evidenceGuidance: number;
  readonly seed: number;
  readonly weights: "weights" | "ema";
  readonly maxRows: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * `evidenceGuidance` of whole generated cells: what a model that is unsure says too little of what it sees adds up from step to step,
 * and correlations of genes come out too weak (docs/sampling.md has the measurements).
 */
export const WHOLE_CELL_GUIDANCE = 1.15;

const DEFAULT_SAMPLER: CountSamplerConfig = { kind: "parallel", steps: 64 };

/** Fills in defaults. Throws `ARGUMENT_TYPE`, `ARGUMENT_RANGE`, `ARGUMENT_CHOICE`, `SAMPLER_UNKNOWN`. */
export function checkCountSampling(
  options: CountSamplingOptions,
  inferenceWeights: "weights" | "ema",
): CheckedCountSampling {
  checkOptions(options, { sampler: "object", signal: "signal" });
  return {
    sampler: checkSampler(options.sampler ?? DEFAULT_SAMPLER),
    guidance: checkGuidance(options.guidance ?? 1),
    evidenceGuidance: checkNumber("evidenceGuidance", options.evidenceGuidance ?? 1, { min: 0, max: 10 }),
    seed: checkSeed(options.seed ?? 0),
    weights: checkChoice("weights", options.weights ?? inferenceWeights, ["weights", "ema"]),
    maxRows: checkWhole("maxRows", options.maxRows ?? MAX_ROWS, 1, 2 ** 31 - 1),
    signal: options.signal,
  };
}

function checkGuidance(guidance: number | GuidanceConfig): GuidanceConfig {
  if (typeof guidance === "number") return { gamma: checkGamma("guidance", guidance) };
  checkOptions(guidance);
  checkGamma("guidance.gamma", guidance.gamma);
  if (guidance.ramp !== undefined) checkChoice("guidance.ramp", guidance.ramp, ["linear"]);
  return guidance;
}

function checkGamma(name: string, gamma: number): number {
  return checkNumber(name, gamma, { min: 0, max: 100 });
}

function checkSampler(sampler: CountSamplerConfig): CountSamplerConfig {
  const whole = { min: 1, max: MAX_STEPS, integer: true };
  switch (sampler.kind) {
    case "first-hitting":
      checkNumber("sampler.steps", sampler.steps ?? 1, whole);
      checkChoice("sampler.schedule", sampler.schedule ?? "cosine", ["cosine", "linear"]);
      return sampler;
    case "parallel":
      checkNumber("sampler.steps", sampler.steps, whole);
      checkChoice("sampler.schedule", sampler.schedule ?? "cosine", ["cosine", "linear"]);
      return sampler;
    case "ancestral":
      checkNumber("sampler.steps", sampler.steps, whole);
      return sampler;
    case "remasking":
      checkNumber("sampler.steps", sampler.steps, whole);
      checkNumber("sampler.eta", sampler.eta ?? 0, { min: 0, max: 1 });
      return sampler;
    default:
      throw new DdscError(
        "SAMPLER_UNKNOWN",
        `expected one of ${COUNT_SAMPLER_KINDS.join(", ")} for sampler.kind of a model of counts but received ${String((sampler as { kind?: unknown }).kind)}`,
        { argument: "sampler.kind" },
      );
  }
}
