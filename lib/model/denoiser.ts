import { dirname, join } from "node:path";
import { checkKind, checkOptions } from "../base/arguments.js";
import {
  checkChoice,
  checkNumber,
  checkOptionNames,
  checkSeed,
  DdscError,
  wrongType,
} from "../base/errors.js";
import { type Condition, conditionSizes } from "../conditions/condition.js";
import type { CellSummary } from "../counts/cell_summary.js";
import type { CountBase } from "../counts/count_base.js";
import type { DepthSample } from "../counts/depth_sample.js";
import { type DiffusionConfig, diffusionFrom, requireCountDiffusion } from "../diffusion/index.js";
import type { ChooseQueriesInput } from "../native/counts.js";
import { NativeDenoiser } from "../native/denoiser.js";
import { modelParameters } from "../native/parameters.js";
import type {
  DenoiserConfig,
  DType,
  OptimizerShare,
  ParameterBuffer,
  ParameterInfo,
} from "../native/types.js";
import {
  CellTokenizer,
  type CellTokenizerOptions,
  CountTokens,
  GeneVocabulary,
  QuantileRanks,
  type TokenStrategy,
} from "../tokenizer/index.js";
import { type ModelShape, modelConfig, type PresetName } from "./config.js";
import { chooseDevice } from "./device.js";
import { writeFolder } from "./folder.js";
import { type LoadedWeights, matchModels, NOTHING_NEW } from "./going_on.js";
import { checkedShare } from "./memory.js";
import {
  exists,
  findModel,
  findModelFile,
  holdsModel,
  type ModelDescription,
  ModelFile,
  readDescription,
  readLearnt,
  writeDescription,
  writeLearnt,
} from "./model_files.js";
import { readBuffers, requireTensors, writeBuffers } from "./weights.js";

const dtypes = ["fp32", "bf16"] as const satisfies readonly DType[];

/** Which of a model's weights: the trained ones or their moving average. */
export type WeightsKind = "weights" | "ema";

/** Options of `Denoiser.create`. */
export interface DenoiserOptions {
  /** The genes the model knows. */
  readonly vocabulary: GeneVocabulary;
  /** Ready-made shape; default "nano". */
  readonly preset?: PresetName;
  /** Changes to the preset's shape. */
  readonly shape?: Partial<ModelShape>;
  /** Rows of the gene embedding, at least as many as the vocabulary needs; default as many. */
  readonly geneVocabSize?: number;
  /** Objective and noise schedule; default SUBS with the log-linear schedule, see `DiffusionConfig`. */
  readonly diffusion?: Partial<DiffusionConfig>;
  /** How cells become tokens, see `CellTokenizerOptions`. */
  readonly tokenizer?: Omit<CellTokenizerOptions, "vocabulary" | "strategy">;
  /**
   * How counts become values: "counts" (default) for a model of whole cells in counts, "ranks" for the published one of quantile
   * ranks with 51 bins, or a strategy of your own.
   */
  readonly values?: "counts" | "ranks" | TokenStrategy;
  /** What cells are given to be, as `learnConditions` reads it; of a model of counts only. Default: nothing. */
  readonly conditions?: readonly Condition[];
  /** "auto" (default: the first GPU that can be used, else the CPU), "cpu", "cuda" (the first GPU) or "cuda:N". */
  readonly device?: string;
  /** Compute type; default "fp32". */
  readonly dtype?: DType;
  /** Seed of the fresh weights, a whole number below 2^53; default 0. */
  readonly seed?: number;
  /** Whether the model can be trained, which takes five times the memory; default true. */
  readonly trainable?: boolean;
  /**
   * Which of AdamW's moments, two fifths of that memory, are held here: of `count` ranks of a cluster, those of the rank `index`. All train
   * the model together (`TrainerOptions.cluster`), to the same bits. Default all.
   */
  readonly optimizerShare?: OptimizerShare | undefined;
  /** Whether time and cost of every op are recorded, for `profileStep`; default false. */
  readonly profile?: boolean;
  /** What to start from instead of fresh weights: see `loadWeights`. */
  readonly weights?: string;
}

const OPTION_NAMES: Readonly<Record<keyof DenoiserOptions, true>> = {
  vocabulary: true,
  preset: true,
  shape: true,
  geneVocabSize: true,
  diffusion: true,
  tokenizer: true,
  values: true,
  conditions: true,
  device: true,
  dtype: true,
  seed: true,
  trainable: true,
  optimizerShare: true,
  profile: true,
  weights: true,
};

const OPTION_KINDS = {
  shape: "object",
  diffusion: "object",
  tokenizer: "object",
  trainable: "switch",
  optimizerShare: "object",
  profile: "switch",
  weights: "text",
  conditions: "list",
} as const;

/** Options of `Denoiser.load`. */
export interface LoadOptions {
  /** "auto" (default: the first GPU that can be used, else the CPU), "cpu", "cuda" (the first GPU) or "cuda:N". */
  readonly device?: string;
  /** Compute type; default as saved. */
  readonly dtype?: DType;
  /** Which weights predictions use; default "ema" where they were saved, else "weights". */
  readonly weights?: WeightsKind;
  /** Whether the model can be trained on; default false. */
  readonly trainable?: boolean;
  /** As `DenoiserOptions.optimizerShare`; default all. */
  readonly optimizerShare?: OptimizerShare | undefined;
  /** Whether time and cost of every op are recorded, for `profileStep`; default false. */
  readonly profile?: boolean;
  /** The vocabulary the caller's data is in; another one in the model is an error. Default: not checked. */
  readonly vocabulary?: GeneVocabulary;
}

/**
 * A denoiser with everything needed to use it: weights in native memory, gene vocabulary, tokenizer, objective and
 * noise schedule. Saved as a folder of `config.json`, `vocabulary.json`, `base.json`, `summary.json` and `depths.json` (of counts), `model.safetensors` and (of a trainable
 * model) `ema.safetensors`. Free its memory with `using` or `[Symbol.dispose]()`.
 */
export class Denoiser implements Disposable {
  readonly config: DenoiserConfig;
  readonly diffusion: DiffusionConfig;
  readonly tokenizer: CellTokenizer;
  readonly dtype: DType;
  /** Whether gradients, moments and the moving average are held. */
  readonly trainable: boolean;
  /** What predictions, samples and evaluations should use: the moving average of a trainable model. */
  readonly inferenceWeights: WeightsKind;
  /** The weights and what computes with them. */
  readonly native: NativeDenoiser;
  /** The device as `DenoiserOptions.device` names it: "cpu" or "cuda:N". */
  readonly deviceName: string;
  /** Why "auto" took this device, in a few words; absent where it was asked for. */
  readonly deviceReason: string | undefined;
  #conditions: readonly Condition[];
  #base: CountBase | undefined;
  #summary: CellSummary | undefined;
  #depths: DepthSample | undefined;

  private constructor(
    description: ModelDescription,
    options: {
      readonly device: string;
      readonly trainable: boolean;
      readonly inferenceWeights: WeightsKind;
      readonly profile: boolean;
      readonly optimizerShare: OptimizerShare | undefined;
    },
  ) {
    this.config = description.config;
    this.#conditions = description.conditions;
    this.diffusion = description.diffusion;
    this.tokenizer = description.tokenizer;
    this.dtype = description.dtype;
    this.trainable = options.trainable;
    this.inferenceWeights = options.inferenceWeights;
    const { name, reason } = chooseDevice(options.device);
    this.deviceName = name;
    this.deviceReason = reason;
    this.native = new NativeDenoiser({
      config: this.config,
      dtype: this.dtype,
      device: name,
      trainable: this.trainable,
      profile: options.profile,
      optimizerShare: options.optimizerShare && checkedShare(options.optimizerShare),
    });
  }

  /**
   * What a model of these options would be, without any memory for it. Throws `ARGUMENT_*`, `MODEL_CONFIG`,
   * `DIFFUSION_CONFIG`.
   */
  static describe(options: DenoiserOptions): ModelDescription {
    checkOptionNames("options of a denoiser", options, OPTION_NAMES);
    checkOptions(options, OPTION_KINDS);
    const { vocabulary, conditions = [] } = options;
    if (!(vocabulary instanceof GeneVocabulary)) {
      throw wrongType("vocabulary", vocabulary, "a GeneVocabulary, such as GeneVocabulary.from(cells),");
    }
    const tokenizer = new CellTokenizer({
      ...options.tokenizer,
      vocabulary,
      strategy: strategyOf(options.values ?? "counts"),
    });
    const ofCounts = tokenizer.strategy instanceof CountTokens;
    if (!ofCounts && conditions.length > 0) {
      throw new DdscError(
        "MODEL_CONFIG",
        "conditions are for models of counts; leave them out, or leave out values (--values ranks)",
        { argument: "conditions" },
      );
    }
    const rows = { min: vocabulary.size, max: 2 ** 24, integer: true };
    const config = modelConfig({
      preset: options.preset ?? "nano",
      ...(options.shape === undefined ? {} : { changes: options.shape }),
      values: tokenizer.strategy.values,
      geneVocabSize: checkNumber("geneVocabSize", options.geneVocabSize ?? vocabulary.size, rows),
      ...(ofCounts ? { conditions: conditionSizes(conditions) } : {}),
    });
    const diffusion = diffusionFrom(options.diffusion ?? {});
    return {
      config,
      tokenizer,
      conditions,
      diffusion: ofCounts ? requireCountDiffusion(diffusion) : diffusion,
      dtype: checkChoice("dtype", options.dtype ?? "fp32", dtypes),
    };
  }

  /**
   * A new model with fresh weights, or those of a file. Throws `ARGUMENT_*`, `MODEL_CONFIG`, `DIFFUSION_CONFIG`,
   * `DEVICE_*`, `OUT_OF_MEMORY`, `CUDA_*`, and as `loadWeights`.
   */
  static async create(options: DenoiserOptions): Promise<Denoiser> {
    const description = Denoiser.describe(options);
    const { trainable = true } = options;
    const seed = checkSeed(options.seed ?? 0);
    const model = new Denoiser(description, {
      device: options.device ?? "auto",
      trainable,
      inferenceWeights: trainable ? "ema" : "weights",
      profile: options.profile ?? false,
      optimizerShare: options.optimizerShare,
    });
    return model.#orDispose(async () => {
      // What the weights do not know starts fresh.
      await model.native.initialise(seed);
      if (options.weights !== undefined) await model.loadWeights(options.weights);
    });
  }

  /**
   * Loads a model that `save` or a training run wrote: from its own folder, or a run's (the best checkpoint). Throws
   * `CHECKPOINT_READ`, `CHECKPOINT_CORRUPT`, `CHECKPOINT_CONFIG`, `CHECKPOINT_VERSION`, `CHECKPOINT_TENSORS`,
   * `CHECKPOINT_NOT_FINITE`, `CHECKPOINT_VOCABULARY`, `DEVICE_*`, `OUT_OF_MEMORY`, `CUDA_*`.
   */
  static async load(folder: string, options: LoadOptions = {}): Promise<Denoiser> {
    checkKind("folder", folder, "text");
    checkOptions(options, { trainable: "switch", profile: "switch", optimizerShare: "object" });
    if (options.weights !== undefined) checkChoice("weights", options.weights, ["weights", "ema"]);
    if (options.vocabulary !== undefined && !(options.vocabulary instanceof GeneVocabulary)) {
      throw wrongType("vocabulary", options.vocabulary, "a GeneVocabulary");
    }
    const path = await findModel(folder);
    const description = await readDescription(path);
    checkVocabulary(path, description.tokenizer.vocabulary, options.vocabulary);
    const hasEma = await exists(join(path, ModelFile.ema));
    const wanted = options.weights ?? (hasEma ? "ema" : "weights");
    const trainable = options.trainable ?? false;
    const weightsFile = join(path, ModelFile.weights);
    const emaFile = hasEma || wanted === "ema" ? join(path, ModelFile.ema) : weightsFile;
    const files = trainable ? [weightsFile, emaFile] : [wanted === "ema" ? emaFile : weightsFile];
    // Before any memory is taken for what the configuration claims.
    const parameters = modelParameters(description.config);
    for (const file of files) await requireTensors(parameters, file);
    const { base, summary, depths } = await readLearnt(path, description.config);
    const model = new Denoiser(
      { ...description, dtype: checkChoice("dtype", options.dtype ?? description.dtype, dtypes) },
      {
        device: options.device ?? "auto",
        trainable,
        inferenceWeights: trainable ? wanted : "weights",
        profile: options.profile ?? false,
        optimizerShare: options.optimizerShare,
      },
    );
    return model.#orDispose(async () => {
      model.#summary = summary;
      if (base !== undefined && summary !== undefined) await model.setBase(base, summary, depths);
      for (const [i, file] of files.entries())
        await readBuffers(model.native, file, [i === 0 ? "weights" : "ema"]);
    });
  }

  /** What cells are given to be; empty for a model of ranks. `loadWeights` gives numbers the units that the weights know. */
  get conditions(): readonly Condition[] {
    return this.#conditions;
  }

  get vocabulary(): GeneVocabulary {
    return this.tokenizer.vocabulary;
  }

  get strategy(): TokenStrategy {
    return this.tokenizer.strategy;
  }

  /** Whether the model is of whole cells in counts, not of ranks. */
  get ofCounts(): boolean {
    return this.config.counts !== undefined;
  }

  /**
   * Share and size of each gene and the depths of the training cells, which a model of counts adds to its network; absent
   * until they were counted, which `Trainer.fit` does.
   */
  get base(): CountBase | undefined {
    return this.#base;
  }

  /**
   * How the visible genes of a cell are summed up for a model of counts; absent until it was learnt, with the base, or taken over by
   * `loadWeights`.
   */
  get summary(): CellSummary | undefined {
    return this.#summary;
  }

  /** Depths and conditions of some training cells of a model of counts; absent until they were taken, with the base. */
  get depths(): DepthSample | undefined {
    return this.#depths;
  }

  /** What `chooseQueries` sums up cells with; absent where the model reads no summary. */
  get summaryInput(): ChooseQueriesInput["summary"] {
    return this.#base && this.#summary?.poolWith(this.#base);
  }

  /**
   * Gives a model of counts its base, what sums up cells and how deep they are, all learnt from training cells. Throws `MODEL_BASE`
   * for those of another vocabulary, `MODEL_CONFIG` for a model of ranks.
   */
  async setBase(base: CountBase, summary: CellSummary, depths?: DepthSample): Promise<void> {
    await this.native.setBase(base.share, base.size);
    this.#base = base;
    this.#summary = summary;
    this.#depths = depths;
  }

  /** For people: "cpu (avx512, 2 threads)", "cuda:0 (NVIDIA H200)". */
  get device(): string {
    return this.native.device;
  }

  /** Names and shapes of the parameters; the names are those of published checkpoints, without `backbone.`. */
  get parameters(): readonly ParameterInfo[] {
    return this.native.parameters;
  }

  /** Number of trained values. */
  get parameterCount(): number {
    return this.native.parameters.reduce((sum, { size }) => sum + size, 0);
  }

  /** Values of a parameter, row-major. Throws `PARAMETER_UNKNOWN`. */
  async readParameter(name: string, kind: WeightsKind = "weights"): Promise<Float32Array> {
    const { offset, size } = this.#parameter(name);
    return this.native.read(kind, offset, size);
  }

  /** Overwrites a parameter. Throws `PARAMETER_UNKNOWN`, `ARGUMENT_LENGTH`. */
  async writeParameter(name: string, values: Float32Array, kind: WeightsKind = "weights"): Promise<void> {
    const { offset, size, shape } = this.#parameter(name);
    if (!(values instanceof Float32Array)) throw wrongType("values", values, "a Float32Array");
    if (values.length !== size) {
      throw new DdscError(
        "ARGUMENT_LENGTH",
        `expected ${size} values for ${name} [${shape.join(", ")}] but received ${values.length}`,
        { argument: "values" },
      );
    }
    await this.native.write(kind, offset, values);
  }

  /**
   * Takes weights (and with them the moving average) from a safetensors file with the published names, with or without
   * `backbone.`, or from the folder of a saved model or of a run (its best checkpoint): the trained weights, not their
   * moving average. Nothing is changed unless everything fits that has to.
   *
   * A file must hold every parameter. A folder's model may have other genes and conditions: what it knows of this model's genes
   * (found as `GeneVocabulary.match` does), of its conditions of the same name and kind, and of their labels is taken, bit for bit,
   * with how it sums up cells and the units of its numbers. Genes, conditions and labels that are new keep the values that they
   * have: a fresh start in `create`. The base is not taken: training counts that of its own cells.
   *
   * Throws `CHECKPOINT_READ`, `CHECKPOINT_CORRUPT`, `CHECKPOINT_DTYPE`, `CHECKPOINT_NOT_FINITE`, `CHECKPOINT_CONFIG`, `CHECKPOINT_TENSORS` naming each tensor
   * that is missing or misshapen, or where weights of ranks are for a model of counts or the reverse, and `CHECKPOINT_VOCABULARY` for a
   * folder's model that knows none of the genes.
   */
  async loadWeights(path: string): Promise<LoadedWeights> {
    checkKind("path", path, "text");
    const file = await findModelFile(path, ModelFile.weights);
    const into: readonly ParameterBuffer[] = this.trainable ? ["weights", "ema"] : ["weights"];
    if (file === path) {
      await readBuffers(this.native, file, []); // all of it is read before anything is changed
      const ignored = await readBuffers(this.native, file, into);
      const { geneCount: knownGenes } = this.vocabulary;
      return { ...NOTHING_NEW, ignored, knownGenes };
    }
    const saved = await readDescription(dirname(file));
    const { summary } = await readLearnt(dirname(file), saved.config);
    const { sourceOf, genes, conditions, report } = matchModels(saved, this, path);
    await readBuffers(this.native, file, [], { sourceOf });
    const ignored = await readBuffers(this.native, file, into, { sourceOf });
    this.#conditions = conditions;
    this.#summary = summary?.withGenes(genes) ?? this.#summary;
    return { ...report, ignored };
  }

  /**
   * Saves the model as a folder, whole or not at all: see the class for its files. A model saved there before is
   * replaced. Throws `FILE_EXISTS` where the folder holds anything else, `FILE_WRITE`.
   */
  async save(folder: string): Promise<void> {
    checkKind("folder", folder, "text");
    // Other programs have a config.json, too.
    const replaceable = (await holdsModel(folder)) ? Object.values(ModelFile) : [];
    await writeFolder(folder, (temporary) => this.writeFiles(temporary), replaceable);
  }

  /** Writes the model's files, flushed, into an empty folder; for `save` and for checkpoints, which add to them. */
  async writeFiles(folder: string): Promise<void> {
    await writeDescription(folder, this);
    await writeLearnt(folder, { base: this.#base, summary: this.#summary, depths: this.#depths });
    await writeBuffers(this.native, join(folder, ModelFile.weights), [{ buffer: "weights", prefix: "" }]);
    if (!this.trainable) return;
    await writeBuffers(this.native, join(folder, ModelFile.ema), [{ buffer: "ema", prefix: "" }]);
  }

  /** Frees the native memory once calls under way have ended. */
  [Symbol.dispose](): void {
    this.native[Symbol.dispose]();
  }

  #parameter(name: string): ParameterInfo {
    const found = this.native.parameters.find((parameter) => parameter.name === name);
    if (found !== undefined) return found;
    throw new DdscError(
      "PARAMETER_UNKNOWN",
      `the model has no parameter "${name}"; see \`parameters\` for the names`,
      {
        argument: "name",
      },
    );
  }

  /** The model once it is filled; frees it if that fails. */
  async #orDispose(fill: () => Promise<void>): Promise<this> {
    try {
      await fill();
      return this;
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }
}

function strategyOf(values: "counts" | "ranks" | TokenStrategy): TokenStrategy {
  if (typeof values === "object") return values;
  return checkChoice("values", values, ["counts", "ranks"]) === "counts"
    ? new CountTokens()
    : new QuantileRanks();
}

function checkVocabulary(folder: string, own: GeneVocabulary, expected: GeneVocabulary | undefined): void {
  if (expected === undefined || expected.fingerprint === own.fingerprint) return;
  throw new DdscError(
    "CHECKPOINT_VOCABULARY",
    `${folder}: the model was made with another gene vocabulary (${own.geneCount} genes, yours has ${expected.geneCount}); ` +
      "use the vocabulary saved with the model, or train a model on your genes",
    { file: folder },
  );
}
