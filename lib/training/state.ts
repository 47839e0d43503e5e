import { join } from "node:path";
import { checkKind } from "../base/arguments.js";
import { DdscError } from "../base/errors.js";
import { packageVersion } from "../base/version.js";
import { type BatchPosition, FIRST_POSITION } from "../batching/index.js";
import { writeFlushed } from "../model/folder.js";
import { readJson, TRAINING_FILE } from "../model/model_files.js";
import type { LearningRateSchedule } from "./learning_rate.js";
import type { TrainerSettings } from "./options.js";
import { addFormerDefaults, problemOf } from "./record_check.js";
import type { DataRecord } from "./run_data.js";

const FORMAT = "ddsc-training";
/** 2: positions name a window; data has parts and conditions. */
const VERSION = 2;

/** How far a training is. With the settings, this names every random number still to be drawn. */
export interface TrainingState {
  /** Optimizer steps done. */
  readonly step: number;
  /** The batch to come next. */
  readonly position: BatchPosition;
  /** Tokens trained on, cls included. */
  readonly tokens: number;
  /** Seconds spent in steps. */
  readonly seconds: number;
  /** Step of the last validation; 0: none yet. */
  readonly validatedStep: number;
  /** The best validation so far. */
  readonly best: BestSoFar | null;
}

/** The validation with the lowest NLL. */
export interface BestSoFar {
  readonly step: number;
  /** Nats per valid token. */
  readonly nll: number;
}

/** What a checkpoint says about its training. */
export interface TrainingRecord {
  readonly settings: TrainerSettings;
  /** As resolved for the length of the run. */
  readonly schedule: LearningRateSchedule;
  /** Steps asked for; null: no end. */
  readonly steps: number | null;
  readonly data: DataRecord;
  readonly state: TrainingState;
}

/** The state before the first step. */
export const initialState: TrainingState = {
  step: 0,
  position: FIRST_POSITION,
  tokens: 0,
  seconds: 0,
  validatedStep: 0,
  best: null,
};

/** Writes `training.json` into a new folder; errors of the file system come as they are. */
export async function writeRecord(folder: string, record: TrainingRecord): Promise<void> {
  const json = { format: FORMAT, version: VERSION, package: packageVersion(), ...record };
  await writeFlushed(join(folder, TRAINING_FILE), `${JSON.stringify(json, null, 2)}\n`);
}

/**
 * Reads a checkpoint's `training.json`. Throws `CHECKPOINT_READ` where there is none, `CHECKPOINT_VERSION` for a newer
 * format, `CHECKPOINT_CONFIG` for contents that are no training record.
 */
export async function readRecord(folder: string): Promise<TrainingRecord> {
  checkKind("folder", folder, "text");
  const file = join(folder, TRAINING_FILE);
  const json = await readJson(file);
  if (json.format === FORMAT && json.version !== VERSION) {
    const older = typeof json.version === "number" && json.version < VERSION;
    const remedy = older
      ? "an older package wrote it, whose runs cannot be gone on with: its model can be used and, with --weights, trained on in a new run"
      : "update the package";
    throw new DdscError(
      "CHECKPOINT_VERSION",
      `${file}: its version is ${JSON.stringify(json.version)} and this package reads version ${VERSION}; ${remedy}`,
      { file },
    );
  }
  addFormerDefaults(json);
  const problem = json.format === FORMAT ? problemOf(json) : "it does not describe a training";
  if (problem !== undefined) {
    throw new DdscError(
      "CHECKPOINT_CONFIG",
      `${file}: ${problem}; the file is damaged or was changed by hand: restore it`,
      { file },
    );
  }
  const { settings, schedule, steps, data, state } = json as unknown as TrainingRecord;
  return { settings, schedule, steps, data, state };
}
