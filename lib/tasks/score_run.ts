import { DdscError } from "../base/errors.js";
import { alone, type Cluster } from "../cluster/cluster.js";
import { requireSame } from "../cluster/same.js";
import { requireRawCounts } from "../data/sources/raw_counts.js";
import type { CellSource } from "../data/sources/source.js";
import type { CountEvaluation, EvaluationResult } from "../evaluation/index.js";
import type { Denoiser } from "../model/denoiser.js";
import { weightsDigest } from "../model/digest.js";
import { describeReport, emptyReport } from "../tokenizer/index.js";
import { explainEmpty } from "./empty_evaluation.js";
import type { TaskHooks } from "./hooks.js";
import { bothConditions, chooseCells, openTraining, readRun } from "./run_cells.js";
import { scoreCounts } from "./score_counts.js";
import { scoreRanks } from "./score_ranks.js";

/** How a run's model is scored. */
export interface ScoreRunOptions {
  /** Folder of the run, or of a checkpoint. */
  readonly folder: string;
  /** The cells that were given. */
  readonly given: CellSource | undefined;
  /** Loads the model, the caller's to dispose of: what is wrong with the data shows before. */
  readonly load: () => Promise<Denoiser>;
  readonly where: string | undefined;
  readonly by: string | undefined;
  readonly ratios: readonly number[];
  readonly seed: number;
  readonly thin: number;
  readonly openProblems: boolean;
  readonly heldOutCells: number;
  readonly trainingCells: number;
  readonly allowFractional: boolean;
  /** Rows, of a model of ranks tokens, of one run of the network at most. */
  readonly maxRows: number | undefined;
  /** Cells of ranks that are read at a time. */
  readonly batchCells?: number | undefined;
  readonly signal: AbortSignal | undefined;
  /** The processes that score together, each with the same other options. */
  readonly cluster: Cluster | undefined;
  /** Told, of a model of ranks, how many rows of the data were looked at, and of how many. */
  readonly onProgress?: (rows: number, of: number) => void;
}

/** What was scored, on which cells. */
interface Scored {
  /** Name of the cells that were scored. */
  readonly data: string;
}

/** Scores of a model of counts (`evaluateCounts`) on a run's held-out or other cells. */
export interface CountFileEvaluation extends Scored, CountEvaluation {
  readonly kind: "counts";
  /** Cells that the baselines were fitted on. */
  readonly trainingCells: number;
}

/** Scores of a model of ranks (`evaluate`) on a run's held-out or other cells. */
export interface RankFileEvaluation extends Scored, EvaluationResult {
  readonly kind: "ranks";
}

/** Scores of a model of either kind. */
export type FileEvaluation = CountFileEvaluation | RankFileEvaluation;

/**
 * Scores a run's model on the cells that the run held out, or on others. Throws `EVALUATION_EMPTY`, naming the condition that left no
 * cell, in a cluster `CLUSTER_MISMATCH`, and as `evaluateCounts` and `evaluate`.
 */
export async function scoreRun(options: ScoreRunOptions, hooks: TaskHooks): Promise<FileEvaluation> {
  const { folder, given, where, by, ratios, seed, maxRows, signal, cluster = alone, onProgress } = options;
  const record = await readRun(folder);
  const asked = { folder, record, given, place: hooks.nameOf("data"), peers: cluster };
  using own = await openTraining(asked, hooks);
  const model = await options.load();
  const { source, heldOut, training } = await chooseCells(asked, own, hooks);
  // What a run was trained on, its model may be scored on.
  const allowFractional = options.allowFractional || record?.settings.allowFractional === true;
  await requireRawCounts(source, allowFractional);
  const chosen = { source, selection: { ...heldOut, ...bothConditions(heldOut.where, where) } };
  if (cluster.world > 1) {
    const was = "has another model or other data than rank 0: give all ranks the same files";
    await requireSame(cluster, `${await weightsDigest(model)} ${source.cellCount}`, was);
  }
  if (model.ofCounts && training === undefined) throw noTraining(folder, hooks);
  const report = emptyReport();
  const score = async (): Promise<FileEvaluation> => {
    if (model.ofCounts && training !== undefined) {
      const how = { ...options, heldOut: chosen, training, allowFractional };
      const { scores, trainingCells } = await scoreCounts(model, how);
      return { kind: "counts", data: source.name, ...scores, trainingCells };
    }
    const scores = await scoreRanks(model, {
      heldOut: chosen,
      training,
      ...{ ratios, seed, by, signal, report, cluster },
      maxTokens: maxRows,
      batchCells: options.batchCells,
      onProgress: (rows) => onProgress?.(rows, source.cellCount),
    });
    return { kind: "ranks", data: source.name, ...scores };
  };
  const result = await score().catch(async (error: unknown) => {
    const isEmpty = error instanceof DdscError && error.code === "EVALUATION_EMPTY";
    throw (isEmpty ? await explainEmpty({ source, heldOut, where, report }, hooks) : undefined) ?? error;
  });
  for (const note of source.notes) hooks.onNote(`${source.name}: ${note}`);
  for (const line of describeReport(report, model.tokenizer.minGenes)) hooks.onNote(line);
  return result;
}

function noTraining(folder: string, { nameOf }: Pick<TaskHooks, "nameOf">): DdscError {
  return new DdscError(
    "EVALUATION_EMPTY",
    `${folder}: the cells that the model was trained on are not at hand, and a model of counts is scored beside baselines of them; give the run's data with ${nameOf("data")}, or put them back`,
    { file: folder },
  );
}
