import { checkKind } from "../base/arguments.js";
import { cellLengths } from "../batching/collate.js";
import { tokenizeRows } from "../batching/index.js";
import type { CellSource } from "../data/sources/source.js";
import { type BatchShape, estimateMemory, type MemoryEstimate } from "../model/memory.js";
import type { ModelDescription } from "../model/model_files.js";
import type { CellTokenizer } from "../tokenizer/index.js";
import { type TrainerOptions, type TrainerSettings, trainerSettings } from "./options.js";

/** What a training is expected to hold at most, in bytes of the device's memory. */
export interface TrainingMemory extends MemoryEstimate {
  /** The largest batch expected. */
  readonly batch: Required<BatchShape>;
}

/** Cells that are looked at: so many runs of neighbouring rows, evenly spread. */
const RUNS = 8;
const RUN_ROWS = 32;

/**
 * Estimates what training a model on a source will hold, before there is a model: see `estimateMemory`. The largest
 * batch is worked out from the limit on batches and the lengths of a few hundred cells, all of it masked. Throws as
 * `Trainer`, `DEVICE_*`, and the errors of data and tokenizer.
 *
 * @param device as `DenoiserOptions.device`
 */
export async function estimateTrainingMemory(
  model: Pick<ModelDescription, "config" | "dtype" | "tokenizer">,
  source: CellSource,
  options: TrainerOptions = {},
  device = "auto",
): Promise<TrainingMemory> {
  checkKind("model", model, "model");
  checkKind("source", source, "cells");
  const settings = trainerSettings(options, model.tokenizer.maxLength);
  const batch = await largestBatch(source, model.tokenizer, settings);
  const { recompute, accumulation, validation } = settings;
  const memory = await estimateMemory(model.config, {
    batch,
    dtype: model.dtype,
    recompute,
    accumulation,
    validation: validation !== null,
    device,
  });
  return { ...memory, batch };
}

/** The largest batch to expect of a source. */
export async function largestBatch(
  source: CellSource,
  tokenizer: CellTokenizer,
  settings: Pick<TrainerSettings, "limit" | "lengthBuckets" | "maxLength">,
): Promise<Required<BatchShape>> {
  const { limit, lengthBuckets, maxLength } = settings;
  const lengths = await sampledLengths(source, tokenizer, maxLength);
  const count = lengths.length;
  const longest = lengths.at(-1) ?? maxLength;
  const mean = count === 0 ? maxLength : lengths.reduce((sum, length) => sum + length, 0) / count;
  // All that there is, where that is less than a batch.
  const most = Math.max(longest, Math.ceil(mean * source.cellCount));
  if (limit.kind === "tokens") {
    const tokens = Math.max(longest, Math.min(limit.tokens, most));
    // Where lengths are alike within a batch, one of short cells has the most of them.
    const usual = lengthBuckets ? (lengths[Math.floor(count / 100)] ?? mean) : mean;
    return { cells: Math.ceil(tokens / usual), tokens, longest, maskedShare: 1 };
  }
  const cells = Math.max(1, Math.min(limit.cells, source.cellCount));
  const variance = lengths.reduce((sum, length) => sum + (length - mean) ** 2, 0) / Math.max(1, count);
  // Four standard deviations above the mean of a sum of that many cells.
  const likely = lengthBuckets ? cells * longest : Math.ceil(mean * cells + 4 * Math.sqrt(variance * cells));
  const tokens = Math.max(longest, Math.min(cells * longest, likely, most));
  return { cells, tokens, longest, maskedShare: 1 };
}

/** Tokens of some of the cells, ascending; those of cells that are skipped are left out. */
async function sampledLengths(
  source: CellSource,
  tokenizer: CellTokenizer,
  maxLength: number,
): Promise<Int32Array> {
  const { batch } = await tokenizeRows(source, tokenizer, sampledRows(source.cellCount));
  return cellLengths(batch)
    .map((length) => Math.min(length, maxLength))
    .sort();
}

function sampledRows(cellCount: number): Int32Array {
  if (cellCount <= RUNS * RUN_ROWS) return Int32Array.from({ length: cellCount }, (_, row) => row);
  return Int32Array.from({ length: RUNS * RUN_ROWS }, (_, i) => {
    const run = Math.floor(i / RUN_ROWS);
    return Math.floor((run * (cellCount - RUN_ROWS)) / (RUNS - 1)) + (i % RUN_ROWS);
  });
}
