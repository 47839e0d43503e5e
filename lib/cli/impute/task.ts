import type { CellSource } from "../../data/sources/source.js";
import type { Denoiser } from "../../model/denoiser.js";
import type { CommandContext } from "../command.js";
import { DATA_OPTIONS, MODEL_OPTIONS } from "../open.js";
import { flagOf } from "../option_kinds.js";
import type { OptionName, OptionValues } from "../options.js";
import { SAMPLING_OPTIONS } from "../sampling.js";
import { UsageError } from "../usage_error.js";

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
  "overwrite",
] as const satisfies readonly OptionName[];

/** Those that belong to one kind of model. */
const OF_RANKS = [
  "fill",
  "maskFraction",
  "atOnce",
  "maxLength",
  "sampler",
  "samplingSteps",
  "temperature",
  "seed",
  "batch",
] as const satisfies readonly OptionName[];
const OF_COUNTS = ["layers", "least", "replaceX", "tell"] as const satisfies readonly OptionName[];

/** Throws a UsageError where an option was given that is for the other kind of model. */
export function refuseOthers(model: string, ofCounts: boolean, { given }: CommandContext): void {
  const other = (ofCounts ? OF_RANKS : OF_COUNTS).find(given);
  if (other === undefined) return;
  const [wanted, own] = ofCounts ? ["ranks", "counts"] : ["counts", "ranks"];
  const remedy = other === "batch" ? "give --batch-tokens instead" : "leave it out";
  throw new UsageError(`${flagOf(other)} is for models of ${wanted}, and ${model} is of ${own}; ${remedy}`);
}

/** Those that it cannot do without. */
export const IMPUTE_REQUIRED = ["model", "data", "out"] as const;

export type ImputeOptions = OptionValues<(typeof IMPUTE_OPTIONS)[number], (typeof IMPUTE_REQUIRED)[number]>;

/** What `ddsc impute` was asked to do, with data and model opened. */
export interface ImputeTask {
  readonly source: CellSource;
  readonly model: Denoiser;
  /** Genes of --genes as they were given; undefined without it. */
  readonly listed: readonly string[] | undefined;
  readonly options: ImputeOptions;
  readonly context: CommandContext;
}
