import { checkKind, checkOptions } from "../base/arguments.js";
import { checkChoice, checkOptionNames, checkSeed, checkWhole, DdscError } from "../base/errors.js";
import type { CellSource } from "../data/sources/source.js";
import type { PresetName } from "../model/config.js";
import type { DenoiserOptions } from "../model/denoiser.js";
import { Opened } from "../model/opened.js";
import type { StepResult } from "../training/fit.js";
import type { TrainerOptions } from "../training/options.js";
import { RunFolder } from "../training/run_folder.js";
import { beginTraining, runTraining, type TrainingOutcome } from "./begin_training.js";
import { withCurve } from "./display.js";
import { collectNotes } from "./hooks.js";

/** Options of `trainFile`. */
export interface TrainFileOptions {
  /** Cells, or what `openCells` opens. */
  readonly data: string | readonly string[] | CellSource;
  /** Folder of the run: new, empty or, with `overwrite`, of a run that is replaced. */
  readonly out: string;
  /** Optimizer steps; default 1,000. */
  readonly steps?: number;
  /** Whether the model is of whole cells in counts (default) or of the published ranks of expressed genes. */
  readonly values?: "counts" | "ranks";
  /** Counts: columns of metadata that say what a cell is, as `learnConditions` takes them ("dose:log"). Default none. */
  readonly conditions?: readonly string[];
  /** Size of the model; default "nano". */
  readonly preset?: PresetName;
  /** As `DenoiserOptions.device`; default "auto". */
  readonly device?: string;
  /** Only the cells for which this condition holds, such as "drug = 'DMSO'"; default all. */
  readonly where?: string;
  /** Seed of every random number: a whole number below 2^53; default 0. */
  readonly seed?: number;
  /** How it is trained; defaults are those of `Trainer`. */
  readonly training?: Omit<TrainerOptions, "folder" | "overwrite" | "where" | "seed">;
  /** What else the model is; defaults are those of `Denoiser.create`, the vocabulary the genes of `data`. */
  readonly model?: Partial<
    Omit<DenoiserOptions, "values" | "conditions" | "preset" | "device" | "seed" | "trainable">
  >;
  /** Whether a run at `out` is replaced; default false. */
  readonly overwrite?: boolean;
  /** Ends the training, its last step saved: `Trainer.resume` goes on with it. */
  readonly signal?: AbortSignal;
  /** Told of each step. */
  readonly onStep?: (step: StepResult) => void;
}

/** How `trainFile` went. */
export interface Training extends TrainingOutcome {
  /** Folder of the run, which the other calls take as a model. */
  readonly out: string;
  /** What a reader should know. */
  readonly notes: readonly string[];
}

/** Which options of a trainer and a model are those of `trainFile`. */
const OF_TRAINING = { folder: "out", overwrite: "overwrite", where: "where", seed: "seed" } as const;
const OF_MODEL = {
  values: "values",
  conditions: "conditions",
  preset: "preset",
  device: "device",
  seed: "seed",
  trainable: undefined,
} as const;

const DEFAULT_STEPS = 1000;

const OPTION_NAMES: Readonly<Record<keyof TrainFileOptions, true>> = {
  data: true,
  out: true,
  steps: true,
  values: true,
  conditions: true,
  preset: true,
  device: true,
  where: true,
  seed: true,
  training: true,
  model: true,
  overwrite: true,
  signal: true,
  onStep: true,
};

/**
 * Trains a model on cells and saves it as a run, as `ddsc train` does: one call for `learnConditions`, `GeneVocabulary`,
 * `Denoiser.create` and `Trainer.fit`. The run can be stopped in any way and gone on with (`Trainer.resume`).
 * Deno's notebooks show the outcome as the run's learning curve.
 *
 * Throws `TRAIN_MEMORY` where the training would not fit, `RUN_EXISTS`, `RUN_LOCKED`, `FILE_EXISTS`, `ARGUMENT_*`, and as `openCells`,
 * `learnConditions`, `Denoiser.create` and `Trainer.fit`.
 */
export async function trainFile(options: TrainFileOptions): Promise<Training> {
  checkOptionNames("options of trainFile", options, OPTION_NAMES);
  checkOptions(options, {
    conditions: "texts",
    where: "text",
    training: "object",
    model: "object",
    overwrite: "switch",
    signal: "signal",
    onStep: "function",
  });
  const { data, out, values = "counts", preset, device, where, seed = 0, overwrite = false } = options;
  const { conditions = [], training = {}, model = {} } = options;
  checkKind("out", out, "text");
  checkChoice("values", values, ["counts", "ranks"]);
  const steps = checkWhole("steps", options.steps ?? DEFAULT_STEPS, 1, 1e9);
  checkSeed(seed);
  refuse("training", training, OF_TRAINING);
  refuse("model", model, OF_MODEL);
  await RunFolder.check(out, { overwrite });
  using opened = new Opened();
  const source = await opened.cells("data", data, training.cluster);
  const hooks = collectNotes();
  const asked = {
    conditions,
    model: {
      ...model,
      values,
      seed,
      tokenizer: { seed, ...model.tokenizer },
      ...(preset === undefined ? {} : { preset }),
      ...(device === undefined ? {} : { device }),
    },
    training: { ...training, folder: out, overwrite, seed, ...(where === undefined ? {} : { where }) },
  };
  const { trainer } = await beginTraining(source, asked, hooks);
  opened.own(trainer.model);
  const { signal, onStep } = options;
  const outcome = await runTraining(trainer, source, { steps, signal, onStep }, hooks);
  return withCurve({ out, ...outcome, notes: hooks.notes });
}

/** Throws `ARGUMENT_CONFLICT` for what is given in the wrong place. */
function refuse(argument: string, given: object, own: Readonly<Record<string, string | undefined>>): void {
  const name = Object.keys(given).find((each) => each in own);
  if (name === undefined) return;
  const place = own[name];
  throw new DdscError(
    "ARGUMENT_CONFLICT",
    `${argument}.${name} is not for trainFile; ${place === undefined ? "leave it out" : `give ${place} beside ${argument}`}`,
    { argument: `${argument}.${name}` },
  );
}
