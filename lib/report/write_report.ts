import { access, constants, lstat, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { checkNumber, DdscError } from "../base/errors.js";
import { fileWriteError, makeFolders } from "../base/files.js";
import { writeFileAtomic } from "../base/publish.js";
import { takeTurn } from "../base/turns.js";
import { FEW_CELLS } from "../evaluation/defaults.js";
import type { Figure } from "../plots/figure.js";
import type { TaskHooks } from "../tasks/hooks.js";
import type { EventLog } from "../tensorboard/event_log.js";
import { type CollectOptions, collectReport } from "./collect/collect.js";
import type { ReportSubject } from "./collect/subject.js";
import { FIGURE_NAMES, type FigureName, type ReportFigures, reportFigures } from "./figures.js";
import { reportHtml } from "./page/page.js";
import type { ReportData } from "./report_data.js";

/** Range of the option `cells`. */
export const REPORT_CELLS = { min: FEW_CELLS, max: 20_000 };

/** Where a report goes. */
export interface ReportPlaces {
  /** The HTML file. */
  readonly out: string;
  /** Folder of a PNG file for each figure; left out: none are written. */
  readonly png?: string | undefined;
  /** GIF file of a cell being filled in, then one generated; left out: none is written. */
  readonly gif?: string | undefined;
  /** Folder of event files for TensorBoard, to which the figures are added as images; left out: none are. */
  readonly tensorboard?: string | undefined;
  /** Whether files that are there are replaced. */
  readonly overwrite: boolean;
}

/** What is written of a report. */
export interface WrittenReport {
  /** The HTML file. */
  readonly out: string;
  /** Its size, bytes. */
  readonly bytes: number;
  /** PNG files, one a figure; empty unless asked for. */
  readonly png: readonly string[];
  /** The event file; null unless it was asked for. */
  readonly tensorboard: string | null;
  /** The GIF file; null unless it was asked for and there is something to show. */
  readonly gif: string | null;
  /** Whether the model beats the best simple baseline, in words. */
  readonly verdict: string;
  /** The same for programs; null where it is not known. */
  readonly beaten: boolean | null;
  /** Figures that the report has, by the names of their files. */
  readonly figures: readonly string[];
  /** What it has not, and why. */
  readonly leftOut: Readonly<Record<string, string>>;
}

/** Pixels of the files' pictures. */
const PNG_WIDTH = 1600;
const GIF_WIDTH = 800;
/** Milliseconds that a frame stays. */
const GIF_DELAY = 250;
/** Progress beside `collectReport`. */
const DRAWN = { page: 0.96, png: 0.97, gif: 0.98, end: 1 };

/** Before any work: throws `FILE_EXISTS` for what may not be replaced, `FILE_WRITE` where nothing can be written, `ARGUMENT_RANGE`. */
export async function checkReport(
  { out, png, gif, overwrite }: ReportPlaces,
  cells: number | undefined,
  nameOf: TaskHooks["nameOf"],
): Promise<void> {
  checkEnding("out", out, /\.html?$/i, "an HTML file, NAME.html");
  if (gif !== undefined) checkEnding("gif", gif, /\.gif$/i, "a GIF file, NAME.gif");
  if (cells !== undefined) checkNumber("cells", cells, { ...REPORT_CELLS, integer: true });
  const pictures = png === undefined ? [] : FIGURE_NAMES.map((name) => pngFile(png, name));
  for (const [argument, file] of [
    ["out", out],
    ...(gif === undefined ? [] : [["gif", gif] as const]),
    ...pictures.map((file) => ["png", file] as const),
  ] as const) {
    const found = await lstat(file).catch(() => undefined);
    if (found === undefined) continue;
    if (!overwrite) {
      const remedy = `choose another ${nameOf(argument)}, or pass ${nameOf("overwrite")}`;
      const problem = `${file}: already exists; ${remedy}`;
      throw new DdscError("FILE_EXISTS", problem, { file, argument });
    }
    if ((await stat(file).catch(() => undefined))?.isDirectory() === true)
      throw fileWriteError(file, Object.assign(new Error("a folder"), { code: "EISDIR" }));
  }
  for (const file of gif === undefined ? [out] : [out, gif]) {
    await access(dirname(resolve(file)), constants.W_OK).catch((error: unknown) => {
      throw fileWriteError(file, error);
    });
  }
  if (png === undefined) return;
  await makeFolders(png).catch((error: unknown) => {
    throw fileWriteError(png, error);
  });
}

/** Throws `ARGUMENT_RANGE` for a name that promises another format. */
function checkEnding(argument: string, file: string, ending: RegExp, what: string): void {
  if (ending.test(file)) return;
  const problem = `expected ${what} for ${argument} but received ${file}`;
  throw new DdscError("ARGUMENT_RANGE", problem, { argument });
}

/**
 * Collects a report, draws it and writes it: each file whole or not at all, the page last. Throws `FILE_EXISTS`, `FILE_WRITE`;
 * rejects with the signal's reason when aborted.
 */
export async function writeReport(
  subject: ReportSubject,
  places: ReportPlaces,
  options: CollectOptions,
  hooks: TaskHooks,
): Promise<WrittenReport> {
  const { out, png, gif, tensorboard, overwrite } = places;
  const { signal, onProgress } = options;
  const data = await collectReport(subject, options, hooks);
  onProgress(DRAWN.page, "drawing");
  const drawn = await reportFigures(data, signal);
  const page = reportHtml(data, drawn);
  const step = subject.record?.state.step ?? 0;
  // What the run's own files have of this step stays.
  await using log = tensorboard === undefined ? undefined : await openLog(tensorboard, step + 1);
  const pictures: string[] = [];
  if (png !== undefined || log !== undefined) {
    onProgress(DRAWN.png, "drawing pictures");
    const { renderPng } = await import("../plots/index.js");
    for (const [name, part] of drawn.figures) {
      if ("missing" in part) continue;
      await takeTurn(signal);
      const picture = await renderPng(part.made.wide, { width: PNG_WIDTH });
      log?.addImage(step, `report/${name}`, picture);
      if (png === undefined) continue;
      const file = pngFile(png, name);
      await writeFileAtomic(file, picture, { overwrite });
      pictures.push(file);
    }
  }
  const frames = framesOf(drawn);
  if (gif !== undefined && frames.length > 0) {
    onProgress(DRAWN.gif, "drawing the animation");
    const { renderGif } = await import("../plots/index.js");
    await takeTurn(signal);
    await writeFileAtomic(gif, await renderGif(frames, { width: GIF_WIDTH, delay: GIF_DELAY }), {
      overwrite,
    });
  }
  await takeTurn(signal);
  await writeFileAtomic(out, page, { overwrite });
  onProgress(DRAWN.end, "done");
  return {
    out,
    bytes: Buffer.byteLength(page),
    png: pictures,
    tensorboard: log?.file ?? null,
    gif: gif !== undefined && frames.length > 0 ? gif : null,
    verdict: data.verdict,
    beaten: data.beaten ?? null,
    figures: [...drawn.figures].filter(([, part]) => "made" in part).map(([name]) => name),
    leftOut: leftOut(data, drawn),
  };
}

async function openLog(folder: string, firstStep: number): Promise<EventLog> {
  const { EventLog } = await import("../tensorboard/index.js");
  return await EventLog.open(folder, { firstStep });
}

function pngFile(folder: string, name: FigureName): string {
  return join(folder, `${name}.png`);
}

/** Moments of the animations, one after the other, as far as they are of one size. */
function framesOf({ animations }: ReportFigures): readonly Figure[] {
  const all = [...animations.values()].flatMap(({ wide }) => wide);
  const sizeOf = ({ svg }: Figure) => / viewBox="([^"]*)"/.exec(svg)?.[1];
  const [first] = all;
  return all.filter((figure) => first !== undefined && sizeOf(figure) === sizeOf(first));
}

function leftOut(data: ReportData, { figures }: ReportFigures): Record<string, string> {
  const parts = { curves: data.curves, scores: data.scores, genes: data.genes, generated: data.generated };
  const missing: Record<string, string> = {};
  for (const [name, part] of [
    ...Object.entries(parts),
    ...Object.entries({ map: data.map, filling: data.filling }),
    ...figures,
  ]) {
    // A part's figures are left out for the part's reason.
    if ("missing" in part && !Object.values(missing).includes(part.missing)) missing[name] = part.missing;
  }
  return missing;
}
