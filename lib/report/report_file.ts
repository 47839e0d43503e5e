import { checkKind, checkOptions } from "../base/arguments.js";
import { checkOptionNames, checkWhole } from "../base/errors.js";
import type { CellSource } from "../data/sources/source.js";
import { Opened } from "../model/opened.js";
import type { DType } from "../native/types.js";
import { collectNotes } from "../tasks/hooks.js";
import { openSubject } from "./collect/subject.js";
import { checkReport, type WrittenReport, writeReport } from "./write_report.js";

/** Options of `reportFile`. */
export interface ReportFileOptions {
  /** Folder of a run (its best checkpoint is reported on), or of a checkpoint. */
  readonly model: string;
  /** HTML file to write, NAME.html. */
  readonly out: string;
  /**
   * Cells, or what `openCells` opens. Default: the run's own data, of which only the cells that it held out are looked at; so are they
   * where these are that data. Of other data all cells are.
   */
  readonly data?: string | readonly string[] | CellSource;
  /** Held-out cells that are scored, and cells that are generated, 20 to 20,000 at most; default: as many as take about a minute. */
  readonly cells?: number;
  /** Column of metadata that tells the cells' types; default the model's first condition of labels. */
  readonly by?: string;
  /** Folder to write a PNG file of each figure into; default: none. */
  readonly png?: string;
  /** GIF file to write, NAME.gif, of a cell being filled in and one being generated; default: none. */
  readonly gif?: string;
  /** Folder of event files for TensorBoard, such as that of the training: the figures are added as images, at the model's step; default: none. */
  readonly tensorboard?: string;
  /** Whole number below 2^53 - 1: which cells are taken, what is hidden and drawn. Default 0. */
  readonly seed?: number;
  /** As `LoadOptions.device`. */
  readonly device?: string;
  /** As `LoadOptions.dtype`. */
  readonly dtype?: DType;
  /** Whether files that are there are replaced; default false. */
  readonly overwrite?: boolean;
  /** Ends the work with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Told how much is done, 0..1, and what is being done. */
  readonly onProgress?: (share: number, what: string) => void;
}

/** What `reportFile` wrote. */
export interface Report extends WrittenReport {
  /** What a reader should know. */
  readonly notes: readonly string[];
}

const OPTION_NAMES: Readonly<Record<keyof ReportFileOptions, true>> = {
  model: true,
  out: true,
  data: true,
  cells: true,
  by: true,
  png: true,
  gif: true,
  tensorboard: true,
  seed: true,
  device: true,
  dtype: true,
  overwrite: true,
  signal: true,
  onProgress: true,
};

/**
 * Writes a report of a run: one HTML file that needs nothing else, made from what the run and its model know, on cells that it was not
 * trained on. docs/report.md says what is in it and how to read it. A part that cannot be made (no training data at hand, a model of
 * ranks, no types, a checkpoint in place of a run) is left out with the reason, in the page and in `leftOut`. What is written appears
 * whole or not at all.
 *
 * Throws `FILE_EXISTS`, `FILE_WRITE`, `CHECKPOINT_*`, `DEVICE_*`, as `openCells` for `data`, `ARGUMENT_*`; rejects with the signal's
 * reason when aborted.
 */
export async function reportFile(options: ReportFileOptions): Promise<Report> {
  checkOptionNames("options of reportFile", options, OPTION_NAMES);
  checkOptions(options, {
    by: "text",
    png: "text",
    gif: "text",
    tensorboard: "text",
    overwrite: "switch",
    signal: "signal",
    onProgress: "function",
  });
  const {
    model: folder,
    out,
    data,
    cells,
    by,
    png,
    gif,
    tensorboard,
    device,
    dtype,
    overwrite = false,
    signal,
  } = options;
  checkKind("model", folder, "text");
  checkKind("out", out, "text");
  const seed = checkWhole("seed", options.seed ?? 0, 0, Number.MAX_SAFE_INTEGER - 1);
  const places = { out, png, gif, tensorboard, overwrite };
  const hooks = collectNotes();
  await checkReport(places, cells, hooks.nameOf);
  using opened = new Opened();
  const given = data === undefined ? undefined : await opened.cells("data", data);
  const load = () => opened.modelOn(folder, { device, dtype });
  const subject = await openSubject({ folder, given, load }, opened, hooks);
  const collecting = {
    ...{ cells, by, seed, signal },
    onProgress: options.onProgress ?? (() => undefined),
  };
  return { ...(await writeReport(subject, places, collecting, hooks)), notes: hooks.notes };
}
