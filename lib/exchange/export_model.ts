import { realpath } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { checkKind, checkOptions } from "../base/arguments.js";
import { checkChoice, checkOptionNames, DdscError } from "../base/errors.js";
import { packageVersion } from "../base/version.js";
import { writeFlushed, writeFolder } from "../model/folder.js";
import {
  exists,
  findModel,
  holdsModel,
  ModelFile,
  readDescription,
  readLearnt,
  writeDescription,
  writeLearnt,
} from "../model/model_files.js";
import { SafetensorsFile, writeSafetensors } from "../model/safetensors.js";
import { requireFinite, requireTensors } from "../model/weights.js";
import { modelParameters } from "../native/parameters.js";
import { modelCard } from "./model_card.js";
import { readEvaluation } from "./scores_read.js";
import { readProvenance } from "./training_record.js";

/** Layouts that a model can be exported in. */
export type ExportFormat = "huggingface";
const FORMATS: readonly ExportFormat[] = ["huggingface"];

/** Options of `exportModel`. */
export interface ExportOptions {
  /** The folder of a model or of a run (its best checkpoint). */
  readonly model: string;
  /** The folder that gets the export. */
  readonly out: string;
  /** Default, and all there is, "huggingface": a folder that the Hugging Face Hub shows and this package loads. */
  readonly format?: ExportFormat;
  /** Which weights: the moving average, the default where there is one, or those as trained. */
  readonly weights?: "ema" | "weights";
  /** A file of what `ddsc evaluate --json` printed, for the card. Default: `evaluation.json` in the model's or the run's folder. */
  readonly evaluation?: string;
  /** Whether an export or model at `out` is replaced; default false. */
  readonly overwrite?: boolean;
  /** Ends the work between two tensors; nothing is left at `out`. */
  readonly signal?: AbortSignal;
}

/** What was exported. */
export interface ExportedModel {
  /** The folder. */
  readonly out: string;
  readonly format: ExportFormat;
  /** Which weights were taken. */
  readonly weights: "ema" | "weights";
  /** Number of weights. */
  readonly parameters: number;
  /** Names of the files. */
  readonly files: readonly string[];
  /** The evaluation whose scores the card shows; absent where there was none. */
  readonly evaluation?: string;
}

const OPTION_NAMES: Readonly<Record<keyof ExportOptions, true>> = {
  model: true,
  out: true,
  format: true,
  weights: true,
  evaluation: true,
  overwrite: true,
  signal: true,
};

const OPTION_KINDS = { evaluation: "text", overwrite: "switch", signal: "signal" } as const;
const CARD = "README.md";
/** What other programs look for in `config.json`. */
const HUB_KEYS = { architectures: ["DdscDenoiser"], model_type: "ddsc", library_name: "ddsc" } as const;

/**
 * Writes a model as a folder to publish: `config.json`, `model.safetensors` (one set of weights, published names), `vocabulary.json`, what
 * a model of counts has learnt beside them, and a model card with its measured scores. `Denoiser.load` and `--model` take the folder;
 * the weights are the same bits. Neither optimizer state nor records of the training are in it, nor any path. The folder appears whole or
 * not at all.
 *
 * Throws `CHECKPOINT_*` for a model that cannot be loaded, `EXPORT_EVALUATION` for an evaluation that is none of such a model,
 * `EXPORT_WEIGHTS` where the weights that are asked for were not saved, `ARGUMENT_CONFLICT` for a model that would replace itself,
 * `FILE_EXISTS`, `FILE_WRITE`, and `ARGUMENT_*`.
 */
export async function exportModel(options: ExportOptions): Promise<ExportedModel> {
  checkArguments(options);
  const { out, overwrite = false, signal, format = "huggingface" } = options;
  const folder = await findModel(options.model);
  const isModel = await holdsModel(out);
  if ((await real(out)) === (await real(folder))) {
    throw new DdscError("ARGUMENT_CONFLICT", `${out}: is the model itself; choose another out`, {
      file: out,
      argument: "out",
    });
  }
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
  const description = await readDescription(folder);
  const weights = await chooseWeights(folder, options.weights);
  const source = join(folder, weights === "ema" ? ModelFile.ema : ModelFile.weights);
  const parameters = modelParameters(description.config);
  await requireTensors(parameters, source);
  const learnt = await readLearnt(folder, description.config);
  const kind = description.config.counts === undefined ? "ranks" : "counts";
  const evaluation = await readEvaluation(options.evaluation, [folder, options.model], kind);
  const count = parameters.reduce((sum, { size }) => sum + size, 0);
  const card = modelCard({
    name: basename(resolve(out)),
    description,
    parameters: count,
    weights,
    evaluation: evaluation?.json,
    provenance: await readProvenance(folder),
    version: packageVersion(),
  });
  await writeFolder(
    out,
    async (temporary) => {
      await writeDescription(temporary, description, { ...HUB_KEYS, weights });
      await writeLearnt(temporary, learnt);
      await copyWeights(
        source,
        join(temporary, ModelFile.weights),
        new Set(parameters.map(({ name }) => name)),
        signal,
      );
      await writeFlushed(join(temporary, CARD), card);
    },
    isModel ? [...Object.values(ModelFile), CARD] : [],
  ).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw error;
  });
  const { base, summary, depths } = learnt;
  return {
    out,
    format,
    weights,
    parameters: count,
    files: [
      ModelFile.config,
      ModelFile.vocabulary,
      ...(base === undefined ? [] : [ModelFile.base]),
      ...(summary === undefined ? [] : [ModelFile.summary]),
      ...(depths === undefined ? [] : [ModelFile.depths]),
      ModelFile.weights,
      CARD,
    ],
    ...(evaluation === undefined ? {} : { evaluation: evaluation.file }),
  };
}

function checkArguments(options: ExportOptions): void {
  checkOptionNames("options of an export", options, OPTION_NAMES);
  checkOptions(options, OPTION_KINDS);
  checkKind("model", options.model, "text");
  checkKind("out", options.out, "text");
  if (options.format !== undefined) checkChoice("format", options.format, FORMATS);
  if (options.weights !== undefined) checkChoice("weights", options.weights, ["ema", "weights"]);
}

/** The weights that are asked for, where they were saved. */
async function chooseWeights(
  folder: string,
  asked: "ema" | "weights" | undefined,
): Promise<"ema" | "weights"> {
  const hasAverage = await exists(join(folder, ModelFile.ema));
  if (asked !== "ema" || hasAverage) return asked ?? (hasAverage ? "ema" : "weights");
  throw new DdscError(
    "EXPORT_WEIGHTS",
    `${folder}: was saved without a moving average of its weights; leave weights out`,
    { file: folder, argument: "weights" },
  );
}

/** Copies the parameters tensor by tensor, each checked; what else a file holds stays out. */
async function copyWeights(
  from: string,
  to: string,
  names: ReadonlySet<string>,
  signal: AbortSignal | undefined,
): Promise<void> {
  await using file = await SafetensorsFile.open(from);
  const tensors = [...file.tensors.values()].flatMap(({ name, shape }) => {
    const plain = name.replace(/^backbone\./, "");
    if (!names.has(plain)) return [];
    const read = async () => {
      signal?.throwIfAborted();
      const values = await file.read(name);
      await requireFinite(from, { name, shape }, values);
      return values;
    };
    return [{ name: plain, shape, read }];
  });
  // The format that programs of the Hub expect of weights for PyTorch, whose names and layouts these are.
  await writeSafetensors(to, tensors, { format: "pt" });
}

async function real(path: string): Promise<string> {
  return await realpath(path).catch(() => resolve(path));
}
