import { stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { requireRawCounts } from "../../data/sources/raw_counts.js";
import type { CellSource } from "../../data/sources/source.js";
import type { Denoiser } from "../../model/denoiser.js";
import { exists } from "../../model/model_files.js";
import type { Opened } from "../../model/opened.js";
import type { TaskHooks } from "../../tasks/hooks.js";
import { type ChosenCells, chooseCells, openTraining, readRun } from "../../tasks/run_cells.js";
import type { CountScoring } from "../../tasks/score_counts.js";
import { METRICS_FILE } from "../../training/metrics.js";
import { type MetricsLine, readMetrics } from "../../training/metrics_lines.js";
import type { TrainingRecord } from "../../training/state.js";
import type { Part } from "../report_data.js";
import { attempt, clip } from "./texts.js";

/** What a report is made of. */
export interface ReportSubject {
  /** What it is called. */
  readonly name: string;
  /** Folder of the run or checkpoint; undefined for a model in memory. */
  readonly folder: string | undefined;
  readonly model: Denoiser;
  /** What the model remembers of its training. */
  readonly record: TrainingRecord | undefined;
  readonly metrics: Part<readonly MetricsLine[]>;
  readonly cells: Part<ChosenCells>;
  /** Whether counts that are no whole numbers are taken. */
  readonly allowFractional: boolean;
  /** Scores of the cells, where they were made before. */
  readonly scoring?: CountScoring;
  /** Commands that make it again, where they are not those of a run. */
  readonly commands?: readonly string[];
}

/** Where a subject comes from. */
export interface SubjectOptions {
  /** Folder of a run, or of a checkpoint. */
  readonly folder: string;
  /** Cells in place of those of the run. */
  readonly given: CellSource | undefined;
  /** Loads the model, the caller's to dispose of. */
  readonly load: () => Promise<Denoiser>;
}

/** Bytes of a file of metrics that is read, at most: a million steps and more. */
const MOST_METRICS = 512 * 2 ** 20;

/** Opens a run. Throws what is wrong with the model; what else is missing the parts say. What is opened is closed with `opened`. */
export async function openSubject(
  { folder, given, load }: SubjectOptions,
  opened: Opened,
  hooks: TaskHooks,
): Promise<ReportSubject> {
  const model = await load();
  const remembered = await attempt(() => readRun(folder));
  if ("missing" in remembered) hooks.onNote(remembered.missing);
  const record = "made" in remembered ? remembered.made : undefined;
  const allowFractional = record?.settings.allowFractional === true;
  const cells = await attempt(async () => {
    const asked = { folder, record, given, place: hooks.nameOf("data") };
    const own = await openTraining(asked, hooks);
    if (own !== undefined) opened.own(own);
    const chosen = await chooseCells(asked, own, hooks);
    await requireRawCounts(chosen.source, allowFractional);
    return chosen;
  });
  return {
    name: clip(basename(resolve(folder))),
    folder,
    model,
    record,
    metrics: await readCurves(folder),
    cells,
    allowFractional,
  };
}

async function readCurves(folder: string): Promise<Part<readonly MetricsLine[]>> {
  const file = join(folder, METRICS_FILE);
  if (!(await exists(file))) {
    return {
      missing: `there is no ${METRICS_FILE} in the folder, as there is in that of a run; that of a checkpoint or of a model alone has none`,
    };
  }
  const read = await attempt(async () => {
    const { size } = await stat(file);
    return size > MOST_METRICS ? undefined : (await readMetrics(file)).lines;
  });
  if ("missing" in read) return read;
  if (read.made === undefined)
    return { missing: `${METRICS_FILE} is larger than ${MOST_METRICS / 2 ** 20} MiB` };
  if (read.made.length === 0) return { missing: `${METRICS_FILE} has no line of metrics` };
  return { made: read.made };
}
