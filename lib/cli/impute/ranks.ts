import { setImmediate } from "node:timers/promises";
import { packageVersion } from "../../base/version.js";
import { type AnnDataStream, type StreamedRows, writeAnnData } from "../../data/anndata/write.js";
import { publicAddress } from "../../data/io/addresses.js";
import { tablesOf } from "../../data/sources/frames.js";
import { rowRange } from "../../data/sources/parts.js";
import type { CellSource } from "../../data/sources/source.js";
import type { Denoiser } from "../../model/denoiser.js";
import { inpaint, type SamplingOptions } from "../../sampling/index.js";
import { CellTokenizer, type GeneMapping } from "../../tokenizer/index.js";
import type { JsonResult } from "../shared/command.js";
import { findListedGenes } from "../shared/gene_list.js";
import { noteWritten } from "../shared/open.js";
import { withThousands } from "../shared/output.js";
import { CellProgress } from "../shared/progress.js";
import { samplingCells, samplingOptions } from "../shared/sampling.js";
import { type CellsToFill, cellsToFill, type FillRule } from "./cells_to_fill.js";
import { RANK_MATRICES, RankRows } from "./rank_rows.js";
import type { ImputeOptions, ImputeTask } from "./task.js";

/** Fills in ranks of all cells, writes them beside the counts and says how it went. */
export async function imputeRanks(task: ImputeTask): Promise<JsonResult> {
  const { source, model, listed, options, context } = task;
  const { output } = context;
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
    cells: samplingCells(options, context),
    sampling: samplingOptions(model, options, context),
    rows: new RankRows(mapping, model.strategy),
  };
  using progress = new CellProgress(output, source.cellCount);
  const { out } = options;
  const contents: AnnDataStream = {
    ...(await tablesOf(source)),
    matrices: RANK_MATRICES,
    rows: fillRows(job, progress),
    uns: {
      ddsc: {
        package: packageVersion(),
        command: "impute",
        model: options.model,
        data: publicAddress(options.data),
        where: options.where ?? null,
      },
    },
  };
  await writeAnnData(out, contents, { overwrite: options.overwrite });
  noteWritten(source, output);
  const { entries, skippedCells, known, correct, rankError } = job.rows.tally;
  const cellCount = withThousands(source.cellCount);
  if (entries > 0) output.line(`${out}: filled in ${withThousands(entries)} entries of ${cellCount} cells`);
  else output.line(`${out}: ${cellCount} cells as they are; ${nothingToFill(rule)}`);
  if (skippedCells > 0) {
    output.line(
      `left ${withThousands(skippedCells)} cells as they are: none of their expressed genes is in the model's vocabulary`,
    );
  }
  if (known === 0) return { out, cells: source.cellCount, entries, skippedCells };
  const check = { known, accuracy: correct / known, rankMae: rankError / known };
  output.line(
    `of ${withThousands(known)} ranks that had been known ${(100 * check.accuracy).toFixed(1)}% are right; ` +
      `the expected rank is off by ${check.rankMae.toFixed(2)} on average`,
  );
  return { out, cells: source.cellCount, entries, skippedCells, check };
}

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
  readonly rows: RankRows;
}

/** The model's tokenizer, but for its limits: all expressed genes of a cell, and nothing else. */
function wholeCellTokenizer({ tokenizer }: Denoiser): CellTokenizer {
  const { vocabulary, strategy, cls, seed } = tokenizer;
  return new CellTokenizer({ vocabulary, strategy, cls, seed, maxLength: vocabulary.size + 1 });
}

function ruleFrom(
  options: Pick<ImputeOptions, "fill" | "maskFraction" | "seed">,
  genes: Int32Array | undefined,
): FillRule {
  const { fill, maskFraction, seed } = options;
  if (maskFraction !== undefined) return { kind: "hidden", share: maskFraction, seed };
  return fill === "listed" && genes !== undefined ? { kind: "listed", genes } : { kind: "zeros", genes };
}

/** Rows of the output's matrices, some cells at a time. */
async function* fillRows(job: Job, progress: CellProgress): AsyncGenerator<StreamedRows> {
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
    const countsOf = countsByCell(toFill, (place) => rows.countsOfRanks(block, place));
    const { filled } = await inpaint(model, toFill.batch, { ...sampling, countsOf });
    yield rows.fill(block, toFill, filled);
    progress.update(start + length);
  }
}

/** What `inpaint` asks: of cells of the batch, worked out once for each cell of the block. */
function countsByCell(
  { places }: CellsToFill,
  countsAt: (place: number) => Float32Array,
): (cell: number) => Float32Array {
  const known = new Map<number, Float32Array>();
  return (cell) => {
    const place = places[cell] as number;
    const counts = known.get(place) ?? countsAt(place);
    known.set(place, counts);
    return counts;
  };
}
