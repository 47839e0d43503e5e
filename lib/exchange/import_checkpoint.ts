import { join } from "node:path";
import { checkKind, checkOptions } from "../base/arguments.js";
import { checkNumber, checkOptionNames, checkWhole, DdscError, wrongType } from "../base/errors.js";
import { type DiffusionConfig, diffusionFrom } from "../diffusion/index.js";
import { writeFolder } from "../model/folder.js";
import { findModelFile, holdsModel, ModelFile, writeDescription } from "../model/model_files.js";
import { writeSafetensors } from "../model/safetensors.js";
import { requireFinite } from "../model/weights.js";
import { modelParameters } from "../native/parameters.js";
import type { DenoiserConfig } from "../native/types.js";
import { CellTokenizer, GeneVocabulary, QuantileRanks } from "../tokenizer/index.js";
import { readSettings } from "./hyperparameters.js";
import { type Matched, matchAverage, matchWeights } from "./match_weights.js";
import { type KnownShape, type Recognised, rankCount, recognise } from "./recognise.js";
import { findWeights } from "./state_dict.js";
import { TorchFile } from "./torch_file.js";

/** Options of `importCheckpoint`. */
export interface ImportOptions {
  /** A checkpoint as `torch.save` of PyTorch 1.6 or newer writes it: .ckpt, .pt, .pth, .bin. */
  readonly checkpoint: string;
  /** The genes of the model's embedding: a vocabulary, a JSON file of `{token: id}` as published, or a model's folder. */
  readonly vocabulary: string | GeneVocabulary;
  /** The folder that gets the model. */
  readonly out: string;
  /** Whether a model at `out` is replaced; default false. */
  readonly overwrite?: boolean;
  /** What the checkpoint does not say, or says wrongly. Default: its hyperparameters, then those of the published presets. */
  readonly shape?: KnownShape;
  /** Objective and schedule, in the same way; only what is given is changed. */
  readonly diffusion?: Partial<DiffusionConfig>;
  /** Tokens a cell at most, cls included; default what the checkpoint says, else 1024. */
  readonly maxLength?: number;
  /** Ends the work between two tensors; nothing is left at `out`. */
  readonly signal?: AbortSignal;
}

/** What was imported. */
export interface ImportedCheckpoint {
  /** The model's folder. */
  readonly out: string;
  readonly config: DenoiserConfig;
  readonly diffusion: DiffusionConfig;
  /** Tokens a cell at most. */
  readonly maxLength: number;
  /** Genes of the vocabulary. */
  readonly genes: number;
  /** Number of weights. */
  readonly parameters: number;
  /** Whether the moving average was there, too; it is what predictions use. */
  readonly average: boolean;
  /** What stood before the parameters' names. */
  readonly prefix: string;
  /** Tensors of the state dict that are no parameter of the model. */
  readonly ignored: readonly string[];
  /** What the checkpoint did not say, in words: "heads 12". */
  readonly assumed: readonly string[];
}

const OPTION_NAMES: Readonly<Record<keyof ImportOptions, true>> = {
  checkpoint: true,
  vocabulary: true,
  out: true,
  overwrite: true,
  shape: true,
  diffusion: true,
  maxLength: true,
  signal: true,
};

const OPTION_KINDS = {
  overwrite: "switch",
  shape: "object",
  diffusion: "object",
  signal: "signal",
} as const;

const SHAPE_NAMES: Readonly<Record<keyof KnownShape, true>> = {
  heads: true,
  dropout: true,
  timeConditioning: true,
  rotary: true,
};

const MAX_LENGTH = { min: 2, max: 65_536, integer: true };
const DEFAULT_LENGTH = 1024;

/**
 * Makes a model's folder of a PyTorch checkpoint of the published model of ranks: weights, their moving average, configuration and
 * vocabulary. Nothing of the checkpoint is run: its pickle is read over a list of names, everything else is refused. Weights of float16
 * and bfloat16 keep their values exactly, those of float64 are rounded to float32. The folder appears whole or not at all.
 *
 * Throws `CHECKPOINT_READ`, `CHECKPOINT_FORMAT`, `CHECKPOINT_CORRUPT`, `CHECKPOINT_GLOBAL` naming what is not on the list,
 * `CHECKPOINT_PICKLE`, `CHECKPOINT_STATE`, `CHECKPOINT_TENSORS` naming what is missing or misshapen, `CHECKPOINT_DTYPE`,
 * `CHECKPOINT_NOT_FINITE`, `CHECKPOINT_CONFIG` for hyperparameters that make no model, `CHECKPOINT_VOCABULARY`, `VOCABULARY_*`,
 * `FILE_EXISTS`, `FILE_WRITE`, and `ARGUMENT_*`.
 */
export async function importCheckpoint(options: ImportOptions): Promise<ImportedCheckpoint> {
  checkArguments(options);
  const { checkpoint, out, overwrite = false, signal } = options;
  const isModel = await holdsModel(out);
  if (isModel && !overwrite) {
    throw new DdscError(
      "FILE_EXISTS",
      `${out}: a model is there already; choose another out, or pass overwrite`,
      {
        file: out,
        argument: "out",
      },
    );
  }
  const vocabulary = await readVocabulary(options.vocabulary);
  using file = await TorchFile.open(checkpoint);
  const { weights, prefix, others, average, root } = findWeights(file.root, checkpoint);
  const { config, diffusion, maxLength, assumed } = inWordsOfCheckpoint(checkpoint, () => {
    const found = recognise(weights, readSettings(root), options, checkpoint);
    return complete(found, options, vocabulary, checkpoint);
  });
  const parameters = modelParameters(config);
  const trained = matchWeights(parameters, weights, "its tensors", checkpoint);
  const moving = average && matchAverage(parameters, weights, average, checkpoint);
  const tokenizer = new CellTokenizer({
    vocabulary,
    strategy: new QuantileRanks({ bins: rankCount(config, checkpoint) }),
    maxLength,
  });
  await writeFolder(
    out,
    async (folder) => {
      await writeDescription(folder, { config, diffusion, tokenizer, conditions: [], dtype: "fp32" });
      await writeWeights(join(folder, ModelFile.weights), file, trained, signal);
      if (moving !== undefined) await writeWeights(join(folder, ModelFile.ema), file, moving, signal);
    },
    isModel ? Object.values(ModelFile) : [],
  ).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw error;
  });
  const names = new Set(parameters.map(({ name }) => name));
  return {
    out,
    config,
    diffusion,
    maxLength,
    genes: vocabulary.geneCount,
    parameters: parameters.reduce((sum, { size }) => sum + size, 0),
    average: moving !== undefined,
    prefix,
    ignored: [
      ...[...weights.keys()].filter((name) => !names.has(name)).map((name) => prefix + name),
      ...others,
    ],
    assumed,
  };
}

function checkArguments(options: ImportOptions): void {
  checkOptionNames("options of an import", options, OPTION_NAMES);
  checkOptions(options, OPTION_KINDS);
  const { checkpoint, vocabulary, out, shape, diffusion, maxLength } = options;
  checkKind("checkpoint", checkpoint, "text");
  checkKind("out", out, "text");
  if (typeof vocabulary !== "string" && !(vocabulary instanceof GeneVocabulary))
    throw wrongType("vocabulary", vocabulary, "a GeneVocabulary or the path of one");
  if (maxLength !== undefined) checkNumber("maxLength", maxLength, MAX_LENGTH);
  if (diffusion !== undefined) diffusionFrom(diffusion);
  if (shape === undefined) return;
  checkOptionNames("shape", shape, SHAPE_NAMES);
  if (shape.heads !== undefined) checkWhole("heads", shape.heads, 1, 256);
  if (shape.dropout !== undefined) checkNumber("dropout", shape.dropout, { min: 0, max: 0.99 });
  checkOptions(shape, { timeConditioning: "switch", rotary: "switch" });
}

async function readVocabulary(given: string | GeneVocabulary): Promise<GeneVocabulary> {
  if (typeof given !== "string") return given;
  return await GeneVocabulary.load(await findModelFile(given, ModelFile.vocabulary));
}

/** What was recognised, with what the caller knows better. */
function complete(
  found: Recognised,
  options: ImportOptions,
  vocabulary: GeneVocabulary,
  file: string,
): Recognised & { readonly maxLength: number } {
  const { config } = found;
  if (vocabulary.size > config.geneVocabSize) {
    throw new DdscError(
      "CHECKPOINT_VOCABULARY",
      `${file}: its embedding has ${config.geneVocabSize} genes and the vocabulary has ids up to ${vocabulary.size - 1}; give the vocabulary that the model was trained with`,
      { file, argument: "vocabulary" },
    );
  }
  const maxLength = checkNumber(
    "maxLength",
    options.maxLength ?? found.maxLength ?? DEFAULT_LENGTH,
    MAX_LENGTH,
  );
  return { ...found, maxLength };
}

/** Arguments were checked: what is out of range then comes from the checkpoint, and is `CHECKPOINT_CONFIG`. */
function inWordsOfCheckpoint<T>(file: string, recognised: () => T): T {
  try {
    return recognised();
  } catch (error) {
    const isSetting =
      error instanceof DdscError && /^(?:ARGUMENT_|MODEL_CONFIG|DIFFUSION_CONFIG)/.test(error.code);
    if (!isSetting) throw error;
    throw new DdscError(
      "CHECKPOINT_CONFIG",
      `${file}: its hyperparameters and the options describe no model: ${error.text}; give what is right as an option`,
      { file },
      { cause: error },
    );
  }
}

/** Writes weights tensor by tensor. Throws `CHECKPOINT_NOT_FINITE` and as `TorchFile.read`. */
async function writeWeights(
  path: string,
  file: TorchFile,
  matched: Matched,
  signal: AbortSignal | undefined,
): Promise<void> {
  const tensors = Array.from(matched, ([{ name, shape }, tensor]) => ({
    name,
    shape,
    read: async () => {
      signal?.throwIfAborted();
      const values = await file.read(name, tensor);
      await requireFinite(file.file, { name, shape }, values);
      return values;
    },
  }));
  await writeSafetensors(path, tensors, { format: "ddsc" });
}
