import { type RaggedBatch, streamCells } from "../batching/index.js";
import { CellConditions } from "../conditions/cell_conditions.js";
import type { CountBase } from "../counts/count_base.js";
import { DepthStatistics } from "../counts/depth_statistics.js";
import type { CellSource } from "../data/sources/source.js";
import type { Denoiser } from "../model/denoiser.js";
import type { ModelDescription } from "../model/model_files.js";
import type { CellTokenizer, TokenizedCells } from "../tokenizer/index.js";
import { SPECIAL_GENES } from "../tokenizer/ragged_batch.js";
import { CountTask } from "./count_task.js";
import type { TrainedModel, TrainerSettings } from "./options.js";
import { RankTask } from "./rank_task.js";
import { type RunCells, selectionOf } from "./run_data.js";
import type { TrainingTask } from "./task.js";

/** What a model's settings depend on. */
export function kindOf({ config, tokenizer }: Pick<ModelDescription, "config" | "tokenizer">): TrainedModel {
  return { maxLength: tokenizer.maxLength, ofCounts: config.counts !== undefined };
}

/** Options of `trainingTask`. */
export interface TaskOptions extends Pick<TrainerSettings, "queries" | "maxLength"> {
  readonly data: RunCells;
  readonly signal?: AbortSignal | undefined;
}

/**
 * How a model is trained on a source. A model of counts without a base gets that of the run's training cells, all of which are
 * read for it. Throws the errors of data and tokenizer, `CONDITION_*`.
 */
export async function trainingTask(
  model: Denoiser,
  source: CellSource,
  tokenizer: CellTokenizer,
  { queries, maxLength, data, signal }: TaskOptions,
): Promise<TrainingTask> {
  if (queries === null) return new RankTask(model);
  const conditions = await CellConditions.read(source, model.conditions);
  const { panels } = tokenizer.map(source);
  const selection = selectionOf(data, "train");
  const cells = streamCells(source, tokenizer, { selection, ...(signal === undefined ? {} : { signal }) });
  const base = model.base ?? (await countBase(model, batchesOf(cells), panels));
  return new CountTask({ base, conditions, panels, maxLength, queries });
}

/**
 * How a model is trained on one batch by itself, for measurements: of counts with its own base, or that of the batch, on cells
 * that measure the whole vocabulary and are told nothing.
 */
export async function batchTask(
  model: Denoiser,
  batch: RaggedBatch,
  { queries, maxLength }: Pick<TrainerSettings, "queries" | "maxLength">,
): Promise<TrainingTask> {
  if (queries === null) return new RankTask(model);
  const genes = model.vocabulary.entries.map(({ id }) => id).filter((id) => id >= SPECIAL_GENES.length);
  const panels = [Int32Array.from(genes)];
  const base = model.base ?? (await countBase(model, [batch], panels));
  return new CountTask({
    base,
    conditions: CellConditions.none(model.conditions),
    panels,
    maxLength,
    queries,
  });
}

/** Counts the base of a model over cells, and gives it to the model. */
async function countBase(
  model: Denoiser,
  cells: Iterable<RaggedBatch> | AsyncIterable<RaggedBatch>,
  panels: readonly Int32Array[],
): Promise<CountBase> {
  const statistics = new DepthStatistics(model.config.geneVocabSize, panels);
  for await (const batch of cells) statistics.add(batch);
  const base = statistics.base();
  await model.setBase(base);
  return base;
}

async function* batchesOf(parts: AsyncIterable<TokenizedCells>): AsyncGenerator<RaggedBatch> {
  for await (const { batch } of parts) yield batch;
}
