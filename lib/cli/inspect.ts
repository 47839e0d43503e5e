import { stat } from "node:fs/promises";
import { summarise } from "../data/summary.js";
import { summaryText } from "../data/summary_text.js";
import { findModel, readDescription } from "../model/model_files.js";
import { defineCommand, type JsonResult } from "./command.js";
import { DATA_OPTIONS, openData } from "./open.js";
import { type Output, withThousands } from "./output.js";

/** `ddsc inspect FILE`: what is in a file of counts or a model's folder. */
export const inspect = defineCommand({
  name: "inspect",
  summary: "show what is in a file of counts or in a model's folder",
  file: "an .h5ad file, or the folder of a model or run",
  options: [...DATA_OPTIONS],
  required: [],
  run: async (options, { output }) => {
    const { file } = options;
    const isFolder = await stat(file).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (isFolder) return await inspectModel(file, output);
    using source = await openData(file, options);
    const summary = await summarise(source);
    output.line(summaryText(summary));
    return { ...summary };
  },
});

async function inspectModel(folder: string, output: Output): Promise<JsonResult> {
  const path = await findModel(folder);
  const { config, diffusion, tokenizer, dtype } = await readDescription(path);
  const { hidden, blocks, heads } = config;
  const { vocabulary, strategy, maxLength } = tokenizer;
  output.line(path);
  output.line(`model       ${blocks} blocks, ${hidden} wide, ${heads} heads, ${dtype}`);
  output.line(`vocabulary  ${withThousands(vocabulary.geneCount)} genes`);
  output.line(`tokens      ${strategy.kind}, ${strategy.values} ranks, at most ${maxLength} tokens a cell`);
  output.line(`objective   ${diffusion.objective.kind}, ${diffusion.schedule.kind} schedule`);
  return {
    path,
    config,
    diffusion,
    dtype,
    genes: vocabulary.geneCount,
    strategy: strategy.toJSON(),
    maxLength,
  };
}
