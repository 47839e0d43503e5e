import { checkKind } from "../../base/arguments.js";
import { DdscError } from "../../base/errors.js";
import type { Condition } from "../../conditions/condition.js";
import { baseOf, type CountModel } from "../../counts/ask_model.js";
import type { CountBase } from "../../counts/count_base.js";
import type { DenoiserConfig } from "../../native/types.js";

/** What drawing counts needs of a model; `Denoiser` has it all. */
export interface CountSamplingModel extends CountModel {
  readonly config: DenoiserConfig;
  readonly conditions: readonly Condition[];
}

/** The base of a model of counts. Throws `MODEL_VALUES` for a model of ranks, `MODEL_BASE` for one that was never trained. */
export function requireBase(model: CountSamplingModel): CountBase {
  checkKind("model", model, "model");
  if (model.config.counts !== undefined) return baseOf(model);
  throw new DdscError(
    "MODEL_VALUES",
    "this works on models of counts, and the model is of ranks; train one of counts (ddsc train without --values ranks)",
    { argument: "model" },
  );
}
