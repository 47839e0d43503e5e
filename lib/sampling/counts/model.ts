import { checkKind } from "../../base/arguments.js";
import { DdscError } from "../../base/errors.js";
import type { Condition } from "../../conditions/condition.js";
import type { CountBase } from "../../counts/count_base.js";
import type { ChooseQueriesInput } from "../../native/counts.js";
import type { NativeDenoiser } from "../../native/denoiser.js";
import type { DenoiserConfig } from "../../native/types.js";

/** What drawing counts needs of a model; `Denoiser` has it all. */
export interface CountSamplingModel {
  readonly native: Pick<NativeDenoiser, "predictCounts">;
  readonly config: DenoiserConfig;
  /** Absent until it was counted. */
  readonly base: CountBase | undefined;
  /** What `chooseQueries` sums up cells with, where the model reads a summary. */
  readonly summaryInput: ChooseQueriesInput["summary"] | undefined;
  readonly conditions: readonly Condition[];
  readonly inferenceWeights: "weights" | "ema";
  readonly tokenizer: {
    /** Genes of a cell that the network sees at most, cls included. */
    readonly maxLength: number;
  };
}

/** The base of a model of counts. Throws `MODEL_VALUES` for a model of ranks, `MODEL_BASE` for one that was never trained. */
export function requireBase(model: CountSamplingModel): CountBase {
  checkKind("model", model, "model");
  if (model.config.counts === undefined) {
    throw new DdscError(
      "MODEL_VALUES",
      "this works on models of counts, and the model is of ranks; train one of counts (ddsc train without --values ranks)",
      { argument: "model" },
    );
  }
  if (model.base !== undefined) return model.base;
  throw new DdscError(
    "MODEL_BASE",
    "the model has no shares and sizes of genes yet, which training counts; train it first",
    { argument: "model" },
  );
}
