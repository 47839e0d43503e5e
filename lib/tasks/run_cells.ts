import { join } from "node:path";
import { DdscError } from "../base/errors.js";
import type { Peers } from "../data/open/share_out.js";
import type { CellSelection } from "../data/select/selection.js";
import type { CellSource } from "../data/sources/source.js";
import { exists, findModel, TRAINING_FILE } from "../model/model_files.js";
import {
  type DataRecord,
  isSameData,
  openRunCells,
  recordData,
  requireRunData,
  selectionOf,
} from "../training/run_data.js";
import { readRecord, type TrainingRecord } from "../training/state.js";
import type { TaskHooks } from "./hooks.js";

/** Cells that a task is asked to take: a run's own, or others. */
export interface AskedCells {
  /** Folder of the run. */
  readonly folder: string;
  /** What its model remembers of its training. */
  readonly record: TrainingRecord | undefined;
  /** The cells that were given. */
  readonly given: CellSource | undefined;
  /** How a user gives them, for messages: "--data". */
  readonly place: string;
  /** Who opens the run's own together. */
  readonly peers?: Peers | undefined;
}

/** Some cells of a source. */
export interface ChosenSource {
  readonly source: CellSource;
  readonly selection: CellSelection;
}

/** What a task takes of a run's data. */
export interface ChosenCells {
  readonly source: CellSource;
  /** Cells of `source` to score. */
  readonly heldOut: CellSelection;
  /** The run's training cells, as far as they are at hand. */
  readonly training: ChosenSource | undefined;
}

/** Two conditions as one. */
export function bothConditions(
  one: string | undefined,
  other: string | undefined,
): { readonly where?: string } {
  if (one === undefined || other === undefined) {
    const where = one ?? other;
    return where === undefined ? {} : { where };
  }
  return { where: `(${one}) and (${other})` };
}

/** What a model remembers of its training; undefined for one that was saved outside of a run. */
export async function readRun(folder: string): Promise<TrainingRecord | undefined> {
  const model = await findModel(folder);
  return (await exists(join(model, TRAINING_FILE))) ? readRecord(model) : undefined;
}

/**
 * Opens the data of a run where they were. Throws as `openRunCells`, saying how a user tells where they are now.
 *
 * @param place how a user gives it
 * @param peers who opens it together
 */
export async function openRunData(record: DataRecord, place: string, peers?: Peers): Promise<CellSource> {
  try {
    return await openRunCells(record, peers);
  } catch (error) {
    const isAway = error instanceof DdscError && ["DATA_NOT_FOUND", "DATA_UNREADABLE"].includes(error.code);
    if (!isAway) throw error;
    throw new DdscError(
      error.code,
      `${error.text}; if the data of the run was moved, ${place} gives its new place`,
      error.place,
      { cause: error },
    );
  }
}

/** The data of the run where the cells given are not that; undefined, with a note, where it can no longer be read. */
export async function openTraining(
  { folder, record, given, place, peers }: AskedCells,
  { onNote }: Pick<TaskHooks, "onNote">,
): Promise<CellSource | undefined> {
  if (
    record === undefined ||
    (given !== undefined && isSameData(record.data, await recordData(given, record.data)))
  )
    return undefined;
  if (given === undefined) return openRunData(record.data, place, peers);
  try {
    return await openRunCells(record.data, peers);
  } catch (error) {
    if (!(error instanceof DdscError)) throw error;
    onNote(`${folder}: no baselines, as the training data cannot be read (${error.message})`);
    return undefined;
  }
}

/**
 * The run's held-out cells, or all cells of other data. Throws `EVALUATION_EMPTY` where the run held out none, or the model does not
 * know what it was trained on.
 *
 * @param own the data of the run, as `openTraining` gives it
 */
export async function chooseCells(
  { folder, record, given, place }: AskedCells,
  own: CellSource | undefined,
  { nameOf }: Pick<TaskHooks, "nameOf">,
): Promise<ChosenCells> {
  const trained = own ?? (record === undefined ? undefined : given);
  if (record !== undefined && trained !== undefined) await requireRunData(record.data, trained);
  const training =
    record === undefined || trained === undefined
      ? undefined
      : { source: trained, selection: selectionOf(record.data, "train") };
  if (given !== undefined && given !== trained) return { source: given, heldOut: {}, training };
  if (record === undefined || trained === undefined) {
    throw new DdscError(
      "EVALUATION_EMPTY",
      `${folder}: does not say what it was trained on; give the cells to score (${place})`,
      { file: folder },
    );
  }
  if (record.data.heldOut !== null) {
    return { source: trained, heldOut: selectionOf(record.data, "validation"), training };
  }
  throw new DdscError(
    "EVALUATION_EMPTY",
    `${folder}: the run was trained with ${nameOf("validation")} 0, so it held out no cells; give other cells (${place}), or train with ${nameOf("validation")} above 0`,
    { file: folder },
  );
}
