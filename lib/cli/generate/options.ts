import type { KindOptions } from "../shared/kind_of_model.js";
import { DATA_OPTIONS, MODEL_OPTIONS } from "../shared/open.js";
import type { OptionName, OptionValues } from "../shared/options.js";
import { SAMPLING_OPTIONS } from "../shared/sampling.js";

/** Options of `ddsc generate`. */
export const GENERATE_OPTIONS = [
  "out",
  "cells",
  "set",
  "like",
  "depth",
  "genes",
  "skipUnknown",
  "data",
  ...MODEL_OPTIONS,
  ...DATA_OPTIONS,
  ...SAMPLING_OPTIONS,
  "guidance",
  "guidanceRamp",
  "evidenceGuidance",
  "eta",
  "shard",
  "overwrite",
] as const satisfies readonly OptionName[];

/** Those that it cannot do without. */
export const GENERATE_REQUIRED = ["model", "out"] as const;

/** Those that belong to one kind of model. */
export const GENERATE_KINDS: KindOptions = {
  ranks: ["data", "temperature"],
  counts: ["set", "like", "depth", "guidance", "guidanceRamp", "evidenceGuidance", "eta"],
};

export type GenerateOptions = OptionValues<
  (typeof GENERATE_OPTIONS)[number],
  (typeof GENERATE_REQUIRED)[number]
>;
