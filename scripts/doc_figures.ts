// Pictures of docs/: npx tsx scripts/doc_figures.ts RUN
//   makes a report of a run (docs/report.md says which) and writes some of its figures, small, into docs/figures
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { argv, exit } from "node:process";
import { Denoiser } from "../lib/model/denoiser.js";
import { Opened } from "../lib/model/opened.js";
import { renderPng } from "../lib/plots/index.js";
import { collectReport } from "../lib/report/collect/collect.js";
import { openSubject } from "../lib/report/collect/subject.js";
import { type FigureName, reportFigures } from "../lib/report/figures.js";
import { collectNotes } from "../lib/tasks/hooks.js";

const SHOWN: readonly FigureName[] = ["likelihood", "calibration", "classifier", "filling"];
/** Pixels; pages show them as wide as their text. */
const WIDTH = 720;
/** A repository is cloned by everyone. */
const MOST_BYTES = 100_000;

const [, , folder] = argv;
if (folder === undefined) {
  console.error("name the folder of a run");
  exit(2);
}
using opened = new Opened();
const hooks = collectNotes();
const load = async () => opened.own(await Denoiser.load(folder));
const subject = await openSubject({ folder, given: undefined, load }, opened, hooks);
const options = { cells: undefined, by: undefined, seed: 0, signal: undefined, onProgress: () => undefined };
const { figures } = await reportFigures(await collectReport(subject, options, hooks), undefined);
const out = join(import.meta.dirname, "../docs/figures");
await mkdir(out, { recursive: true });
for (const name of SHOWN) {
  const part = figures.get(name);
  if (part === undefined || "missing" in part) throw new Error(`the run has no figure ${name}`);
  const png = await renderPng(part.made.wide, { width: WIDTH });
  if (png.length > MOST_BYTES) throw new Error(`${name}: ${png.length} bytes`);
  await writeFile(join(out, `${name}.png`), png);
  console.log(`${name}: ${png.length} bytes`);
}
