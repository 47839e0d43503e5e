import { checkKind } from "../base/arguments.js";
import { DdscError } from "../base/errors.js";
import type { DiffusionConfig } from "../diffusion/index.js";
import type { NativeDenoiser } from "../native/denoiser.js";
import type { DenoiserConfig } from "../native/types.js";
import type { TokenStrategy } from "../tokenizer/strategy.js";
import type { GeneVocabulary } from "../tokenizer/vocabulary.js";

/** What sampling and evaluation need of a model; `Denoiser` has it all. */
export interface DenoisingModel {
  readonly native: Pick<NativeDenoiser, "predict">;
  readonly config: DenoiserConfig;
  readonly diffusion: DiffusionConfig;
  readonly vocabulary: GeneVocabulary;
  readonly strategy: TokenStrategy;
  /** Which weights to use where the caller does not say. */
  readonly inferenceWeights: "weights" | "ema";
  /** How the cells it was trained on became tokens. */
  readonly tokenizer: {
    /** Whether a cell starts with the cls token. */
    readonly cls: boolean;
  };
}

/** The mask token of a model of ranks: the last one. Throws `ARGUMENT_TYPE` for something else, `MODEL_VALUES` for a model of counts. */
export function maskToken(model: Pick<DenoisingModel, "config">): number {
  checkKind("model", model, "model");
  if (model.config.counts !== undefined) {
    throw new DdscError(
      "MODEL_VALUES",
      "this works on models of ranks, and the model is of counts; train one of ranks (ddsc train --values ranks)",
      { argument: "model" },
    );
  }
  return model.config.vocabSize - 1;
}
