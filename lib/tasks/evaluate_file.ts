import { checkKind, checkOptions } from "../base/arguments.js";
import { checkNumber, checkOptionNames, checkWhole } from "../base/errors.js";
import type { Cluster } from "../cluster/cluster.js";
import type { CellSource } from "../data/sources/source.js";
import { DEFAULT_RATIOS, HELD_OUT_CELLS, THIN, TRAINING_CELLS } from "../evaluation/defaults.js";
import { Opened } from "../model/opened.js";
import type { DType } from "../native/types.js";
import { withDisplay } from "./display.js";
import { collectNotes } from "./hooks.js";
import { type FileEvaluation, scoreRun } from "./score_run.js";

/** Options of `evaluateFile`. */
export interface EvaluateFileOptions {
  /** Folder of a run (its best checkpoint is scored), or of a checkpoint. */
  readonly model: string;
  /**
   * Cells, or what `openCells` opens. Default: the run's own data, of which only the cells that it held out are scored; so are they
   * where these are that data. Of other data all cells are.
   */
  readonly data?: string | readonly string[] | CellSource;
  /** Only the cells for which this condition holds, such as "drug = 'DMSO'"; default all. */
  readonly where?: string;
  /** Column of metadata: each of its values is scored by itself, too. Default: none. */
  readonly by?: string;
  /** Shares of the genes (of ranks: of the tokens) that are hidden, 0.01..0.99; default 0.2, 0.5 and 0.8. */
  readonly ratios?: readonly number[];
  /** Whole number below 2^53 - 1: which genes are hidden, and which cells are taken where there are more. Default 0. */
  readonly seed?: number;
  /** Counts: chance of a molecule to be tested on, 0..0.9; 0: no molecular cross-validation. Default 0.1. */
  readonly thin?: number;
  /** Counts: whether to give the two numbers of the Open Problems denoising benchmark; default false. */
  readonly openProblems?: boolean;
  /** Counts: held-out cells that are scored at most; default 1,000. */
  readonly heldOutCells?: number;
  /** Counts: training cells that baselines are fitted on at most; default 10,000. */
  readonly trainingCells?: number;
  /** Whether counts that are no whole numbers are taken; default as in the run. */
  readonly allowFractional?: boolean;
  /** Rows (of ranks: tokens) of one run of the network at most; default 32,768 (65,536). Changes no result. */
  readonly maxRows?: number;
  /** As `LoadOptions.device`. */
  readonly device?: string;
  /** As `LoadOptions.dtype`. */
  readonly dtype?: DType;
  /**
   * The processes that share the cells, each with the same other options: what `joinCluster` gave. All have the same result.
   * Default this one alone.
   */
  readonly cluster?: Cluster;
  /** Ends the work with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What `evaluateFile` found: scores, and what a reader should know of them. */
export type Evaluation = FileEvaluation & {
  /** The folder that was given. */
  readonly model: string;
  readonly notes: readonly string[];
};

const OPTION_NAMES: Readonly<Record<keyof EvaluateFileOptions, true>> = {
  model: true,
  data: true,
  where: true,
  by: true,
  ratios: true,
  seed: true,
  thin: true,
  openProblems: true,
  heldOutCells: true,
  trainingCells: true,
  allowFractional: true,
  maxRows: true,
  device: true,
  dtype: true,
  cluster: true,
  signal: true,
};

/**
 * Scores a run's model on cells that it was not trained on, beside baselines of the run's training cells: `kind` says whether it is
 * of counts (`evaluateCounts`) or of ranks (`evaluate`). docs/evaluation.md defines the scores; `renderCountTable` and
 * `renderTable` make tables of them. Deno's notebooks show the result as tables and figures.
 *
 * Throws `EVALUATION_EMPTY` where there is no cell to score or, of counts, no training cell at hand, `EVALUATION_GROUPS`,
 * `DATA_*`, `CHECKPOINT_*`, `ARGUMENT_*`; rejects with the signal's reason when aborted.
 */
export async function evaluateFile(options: EvaluateFileOptions): Promise<Evaluation> {
  checkOptionNames("options of evaluateFile", options, OPTION_NAMES);
  checkOptions(options, {
    where: "text",
    by: "text",
    ratios: "list",
    openProblems: "switch",
    allowFractional: "switch",
    cluster: "object",
    signal: "signal",
  });
  const { model: folder, data, device, dtype, openProblems = false, allowFractional = false } = options;
  checkKind("model", folder, "text");
  const ratios = (options.ratios ?? DEFAULT_RATIOS).map((ratio) =>
    checkNumber("ratios", ratio, { min: 0.01, max: 0.99 }),
  );
  const asked = {
    ratios,
    openProblems,
    allowFractional,
    seed: checkWhole("seed", options.seed ?? 0, 0, Number.MAX_SAFE_INTEGER - 1),
    thin: checkNumber("thin", options.thin ?? THIN, { min: 0, max: 0.9 }),
    heldOutCells: checkWhole("heldOutCells", options.heldOutCells ?? HELD_OUT_CELLS, 1, 1e7),
    trainingCells: checkWhole("trainingCells", options.trainingCells ?? TRAINING_CELLS, 2, 1e7),
    maxRows:
      options.maxRows === undefined ? undefined : checkWhole("maxRows", options.maxRows, 1, 2 ** 31 - 1),
    where: options.where,
    by: options.by,
    signal: options.signal,
    cluster: options.cluster,
  };
  using opened = new Opened();
  const given = data === undefined ? undefined : await opened.cells("data", data, options.cluster);
  const load = () => opened.modelOn(folder, { device, dtype });
  const hooks = collectNotes();
  const scored = await scoreRun({ ...asked, folder, given, load }, hooks);
  return withDisplay({ model: folder, ...scored, notes: hooks.notes });
}
