import { setImmediate } from "node:timers/promises";
import { packageVersion } from "../../base/version.js";
import type { AnnDataStream, StreamedRows } from "../../data/anndata/write.js";
import { publicAddress } from "../../data/io/addresses.js";
import { type PartToWrite, writePart } from "../../data/shards/part.js";
import { rowRange } from "../../data/sources/parts.js";
import { type FileJob, withFileJob } from "../../imputation/file_job.js";
import type { Denoiser } from "../../model/denoiser.js";
import { inpaint, type SamplingOptions } from "../../sampling/index.js";
import { CellTokenizer, type GeneMapping } from "../../tokenizer/index.js";
import type { CommandContext, JsonResult } from "../shared/command.js";
import { findListedGenes } from "../shared/gene_list.js";
import { noteWritten, openData, openModel } from "../shared/open.js";
import { type Output, withThousands } from "../shared/output.js";
import { CellProgress } from "../shared/progress.js";
import { samplingCells, samplingOptions } from "../shared/sampling.js";
import { partIsThere, shardOf } from "../shared/shard.js";
import type { OpenTogether } from "../shared/write_together.js";
import { type CellsToFill, cellsToFill, type FillRule } from "./cells_to_fill.js";
import { RANK_MATRICES, RankRows } from "./rank_rows.js";
import type { ImputeOptions } from "./task.js";

/** Fills in ranks of all cells, writes them beside the counts and says how it went. */
export async function imputeRanks(
  listed: readonly string[] | undefined,
  options: ImputeOptions,
  context: CommandContext,
  openTogether: OpenTogether,
): Promise<JsonResult> {
  const { output, signal } = context;
  const { where, allowFractional, overwrite } = options;
  const shard = shardOf(options);
  using source = await openTogether((peers) => openData(options.data, options, peers));
  using model = await openModel(options, output);
  using progress = new CellProgress(output, source.cellCount);
  const file = {
    model,
    modelName: options.model,
    data: source,
    out: options.out,
    ...(shard === undefined ? {} : { shard }),
    ...(where === undefined ? {} : { where }),
    allowFractional,
    overwrite,
    signal,
  };
  return await withFileJob(file, async (job) => {
    const filling = fillingOf(job, listed, options, context);
    const written = await write(job, filling, options, (done) => progress.update(done, job.cellCount));
    progress.clear();
    noteWritten(source, output);
    return describe(written, job.cellCount, filling, output);
  });
}

/** Which entries of the cells are filled in, and how. */
interface Filling {
  readonly model: Denoiser;
  readonly tokenizer: CellTokenizer;
  readonly mapping: GeneMapping;
  readonly rule: FillRule;
  readonly atOnce: number | undefined;
  readonly maxLength: number;
  /** Cells read and filled in at a time. */
  readonly cells: number;
  readonly sampling: SamplingOptions;
  readonly rows: RankRows;
}

function fillingOf(
  { model, whole }: FileJob,
  listed: readonly string[] | undefined,
  options: ImputeOptions,
  context: CommandContext,
): Filling {
  const { vocabulary } = model;
  const { output } = context;
  const tokenizer = wholeCellTokenizer(model);
  const mapping = tokenizer.map(whole.cells);
  const { skipUnknown } = options;
  const genes = listed && findListedGenes(listed, { vocabulary, mapping, skipUnknown, output }).ids;
  return {
    model,
    tokenizer,
    mapping,
    rule: ruleFrom(options, genes && Int32Array.from(new Set(genes)).sort()),
    atOnce: options.atOnce,
    maxLength: context.given("maxLength") ? options.maxLength : model.tokenizer.maxLength,
    cells: samplingCells(options, context),
    sampling: samplingOptions(model, options, context),
    rows: new RankRows(mapping, model.strategy),
  };
}

/** Writes the cells, or with a shard its part unless it is there. */
async function write(
  job: FileJob,
  filling: Filling,
  options: ImputeOptions,
  onProgress: (cells: number) => void,
): Promise<PartToWrite> {
  const { rule, atOnce, maxLength, sampling } = filling;
  const { sampler, temperature, seed } = sampling;
  const uns = {
    ddsc: {
      package: packageVersion(),
      command: "impute",
      ...job.names,
      data: publicAddress(options.data),
    },
  };
  const asked = JSON.stringify([rule, atOnce, maxLength, sampler, temperature, seed]);
  const written = await job.part({ ...uns, asked });
  const contents: AnnDataStream = {
    ...job.tables,
    matrices: RANK_MATRICES,
    rows: fillRows(job, filling, onProgress),
    uns,
  };
  await writePart(written, contents, options.overwrite);
  return written;
}

/** Says what was written, and returns it. */
function describe(
  { out, isThere: kept }: PartToWrite,
  cells: number,
  { rule, rows }: Filling,
  output: Output,
): JsonResult {
  if (kept) {
    output.line(partIsThere(out));
    return { out, kept, cells, entries: null, skippedCells: null };
  }
  const { entries, skippedCells, known, correct, rankError } = rows.tally;
  const result = { out, kept, cells, entries, skippedCells };
  const cellCount = withThousands(cells);
  if (entries > 0) output.line(`${out}: filled in ${withThousands(entries)} entries of ${cellCount} cells`);
  else output.line(`${out}: ${cellCount} cells as they are; ${nothingToFill(rule)}`);
  if (skippedCells > 0) {
    output.line(
      `left ${withThousands(skippedCells)} cells as they are: none of their expressed genes is in the model's vocabulary`,
    );
  }
  if (known === 0) return result;
  const check = { known, accuracy: correct / known, rankMae: rankError / known };
  output.line(
    `of ${withThousands(known)} ranks that had been known ${(100 * check.accuracy).toFixed(1)}% are right; ` +
      `the expected rank is off by ${check.rankMae.toFixed(2)} on average`,
  );
  return { ...result, check };
}

/** Why nothing was filled in. */
function nothingToFill(rule: FillRule): string {
  if (rule.kind !== "zeros") return "there was nothing to fill in";
  const genes = rule.genes === undefined ? "gene of the model" : "one of these genes";
  return `there was nothing to fill in, as no cell that can be used lacks a count of any ${genes}`;
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

/** Rows of the output's matrices, some cells at a time. A cell's random numbers are named by its number in the whole work, whichever shard has it. */
async function* fillRows(
  { whole, cellCount }: FileJob,
  filling: Filling,
  onProgress: (cells: number) => void,
): AsyncGenerator<StreamedRows> {
  const { model, tokenizer, mapping, rule, atOnce, maxLength, cells, rows, sampling } = filling;
  for (let done = 0; done < cellCount; ) {
    await setImmediate();
    sampling.signal?.throwIfAborted();
    const end = Math.min(cellCount, done + cells);
    const own = rowRange(whole.first + done, whole.first + end);
    const block = await whole.cells.read(own, sampling.signal);
    const toFill = cellsToFill(block, mapping, {
      tokenizer,
      rule,
      atOnce,
      maxLength,
      mask: model.config.vocabSize - 1,
      cellCount: whole.cells.cellCount,
    });
    const countsOf = countsByCell(toFill, (place) => rows.countsOfRanks(block, place));
    const { filled } = await inpaint(model, toFill.batch, { ...sampling, countsOf });
    yield rows.fill(block, toFill, filled);
    done = end;
    onProgress(done);
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
