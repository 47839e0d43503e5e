import { DdscError } from "../base/errors.js";
import { summarise } from "../data/report/summary.js";
import { summaryText } from "../data/report/summary_text.js";
import { findModel } from "../model/model_files.js";
import { inspectModel } from "./inspect_model.js";
import { defineCommand } from "./shared/command.js";
import { DATA_OPTIONS, openSelected } from "./shared/open.js";
import { CellProgress } from "./shared/progress.js";

/** `ddsc inspect PATH`: what is in a file or folder of cells, or in the folder of a model or run. */
export const inspect = defineCommand({
  name: "inspect",
  summary: "show what is in a file of counts or in a model's folder",
  files: [
    { name: "file", help: "a file, folder, address or pattern of cells, or the folder of a model or run" },
  ],
  options: [...DATA_OPTIONS, "where"],
  required: [],
  run: async (options, { output, signal }) => {
    const [file = ""] = options.files;
    const model = await modelIn(file);
    if (model !== undefined) return await inspectModel(model, output);
    using source = await openSelected(file, options);
    using progress = new CellProgress(output, source.cellCount);
    const summary = await summarise(source, { signal, onProgress: (cells) => progress.update(cells) });
    progress.clear();
    output.lines(summaryText(summary));
    return { ...summary };
  },
});

/** The folder of the model in `path`; undefined if that is no folder of a model or run. */
async function modelIn(path: string): Promise<string | undefined> {
  return findModel(path).catch((error: unknown) => {
    if (error instanceof DdscError && error.code === "CHECKPOINT_READ") return undefined;
    throw error;
  });
}
