import { checkChoice } from "../../base/errors.js";
import { IMPUTED_LAYERS, imputeFile } from "../../imputation/index.js";
import type { CommandContext, JsonResult } from "../shared/command.js";
import { findListedGenes } from "../shared/gene_list.js";
import { noteWritten, openData, openModel } from "../shared/open.js";
import { withThousands } from "../shared/output.js";
import { CellProgress } from "../shared/progress.js";
import { partIsThere, shardOf } from "../shared/shard.js";
import type { OpenTogether } from "../shared/write_together.js";
import type { ImputeOptions } from "./task.js";

/** Denoises the counts of all cells, writes layers beside them and says what they are. */
export async function imputeCounts(
  listed: readonly string[] | undefined,
  options: ImputeOptions,
  { output, signal }: CommandContext,
  openTogether: OpenTogether,
): Promise<JsonResult> {
  const layers = options.layers?.split(",").map((name) => checkChoice("layers", name.trim(), IMPUTED_LAYERS));
  const { where, least, replaceX, tell, allowFractional, overwrite, batchTokens, skipUnknown } = options;
  const shard = shardOf(options);
  using source = await openTogether((peers) => openData(options.data, options, peers));
  using model = await openModel(options, output);
  const { vocabulary } = model;
  const mapping = model.tokenizer.map(source);
  const genes = listed && findListedGenes(listed, { vocabulary, mapping, skipUnknown, output }).ids;
  using progress = new CellProgress(output, source.cellCount);
  const result = await imputeFile({
    model,
    modelName: options.model,
    data: source,
    out: options.out,
    ...(shard === undefined ? {} : { shard }),
    replaceX,
    seed: options.seed,
    conditions: tell,
    allowFractional,
    overwrite,
    signal,
    onProgress: (cells, of) => progress.update(cells, of),
    ...(layers === undefined ? {} : { layers }),
    ...(genes === undefined ? {} : { genes: [...new Set(genes)] }),
    ...(where === undefined ? {} : { where }),
    ...(least === undefined ? {} : { least }),
    ...(batchTokens === undefined ? {} : { maxRows: batchTokens }),
  });
  progress.clear();
  noteWritten(source, output);
  const { notes, ...written } = result;
  const { out } = written;
  for (const note of notes) output.note(note);
  const others = result.genes - result.predictedGenes;
  if (others > 0) {
    const unknown = `${withThousands(result.unknownGenes)} of them unknown to the model`;
    const kept = replaceX ? "X" : result.layers.includes("denoised") ? "denoised" : undefined;
    output.note(
      `${withThousands(others)} of ${withThousands(result.genes)} genes were not predicted, ${unknown}: var/ddsc_imputed is False, ` +
        `${kept === undefined ? "and 0 in" : `${kept} holds their counts, and 0 in other`} layers says nothing of them`,
    );
  }
  if (result.kept) {
    output.line(partIsThere(out));
    return written;
  }
  if (result.emptyCells > 0) {
    output.note(
      `${withThousands(result.emptyCells)} cells have no count of a gene that the model knows: their values are what it expects of a cell in which nothing was found`,
    );
  }
  const columns = `${withThousands(result.cells)} cells, ${withThousands(result.predictedGenes)} genes predicted`;
  const x = replaceX ? "X is denoised, " : "";
  output.line(`${out}: ${columns}; ${x}layers ${result.layers.join(", ")}`);
  if (!replaceX && !result.layers.includes("denoised")) return written;
  output.line(
    "denoised is the expected count at each cell's own depth, shrunk to what the model learnt: for looking at genes, not for testing differences",
  );
  return written;
}
