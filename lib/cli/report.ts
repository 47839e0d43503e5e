import { basename, resolve } from "node:path";
import { Opened } from "../model/opened.js";
import { openSubject } from "../report/collect/subject.js";
import { checkReport, REPORT_CELLS, writeReport } from "../report/write_report.js";
import { flagOfArgument } from "./shared/argument_names.js";
import { defineCommand } from "./shared/command.js";
import { DATA_OPTIONS, openData, openModel } from "./shared/open.js";
import { StageProgress } from "./shared/progress.js";

/** `ddsc report`: a page that shows how good a run is. */
export const report = defineCommand({
  name: "report",
  summary: "write a page that shows how good a run is: one HTML file that needs nothing else",
  details: `Figures, each with its data as a table: learning curves, hidden genes beside every baseline, calibration, types, genes best and
worst predicted, real beside generated cells, a map of both, a cell being filled in; and the data, the model, the machine and the
commands. It is on cells that the run held out, or on all of --data where that is not the run's. A part that cannot be made is left
out with the reason. It takes about a minute on two cores; --cells takes more cells, and longer.

Examples: ddsc report runs/a
          ddsc report runs/a --out a.html --png figures --gif a.gif --by cell_type`,
  files: [{ name: "run", help: "folder of a run (its best checkpoint is reported on), or of a checkpoint" }],
  options: [
    "out",
    "data",
    ...DATA_OPTIONS,
    "by",
    "cells",
    "png",
    "gif",
    "tensorboard",
    "seed",
    "device",
    "dtype",
    "overwrite",
  ],
  required: [],
  texts: {
    out: { help: "the page to write, NAME.html", defaultText: "RUN-report.html" },
    data: {
      help: "cells in place of those of the run: a file, folder, address or pattern of any format; several separated by commas",
    },
    by: {
      help: "column of metadata that holds cell types",
      defaultText: "the model's first condition of labels",
    },
    cells: {
      help: "held-out cells that are scored, and cells that are generated, at most",
      ...REPORT_CELLS,
      defaultText: "as many as take about a minute",
    },
    tensorboard: {
      help: "add the figures as images, at the model's step, to this folder of event files for TensorBoard, such as that of the training",
    },
    overwrite: { help: "replace the page, the pictures and the animation where they are there" },
  },
  defaults: {},
  run: async (options, context) => {
    const { output, signal } = context;
    const { files, data, by, png, gif, tensorboard, seed, overwrite } = options;
    const [folder = ""] = files;
    const out = options.out ?? `${basename(resolve(folder))}-report.html`;
    const cells = context.given("cells") ? options.cells : undefined;
    const places = { out, png, gif, tensorboard, overwrite };
    await checkReport(places, cells, flagOfArgument);
    using opened = new Opened();
    using progress = new StageProgress(output);
    const hooks = {
      onNote: (note: string) => {
        progress.clear();
        output.note(note);
      },
      nameOf: flagOfArgument,
    };
    const given = data === undefined ? undefined : opened.own(await openData(data, options));
    const load = async () => opened.own(await openModel({ ...options, model: folder }, output));
    const subject = await openSubject({ folder, given, load }, opened, hooks);
    const collecting = {
      ...{ cells, by, seed, signal },
      onProgress: (share: number, what: string) => progress.update(share, what),
    };
    const written = await writeReport(subject, places, collecting, hooks);
    progress.clear();
    for (const [part, why] of Object.entries(written.leftOut))
      output.note(`not in the report: ${part}: ${why}`);
    output.line(written.verdict);
    const pictures = written.png.length === 0 ? "" : `; ${written.png.length} pictures in ${png}`;
    const images = written.tensorboard === null ? "" : `; ${written.tensorboard}`;
    const animation = written.gif === null ? "" : `; ${written.gif}`;
    output.line(`${out}: ${(written.bytes / 1e6).toFixed(1)} MB${pictures}${animation}${images}`);
    return { model: folder, ...written };
  },
});
