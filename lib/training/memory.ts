import { checkKind } from "../base/arguments.js";
import { takeTurn } from "../base/turns.js";
import { cellLengths } from "../batching/collate.js";
import { tokenizeRows } from "../batching/index.js";
import { spreadRows } from "../data/sources/parts.js";
import type { CellSource } from "../data/sources/source.js";
import { type BatchShape, estimateMemory, type MemoryEstimate } from "../model/memory.js";
import type { ModelDescription } from "../model/model_files.js";
import type { OptimizerShare } from "../native/types.js";
import type { CellTokenizer } from "../tokenizer/index.js";
import { kindOf } from "./kinds.js";
import {
  askedExpressed,
  type QuerySettings,
  type TrainerOptions,
  type TrainerSettings,
  trainerSettings,
} from "./options.js";
import { runTokenizer } from "./tokenizer.js";

/** What a training is expected to hold at most, in bytes of the device's memory. */
export interface TrainingMemory extends MemoryEstimate {
  /** The largest batch expected. */
  readonly batch: Required<BatchShape>;
}

/** A model as far as the memory of its training goes, and the share of the optimizer that is held here: see `DenoiserOptions`. */
export type TrainedModel = Pick<ModelDescription, "config" | "dtype" | "tokenizer"> & {
  readonly optimizerShare?: OptimizerShare | undefined;
};

/** Cells that are looked at: so many runs of neighbouring rows, evenly spread. */
const RUNS = 8;
const RUN_ROWS = 32;

/**
 * Estimates what training a model on a source will hold, before there is a model: see `estimateMemory`. The largest
 * batch is worked out from the limit on batches and the lengths of a few hundred cells, all of it masked; in a cluster it is that of
 * one rank. Throws as `Trainer`, `DEVICE_*`, and the errors of data and tokenizer.
 *
 * @param device as `DenoiserOptions.device`
 */
export async function estimateTrainingMemory(
  model: TrainedModel,
  source: CellSource,
  options: TrainerOptions = {},
  device = "auto",
): Promise<TrainingMemory> {
  checkKind("model", model, "model");
  checkKind("source", source, "cells");
  const settings = trainerSettings(options, kindOf(model));
  const world = options.cluster?.world ?? 1;
  const batch = await largestBatch(source, runTokenizer(model.tokenizer, settings), settings, world);
  const { recompute, accumulation, validation } = settings;
  const memory = await estimateMemory(model.config, {
    batch,
    dtype: model.dtype,
    optimizerShare: model.optimizerShare,
    recompute,
    accumulation,
    validation: validation !== null,
    device,
  });
  return { ...memory, batch };
}

/** What the size of batches depends on. */
type BatchSettings = Pick<TrainerSettings, "limit" | "lengthBuckets" | "lanes" | "maxLength" | "queries">;

/** The largest batch to expect of a source; of the share of a rank, where there are several. */
export async function largestBatch(
  source: CellSource,
  tokenizer: CellTokenizer,
  settings: BatchSettings,
  world = 1,
): Promise<Required<BatchShape>> {
  const { limit, lanes, maxLength, queries } = settings;
  const evidence = await sampledLengths(source, tokenizer, maxLength);
  await takeTurn();
  const { lengths, maskedShare } =
    queries === null ? { lengths: evidence, maskedShare: 1 } : rowsOfCounts(evidence, queries);
  const longest = evidence.length === 0 ? maxLength : (evidence.at(-1) ?? 0) + (queries?.zeros ?? 0);
  const expected = { lengths, longest, maskedShare, cellCount: source.cellCount };
  if (limit.kind === "cells" && lanes > 1 && world > 1) {
    // A rank has whole lanes, of each its share of a batch to within a cell; at worst those of the longest cells.
    const most = Math.ceil(lanes / world);
    const share = most / lanes;
    const cells = Math.min(limit.cells, Math.ceil(limit.cells * share) + most);
    const own = lengths.slice(lengths.length - Math.ceil(lengths.length * share));
    return largestOf({ ...expected, lengths: own }, { ...settings, limit: { kind: "cells", cells } });
  }
  const whole = largestOf(expected, settings);
  if (world === 1) return whole;
  // Ranks have as many tokens each, to within a cell.
  const { cells, tokens } = whole;
  return {
    cells: Math.min(cells, Math.ceil(cells / world) + 1),
    tokens: Math.min(tokens, Math.ceil(tokens / world) + longest),
    longest,
    maskedShare,
  };
}

/** The largest batch to expect of cells of some lengths, ascending. */
function largestOf(
  of: {
    readonly lengths: Int32Array;
    readonly longest: number;
    readonly maskedShare: number;
    readonly cellCount: number;
  },
  { limit, lengthBuckets, maxLength }: BatchSettings,
): Required<BatchShape> {
  const { lengths, longest, maskedShare, cellCount } = of;
  const count = lengths.length;
  const mean = count === 0 ? maxLength : lengths.reduce((sum, length) => sum + length, 0) / count;
  // All that there is, where that is less than a batch.
  const most = Math.max(longest, Math.ceil(mean * cellCount));
  if (limit.kind === "tokens") {
    const tokens = Math.max(longest, Math.min(limit.tokens, most));
    // Where lengths are alike within a batch, one of short cells has the most of them.
    const usual = lengthBuckets ? (lengths[Math.floor(count / 100)] ?? mean) : mean;
    return { cells: Math.ceil(tokens / usual), tokens, longest, maskedShare };
  }
  const cells = Math.max(1, Math.min(limit.cells, cellCount));
  const variance = lengths.reduce((sum, length) => sum + (length - mean) ** 2, 0) / Math.max(1, count);
  // Four standard deviations above the mean of a sum of that many cells.
  const likely = lengthBuckets ? cells * longest : Math.ceil(mean * cells + 4 * Math.sqrt(variance * cells));
  const tokens = Math.max(longest, Math.min(cells * longest, likely, most));
  return { cells, tokens, longest, maskedShare };
}

/** Tokens of some of the cells, ascending; those of cells that are skipped are left out. */
async function sampledLengths(
  source: CellSource,
  tokenizer: CellTokenizer,
  maxLength: number,
): Promise<Int32Array> {
  const { batch } = await tokenizeRows(source, tokenizer, spreadRows(source.cellCount, RUNS, RUN_ROWS));
  return cellLengths(batch)
    .map((length) => Math.min(length, maxLength))
    .sort();
}

/** Shares of a cell's genes that may be hidden, evenly spaced in chance, that rows are counted for. */
const HIDDEN_SHARES = 8;

/**
 * Rows of cells of counts whose expressed genes and cls make `evidence` rows, ascending: what is visible, the hidden expressed genes
 * and zeros that are asked about. As many are hidden as in training, so there are several lengths a cell. And the share of queries.
 */
function rowsOfCounts(
  evidence: Int32Array,
  queries: QuerySettings,
): { lengths: Int32Array; maskedShare: number } {
  const { zeros, mostlyHidden } = queries;
  const lengths = new Int32Array(evidence.length * HIDDEN_SHARES);
  let rows = 0;
  let asked = 0;
  for (const [cell, length] of evidence.entries()) {
    for (let share = 0; share < HIDDEN_SHARES; share++) {
      const hidden = (length - 1) * (1 - (1 - (share + 0.5) / HIDDEN_SHARES) ** mostlyHidden);
      const questions = zeros + askedExpressed(hidden, queries);
      const all = length - hidden + questions;
      lengths[cell * HIDDEN_SHARES + share] = Math.ceil(all);
      rows += all;
      asked += questions;
    }
  }
  return { lengths: lengths.sort(), maskedShare: rows === 0 ? zeros / (zeros + 1) : asked / rows };
}
