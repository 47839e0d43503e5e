import type { KindOptions } from "../shared/kind_of_model.js";
import { DATA_OPTIONS, MODEL_OPTIONS } from "../shared/open.js";
import type { OptionName, OptionValues } from "../shared/options.js";
import { SAMPLING_OPTIONS } from "../shared/sampling.js";

/** Options of `ddsc impute`. */
export const IMPUTE_OPTIONS = [
  "data",
  "out",
  ...MODEL_OPTIONS,
  ...DATA_OPTIONS,
  "where",
  "allowFractional",
  "genes",
  "skipUnknown",
  "fill",
  "maskFraction",
  "atOnce",
  "maxLength",
  ...SAMPLING_OPTIONS,
  "layers",
  "least",
  "replaceX",
  "tell",
  "shard",
  "overwrite",
] as const satisfies readonly OptionName[];

/** Those that belong to one kind of model. */
export const IMPUTE_KINDS: KindOptions = {
  ranks: ["fill", "maskFraction", "atOnce", "maxLength", "sampler", "samplingSteps", "temperature", "batch"],
  counts: ["layers", "least", "replaceX", "tell"],
};

/** Those that it cannot do without. */
export const IMPUTE_REQUIRED = ["model", "data", "out"] as const;

export type ImputeOptions = OptionValues<(typeof IMPUTE_OPTIONS)[number], (typeof IMPUTE_REQUIRED)[number]>;
