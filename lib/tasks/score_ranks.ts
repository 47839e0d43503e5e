import { type RaggedBatch, streamCells } from "../batching/index.js";
import type { Cluster } from "../cluster/cluster.js";
import { labelsFrom } from "../data/select/labels.js";
import { type EvaluationResult, evaluate, RankBaselines } from "../evaluation/index.js";
import type { Denoiser } from "../model/denoiser.js";
import { addReport, emptyReport, type TokenizedCells, type TokenizerReport } from "../tokenizer/index.js";
import type { ChosenSource } from "./run_cells.js";

/** How a model of ranks is scored. */
export interface ScoreRanksOptions {
  readonly heldOut: ChosenSource;
  /** What baselines are counted on; without it there are none. */
  readonly training: ChosenSource | undefined;
  readonly ratios: readonly number[];
  readonly seed: number;
  /** Column of metadata that holds the groups to score by. */
  readonly by: string | undefined;
  readonly maxTokens: number | undefined;
  /** Cells that are read at a time; default 64. */
  readonly batchCells: number | undefined;
  /** The processes that share the cells; default this one alone. */
  readonly cluster?: Cluster | undefined;
  readonly signal: AbortSignal | undefined;
  /** Told how many rows of the source were looked at. */
  readonly onProgress: ((rows: number) => void) | undefined;
  /** What the tokenizer made of the cells is added to it. */
  readonly report: TokenizerReport;
}

const DEFAULT_CELLS = 64;

/** Scores a model of ranks beside the baselines. Throws as `evaluate`. */
export async function scoreRanks(model: Denoiser, options: ScoreRanksOptions): Promise<EvaluationResult> {
  const { heldOut, training, ratios, seed, by, maxTokens, onProgress, report, cluster } = options;
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const reading = { cells: options.batchCells ?? DEFAULT_CELLS, ...signal };
  const groups = by === undefined ? {} : { groupsOf: labelsFrom(heldOut.source, by) };
  const baselines =
    training === undefined
      ? undefined
      : await RankBaselines.fit(
          batchesOf(
            streamCells(training.source, model.tokenizer, { ...training, ...reading }),
            emptyReport(),
          ),
          model.strategy.values,
        );
  const evaluated = streamCells(heldOut.source, model.tokenizer, {
    selection: heldOut.selection,
    ...reading,
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  return evaluate(model, batchesOf(evaluated, report), {
    ratios,
    seed,
    ...signal,
    ...groups,
    ...(cluster === undefined ? {} : { cluster }),
    ...(baselines === undefined ? {} : { baselines }),
    ...(maxTokens === undefined ? {} : { maxTokens }),
  });
}

/** The batches of streamed cells; what was left out is added to `report`. */
async function* batchesOf(
  parts: AsyncIterable<TokenizedCells>,
  report: TokenizerReport,
): AsyncGenerator<RaggedBatch> {
  for await (const part of parts) {
    addReport(report, part.report);
    yield part.batch;
  }
}
