import { setImmediate } from "node:timers/promises";
import { type MatrixRows, writeH5adStreamed } from "../data/anndata/h5ad_write.js";
import { refuseOwnFiles } from "../data/report/own_files.js";
import { framesOf } from "../data/sources/frames.js";
import { rowRange } from "../data/sources/parts.js";
import { requireRawCounts } from "../data/sources/raw_counts.js";
import type { CellSource } from "../data/sources/source.js";
import type { Denoiser } from "../model/denoiser.js";
import { packageVersion } from "../model/version.js";
import { inpaint, type SamplingOptions } from "../sampling/index.js";
import { CellTokenizer, type GeneMapping } from "../tokenizer/index.js";
import { checkExclusive, defineCommand } from "./command.js";
import { findListedGenes, readGeneList } from "./gene_list.js";
import { cellsToFill, type FillRule } from "./imputation.js";
import { ImputedRows } from "./imputed_rows.js";
import { DATA_OPTIONS, MODEL_OPTIONS, noteWritten, openData, openModel } from "./open.js";
import { checkOutEnding, checkOutFile } from "./out_path.js";
import { withThousands } from "./output.js";
import { CellProgress } from "./progress.js";
import { SAMPLING_OPTIONS, samplingCells, samplingOptions } from "./sampling.js";
import { UsageError } from "./usage_error.js";

/** `ddsc impute`: fills in genes of the cells of a file. */
export const impute = defineCommand({
  name: "impute",
  summary: "fill in the ranks of genes without a count (or of listed genes) in every cell of a file",
  details: `Writes cells and genes of --data as they are, with
  X                     counts; where a gene was filled in, the count that its rank has among the cell's own
  layers/rank           ranks, counted and filled in; -1 where there is none
  layers/expected_rank  the mean of the rank given the cell's evidence, where a gene was filled in; otherwise NaN
  layers/probability    probability of the filled-in rank given that evidence; otherwise NaN
A rank says how a gene would compare with the cell's other genes if it had been captured. By default each entry gets its
most probable rank; other samplers draw ranks, of the genes filled in together as fit each other.

Example: ddsc impute --model runs/a --data cells.h5ad --out filled.h5ad --genes Sox2,Pax6`,
  options: [
    "data",
    "out",
    ...MODEL_OPTIONS,
    ...DATA_OPTIONS,
    "allowFractional",
    "genes",
    "skipUnknown",
    "fill",
    "maskFraction",
    "atOnce",
    "maxLength",
    ...SAMPLING_OPTIONS,
    "overwrite",
  ],
  required: ["model", "data", "out"],
  texts: {
    out: { help: "the .h5ad file to write" },
    samplingSteps: {
      defaultText:
        "1; with --sampler 32, but first-hitting: as many as there are masked ranks, which is exact",
    },
  },
  defaults: { sampler: "parallel", samplingSteps: 1, temperature: 0 },
  run: async (options, context) => {
    const { output } = context;
    const cells = samplingCells(options, context);
    checkExclusive(context, "maskFraction", "genes");
    checkExclusive(context, "maskFraction", "fill");
    const listed = options.genes === undefined ? undefined : await readGeneList(options.genes);
    if (options.fill === "listed" && listed === undefined)
      throw new UsageError("--fill listed needs --genes");
    checkOutEnding(options.out, ".h5ad files");
    await checkOutFile(options.out, options.overwrite);
    using source = await openData(options.data, options);
    await refuseOwnFiles(source, options.out);
    await requireRawCounts(source, options.allowFractional);
    using model = await openModel(options, output);
    const tokenizer = wholeCellTokenizer(model);
    const mapping = tokenizer.map(source);
    const { skipUnknown } = options;
    const search = { vocabulary: model.vocabulary, mapping, skipUnknown, output };
    const genes = listed === undefined ? undefined : findListedGenes(listed, search).ids;
    const rule = ruleFrom(options, genes && Int32Array.from(new Set(genes)).sort());
    const job: Job = {
      source,
      model,
      tokenizer,
      mapping,
      rule,
      atOnce: options.atOnce,
      maxLength: context.given("maxLength") ? options.maxLength : model.tokenizer.maxLength,
      cells,
      sampling: samplingOptions(model, options, context),
      rows: new ImputedRows(mapping, model.strategy),
    };
    using progress = new CellProgress(output, source.cellCount);
    await writeH5adStreamed(options.out, {
      ...(await framesOf(source)),
      matrices: { X: "float32", rank: "int32", expected_rank: "float32", probability: "float32" },
      rows: fillRows(job, progress),
      uns: {
        ddsc: { package: packageVersion(), command: "impute", model: options.model, data: options.data },
      },
    });
    noteWritten(source, output);
    const { entries, skippedCells, known, correct, rankError } = job.rows.tally;
    const cellCount = withThousands(source.cellCount);
    if (entries > 0)
      output.line(`${options.out}: filled in ${withThousands(entries)} entries of ${cellCount} cells`);
    else output.line(`${options.out}: ${cellCount} cells as they are; ${nothingToFill(rule)}`);
    if (skippedCells > 0) {
      output.line(
        `left ${withThousands(skippedCells)} cells as they are: none of their expressed genes is in the model's vocabulary`,
      );
    }
    if (known === 0) return { out: options.out, cells: source.cellCount, entries, skippedCells };
    const check = { known, accuracy: correct / known, rankMae: rankError / known };
    output.line(
      `of ${withThousands(known)} ranks that had been known ${(100 * check.accuracy).toFixed(1)}% are right; ` +
        `the expected rank is off by ${check.rankMae.toFixed(2)} on average`,
    );
    return { out: options.out, cells: source.cellCount, entries, skippedCells, check };
  },
});

/** Why nothing was filled in. */
function nothingToFill(rule: FillRule): string {
  if (rule.kind !== "zeros") return "there was nothing to fill in";
  const genes = rule.genes === undefined ? "gene of the model" : "one of these genes";
  return `there was nothing to fill in, as no cell that can be used lacks a count of any ${genes}`;
}

interface Job {
  readonly source: CellSource;
  readonly model: Denoiser;
  readonly tokenizer: CellTokenizer;
  readonly mapping: GeneMapping;
  readonly rule: FillRule;
  readonly atOnce: number | undefined;
  readonly maxLength: number;
  readonly cells: number;
  readonly sampling: SamplingOptions;
  readonly rows: ImputedRows;
}

/** The model's tokenizer, but for its limits: all expressed genes of a cell, and nothing else. */
function wholeCellTokenizer({ tokenizer }: Denoiser): CellTokenizer {
  const { vocabulary, strategy, cls, seed } = tokenizer;
  return new CellTokenizer({ vocabulary, strategy, cls, seed, maxLength: vocabulary.size + 1 });
}

function ruleFrom(
  options: {
    readonly fill: "zeros" | "listed";
    readonly maskFraction: number | undefined;
    readonly seed: number;
  },
  genes: Int32Array | undefined,
): FillRule {
  const { fill, maskFraction, seed } = options;
  if (maskFraction !== undefined) return { kind: "hidden", share: maskFraction, seed };
  return fill === "listed" && genes !== undefined ? { kind: "listed", genes } : { kind: "zeros", genes };
}

/** Rows of the output's matrices, some cells at a time. */
async function* fillRows(job: Job, progress: CellProgress): AsyncGenerator<MatrixRows> {
  const { source, model, tokenizer, mapping, rule, atOnce, maxLength, cells, rows, sampling } = job;
  for (let start = 0; start < source.cellCount; start += cells) {
    await setImmediate();
    sampling.signal?.throwIfAborted();
    const length = Math.min(cells, source.cellCount - start);
    const block = await source.read(rowRange(start, start + length), sampling.signal);
    const toFill = cellsToFill(block, mapping, {
      tokenizer,
      rule,
      atOnce,
      maxLength,
      mask: model.config.vocabSize - 1,
      cellCount: source.cellCount,
    });
    const { filled } = await inpaint(model, toFill.batch, sampling);
    yield { ...rows.fill(block, toFill, filled) };
    progress.update(start + length);
  }
}
