import { takeTurn } from "../base/turns.js";
import { type RaggedBatch, splitBatch, streamCells } from "../batching/index.js";
import { alone, type Cluster } from "../cluster/cluster.js";
import { CellConditions } from "../conditions/cell_conditions.js";
import { CellSummary } from "../counts/cell_summary.js";
import { DepthSample, SAMPLE_CELLS } from "../counts/depth_sample.js";
import { DepthStatistics } from "../counts/depth_statistics.js";
import type { CellSource } from "../data/sources/source.js";
import type { Denoiser } from "../model/denoiser.js";
import type { ModelDescription } from "../model/model_files.js";
import type { CellTokenizer, TokenizedCells } from "../tokenizer/index.js";
import { SPECIAL_GENES } from "../tokenizer/ragged_batch.js";
import { CountTask } from "./count_task.js";
import type { TrainedModel, TrainerSettings } from "./options.js";
import { RankTask } from "./rank_task.js";
import { rowsOfShare } from "./ranks/share.js";
import { type RunCells, selectionOf } from "./run_data.js";
import type { TrainingTask } from "./task.js";
import { tokensOfSome } from "./validation_cells.js";

/** Cells whose counts are added up between two looks at the clock. */
const CELLS_AT_ONCE = 32;

/** What a model's settings depend on. */
export function kindOf({ config, tokenizer }: Pick<ModelDescription, "config" | "tokenizer">): TrainedModel {
  return { maxLength: tokenizer.maxLength, ofCounts: config.counts !== undefined, hidden: config.hidden };
}

/** Options of `trainingTask`. */
export interface TaskOptions extends Pick<TrainerSettings, "queries" | "maxLength" | "seed"> {
  readonly data: RunCells;
  /** The processes that train together: each counts the base of its own part of the cells. */
  readonly cluster: Cluster;
  readonly signal?: AbortSignal | undefined;
}

/**
 * How a model is trained on a source. A model of counts without a base gets that of the run's training cells, all of which are
 * read for it, each by one process of a cluster. Throws the errors of data and tokenizer, `CONDITION_*`.
 */
export async function trainingTask(
  model: Denoiser,
  source: CellSource,
  tokenizer: CellTokenizer,
  { queries, maxLength, seed, data, cluster, signal }: TaskOptions,
): Promise<TrainingTask> {
  if (queries === null) return new RankTask(model);
  const conditions = await CellConditions.read(source, model.conditions, { peers: cluster });
  const { panels } = tokenizer.map(source);
  const selection = selectionOf(data, "train");
  if (model.base === undefined) {
    const some = () => tokensOfSome(source, tokenizer, { selection, cells: SAMPLE_CELLS, seed });
    const own = cluster.world === 1 ? {} : { rows: rowsOfShare(source, cluster) };
    const cells = streamCells(source, tokenizer, {
      selection: { ...selection, ...own },
      ...(signal === undefined ? {} : { signal }),
    });
    await learnBase(model, { cells: batchesOf(cells), cluster, some, panels, conditions, seed, signal });
  }
  return new CountTask({ model, conditions, panels, maxLength, queries });
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
  const conditions = CellConditions.none(model.conditions);
  if (model.base === undefined)
    await learnBase(model, {
      cells: [batch],
      cluster: alone,
      some: async () => batch,
      panels,
      conditions,
      seed: 0,
    });
  return new CountTask({ model, conditions, panels, maxLength, queries });
}

/**
 * Counts the base of a model over its training cells, learns from some of them how cells are summed up, notes how deep these are, and
 * tells the model. A summary that the model has from the weights it goes on from stays: they were learnt with its components.
 */
async function learnBase(
  model: Denoiser,
  options: {
    /** Of this process alone. */
    readonly cells: Iterable<RaggedBatch> | AsyncIterable<RaggedBatch>;
    readonly cluster: Cluster;
    readonly some: () => Promise<RaggedBatch>;
    readonly panels: readonly Int32Array[];
    readonly conditions: CellConditions;
    readonly seed: number;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const { cells, cluster, some, panels, conditions, seed, signal } = options;
  const statistics = new DepthStatistics(model.config.geneVocabSize, panels);
  for await (const batch of cells) {
    for (const some of splitBatch(batch, { kind: "cells", cells: CELLS_AT_ONCE })) {
      await takeTurn(signal);
      statistics.add(some);
    }
  }
  if (cluster.world > 1) await statistics.addUp((values) => cluster.sum(values));
  await takeTurn(signal);
  const base = statistics.base();
  const width = model.config.counts?.state ?? 0;
  const sample = await some();
  const summary =
    model.summary ??
    (await CellSummary.learn([sample], panels, base, {
      width,
      seed,
      ...(signal === undefined ? {} : { signal }),
    }));
  await takeTurn(signal);
  const depths = DepthSample.of(sample, panels, base, conditions.of(sample.cells));
  await model.setBase(base, summary, depths);
}

async function* batchesOf(parts: AsyncIterable<TokenizedCells>): AsyncGenerator<RaggedBatch> {
  for await (const { batch } of parts) yield batch;
}
