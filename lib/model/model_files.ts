import { stat } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { checkChoice, DdscError } from "../base/errors.js";
import { errorCode } from "../base/files.js";
import { isObject, type JsonObject, parseJsonInTurns } from "../base/json.js";
import { FileTooLarge, NotAFile, readWhole } from "../base/regular_files.js";
import { takeTurn } from "../base/turns.js";
import { packageVersion } from "../base/version.js";
import { type Condition, conditionSizes, conditionsFrom } from "../conditions/condition.js";
import { CellSummary } from "../counts/cell_summary.js";
import { CountBase } from "../counts/count_base.js";
import { DepthSample } from "../counts/depth_sample.js";
import { type DiffusionConfig, diffusionFrom } from "../diffusion/index.js";
import type { DenoiserConfig, DType } from "../native/types.js";
import { CellTokenizer, type CellTokenizerJson, GeneVocabulary } from "../tokenizer/index.js";
import { strategyFrom } from "../tokenizer/strategies.js";
import { checkConfig, NON_VALUE_TOKENS } from "./config.js";
import { writeFlushed } from "./folder.js";

/** Names of the files of a model's folder. */
export const ModelFile = {
  /** Shape, diffusion, tokenizer. */
  config: "config.json",
  /** The gene vocabulary. */
  vocabulary: "vocabulary.json",
  /** What a model of counts adds to its network: see `CountBase`. */
  base: "base.json",
  /** How it sums up the visible genes of a cell: see `CellSummary`. */
  summary: "summary.json",
  /** How deep its training cells were: see `DepthSample`. */
  depths: "depths.json",
  /** Weights under their published names. */
  weights: "model.safetensors",
  /** Their moving average, under the same names; absent where the model keeps none. */
  ema: "ema.safetensors",
} as const;
/** Name of the file in a checkpoint that makes a model's folder one that can be trained on. */
export const TRAINING_FILE = "training.json";

const FORMAT = "ddsc-model";
/** Shapes, labels of conditions; state of a run. */
const MAX_FILE_BYTES = 32 * 2 ** 20;
/** What is learnt of genes; no longer text can be written. */
const MAX_LEARNT_BYTES = 2 ** 29;
/** Of a number in JSON, and of what is written whatever the number of genes. */
const NUMBER_BYTES = 32;
const FEW_BYTES = 2 ** 20;
const VERSION = 1;

/** Why a file of a model cannot be read, in words. */
const UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "part of the path is a file, not a folder",
  EISDIR: "this is a folder, not a file",
  EACCES: "permission denied",
};

/** Everything about a model but its weights. */
export interface ModelDescription {
  readonly config: DenoiserConfig;
  readonly diffusion: DiffusionConfig;
  readonly tokenizer: CellTokenizer;
  /** What cells are given to be, in the order of `config.counts.conditions`; empty for a model of ranks. */
  readonly conditions: readonly Condition[];
  readonly dtype: DType;
}

/**
 * Writes `config.json` and `vocabulary.json` into a new folder; errors of the file system come as they are.
 *
 * @param more what other programs look for in `config.json`; reading it back leaves that out
 */
export async function writeDescription(
  folder: string,
  description: ModelDescription,
  more: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const { vocabulary, ...tokenizer } = description.tokenizer.toJSON();
  const config = {
    ...more,
    format: FORMAT,
    version: VERSION,
    package: packageVersion(),
    model: description.config,
    dtype: description.dtype,
    diffusion: description.diffusion,
    ...(description.config.counts === undefined ? {} : { conditions: description.conditions }),
    tokenizer,
    vocabulary: vocabulary.fingerprint,
  };
  await writeFlushed(join(folder, ModelFile.config), `${JSON.stringify(config, null, 2)}\n`);
  await writeFlushed(join(folder, ModelFile.vocabulary), `${JSON.stringify(vocabulary)}\n`);
}

/**
 * Reads `config.json` and `vocabulary.json`. Throws `CHECKPOINT_READ` where one is missing, `CHECKPOINT_CONFIG` for
 * contents that describe no model, `CHECKPOINT_VERSION` for a newer format, `CHECKPOINT_VOCABULARY` where the
 * vocabulary is not the one the model was made with.
 */
export async function readDescription(folder: string): Promise<ModelDescription> {
  const file = join(folder, ModelFile.config);
  const json = await readJson(file);
  if (json.format !== FORMAT) {
    throw configError(file, `its format is ${JSON.stringify(json.format)} instead of "${FORMAT}"`);
  }
  if (json.version !== VERSION) {
    throw new DdscError(
      "CHECKPOINT_VERSION",
      `${file}: its version is ${JSON.stringify(json.version)} and this package reads version ${VERSION}; update the package`,
      { file },
    );
  }
  const vocabularyFile = join(folder, ModelFile.vocabulary);
  const vocabulary = await GeneVocabulary.load(vocabularyFile);
  if (vocabulary.fingerprint !== json.vocabulary) {
    throw new DdscError(
      "CHECKPOINT_VOCABULARY",
      `${vocabularyFile}: this is not the gene vocabulary the model was made with; restore the file saved with the model`,
      { file: vocabularyFile },
    );
  }
  try {
    const saved: Partial<CellTokenizerJson> = { ...(json.tokenizer as CellTokenizerJson) };
    await takeTurn();
    const tokenizer = new CellTokenizer({ ...saved, vocabulary, strategy: strategyFrom(saved.strategy) });
    const config = checkConfig(json.model as DenoiserConfig);
    const { size } = vocabulary;
    if (config.geneVocabSize < size || config.vocabSize !== tokenizer.strategy.values + NON_VALUE_TOKENS) {
      throw configError(
        file,
        `a model of ${config.vocabSize} tokens and ${config.geneVocabSize} genes does not fit its tokenizer ` +
          `(${tokenizer.strategy.values} values, ${size} rows of genes)`,
      );
    }
    const conditions = json.conditions === undefined ? [] : conditionsFrom(json.conditions);
    if (!isDeepStrictEqual(config.counts?.conditions ?? [], conditionSizes(conditions))) {
      throw configError(file, "the conditions of the model are not those of its network");
    }
    return {
      config,
      conditions,
      diffusion: diffusionFrom(json.diffusion),
      dtype: checkChoice("dtype", json.dtype, ["fp32", "bf16"]),
      tokenizer,
    };
  } catch (error) {
    if (error instanceof DdscError && error.code === "CHECKPOINT_CONFIG") throw error;
    throw configError(file, error instanceof Error ? error.message : String(error), error);
  }
}

/** What a model of counts has learnt beside its weights. */
export interface LearntParts {
  /** Absent until it was counted. */
  readonly base?: CountBase | undefined;
  /** Absent until it was learnt; a model that goes on from another one's weights has that one's before it has a base. */
  readonly summary?: CellSummary | undefined;
  /** Absent until it was taken. */
  readonly depths?: DepthSample | undefined;
}

/** Writes `base.json`, `summary.json` and `depths.json`, as far as there are any, into a new folder; errors of the file system come as they are. */
export async function writeLearnt(folder: string, { base, summary, depths }: LearntParts): Promise<void> {
  if (base !== undefined) await writeFlushed(join(folder, ModelFile.base), `${JSON.stringify(base)}\n`);
  if (summary !== undefined)
    await writeFlushed(join(folder, ModelFile.summary), `${JSON.stringify(summary)}\n`);
  if (depths !== undefined) await writeFlushed(join(folder, ModelFile.depths), `${JSON.stringify(depths)}\n`);
}

/**
 * Reads `base.json`, `summary.json` and `depths.json`, of which a model has none where it is of ranks or was saved before they were
 * learnt; depths may be missing.
 * Throws `CHECKPOINT_CONFIG` for contents that are not of this model, `CHECKPOINT_READ` for a base without a summary.
 */
export async function readLearnt(folder: string, config: DenoiserConfig): Promise<LearntParts> {
  if (config.counts === undefined) return {};
  const file = join(folder, ModelFile.base);
  const summaryFile = join(folder, ModelFile.summary);
  const hasBase = await exists(file);
  if (!hasBase && !(await exists(summaryFile))) return {};
  const { state, conditions } = config.counts;
  // Share, size, id and what is pooled of each gene.
  const numbers = config.geneVocabSize * (3 + state);
  const most = Math.min(MAX_LEARNT_BYTES, FEW_BYTES + numbers * NUMBER_BYTES);
  const summaryJson = await readJson(summaryFile, most);
  await takeTurn();
  const summary = CellSummary.fromJSON(summaryJson, summaryFile);
  checkSummary(summaryFile, summary, config);
  if (!hasBase) return { summary };
  const baseJson = await readJson(file, most);
  await takeTurn();
  const base = CountBase.fromJSON(baseJson, file);
  if (base.share.length !== config.geneVocabSize) {
    throw configError(
      file,
      `it has ${base.share.length} genes where the model has ${config.geneVocabSize} gene ids`,
    );
  }
  const depthsFile = join(folder, ModelFile.depths);
  if (!(await exists(depthsFile))) return { base, summary };
  const labels = conditions.filter((count) => count > 0).length;
  const sizes = { labels, numbers: conditions.length - labels };
  return { base, summary, depths: DepthSample.fromJSON(await readJson(depthsFile), sizes, depthsFile) };
}

function checkSummary(file: string, { ridge, genes }: CellSummary, config: DenoiserConfig): void {
  const width = config.counts?.state ?? 0;
  if (ridge.length !== width) {
    throw configError(file, `it sums cells up in ${ridge.length} numbers where the model reads ${width}`);
  }
  const last = genes.at(-1) ?? 0;
  if (last >= config.geneVocabSize) {
    throw configError(file, `it has gene id ${last} where the model has ${config.geneVocabSize} gene ids`);
  }
}

/**
 * Decodes a file that holds a JSON object.
 *
 * @param most bytes that the file may have
 *
 * Throws `CHECKPOINT_READ`, `CHECKPOINT_CONFIG`.
 */
export async function readJson(file: string, most = MAX_FILE_BYTES): Promise<JsonObject> {
  let bytes: Uint8Array;
  try {
    bytes = await readWhole(file, most);
  } catch (cause) {
    if (cause instanceof FileTooLarge) throw configError(file, cause.message, cause);
    const reason =
      UNREADABLE[errorCode(cause) ?? ""] ??
      `cannot be read: ${cause instanceof NotAFile ? cause.message : String(cause)}`;
    throw new DdscError(
      "CHECKPOINT_READ",
      `${file}: ${reason}; give the folder of a saved model or of a training run`,
      { file },
      { cause },
    );
  }
  try {
    const json = await parseJsonInTurns(bytes);
    if (isObject(json)) return json;
  } catch (cause) {
    throw configError(file, `it is not JSON (${cause instanceof Error ? cause.message : cause})`, cause);
  }
  throw configError(file, "it is not a JSON object");
}

/**
 * The folder of the model itself for what a user may name: that folder, or the folder of a run, whose best
 * checkpoint (by validation NLL) it is, or its last where nothing was validated. Throws `CHECKPOINT_READ`.
 */
export async function findModel(folder: string): Promise<string> {
  for (const candidate of [folder, join(folder, "best"), join(folder, "last")]) {
    if (await exists(join(candidate, ModelFile.config))) return candidate;
  }
  throw new DdscError(
    "CHECKPOINT_READ",
    `${folder}: there is no model in it (no ${ModelFile.config}, best or last); give the folder of a saved model or of a training run`,
    { file: folder },
  );
}

/** Whether a folder holds a saved model, told from its `config.json`. */
export async function holdsModel(folder: string): Promise<boolean> {
  const config = await readJson(join(folder, ModelFile.config)).catch(() => undefined);
  return config?.format === FORMAT;
}

/**
 * A file of a model for what a user may name: that file itself, or the folder of a model or run (see `findModel`).
 * Throws `CHECKPOINT_READ` for any other folder.
 */
export async function findModelFile(
  path: string,
  name: (typeof ModelFile)[keyof typeof ModelFile],
): Promise<string> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return isFolder ? join(await findModel(path), name) : path;
}

/** Whether something is at `path`. */
export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function configError(file: string, problem: string, cause?: unknown): DdscError {
  return new DdscError(
    "CHECKPOINT_CONFIG",
    `${file}: ${problem}; the file is damaged or was changed by hand: restore it`,
    { file },
    { cause },
  );
}
