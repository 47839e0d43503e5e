import { checkOptions } from "../base/arguments.js";
import { checkOptionNames, checkSeed, checkWhole, DdscError } from "../base/errors.js";
import { CELLS_RANGE } from "../comparison/compare_cells.js";
import type { CellSource } from "../data/sources/source.js";
import { COMPARED_CELLS, FEW_CELLS, TRAINING_CELLS } from "../evaluation/defaults.js";
import { Opened } from "../model/opened.js";
import { compareSources, type FileComparison } from "./compare_sources.js";
import { withDisplay } from "./display.js";
import { collectNotes } from "./hooks.js";

/** Options of `compareFiles`. */
export interface CompareFilesOptions {
  /** Generated cells, or what `openCells` opens. */
  readonly generated: string | readonly string[] | CellSource;
  /** Real cells, or what `openCells` opens; may be left out with `model`. */
  readonly real?: string | readonly string[] | CellSource;
  /** Folder of a run: real cells are those that it held out, where `real` is its data or left out. */
  readonly model?: string;
  /** Cells that the generator learnt from, so that all of `real` are held out. Not together with `model`. Default: half of `real`. */
  readonly train?: string | readonly string[] | CellSource;
  /** Column of metadata that holds cell types: each is compared by itself, too. Default: none. */
  readonly by?: string;
  /** Only real and training cells for which this condition holds; default all. */
  readonly where?: string;
  /** Cells of each kind that are compared at most, 20 to 20,000; default 2,000. */
  readonly cells?: number;
  /** Training cells at most, 20 or more; default 10,000. */
  readonly trainingCells?: number;
  /** Whole number below 2^53; default 0. */
  readonly seed?: number;
  /** Whether counts that are no whole numbers are taken, rounded; default as in the run, else false. */
  readonly allowFractional?: boolean;
  /** Ends the work with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What `compareFiles` found. */
export interface Comparison extends FileComparison {
  /** What a reader should know. */
  readonly notes: readonly string[];
}

const OPTION_NAMES: Readonly<Record<keyof CompareFilesOptions, true>> = {
  generated: true,
  real: true,
  model: true,
  train: true,
  by: true,
  where: true,
  cells: true,
  trainingCells: true,
  seed: true,
  allowFractional: true,
  signal: true,
};

/**
 * Compares generated cells with real ones: can they be told apart, and by what? Genes are matched by identifier. See `compareCells`;
 * `renderComparison` makes a table of the result, and Deno's notebooks show it as tables and figures.
 *
 * Throws as `compareCells`, `EVALUATION_EMPTY` where a run held out no cells or its data are not at hand, `DATA_*`, `ARGUMENT_*`; rejects
 * with the signal's reason when aborted.
 */
export async function compareFiles(options: CompareFilesOptions): Promise<Comparison> {
  checkOptionNames("options of compareFiles", options, OPTION_NAMES);
  checkOptions(options, {
    model: "text",
    by: "text",
    where: "text",
    allowFractional: "switch",
    signal: "signal",
  });
  const { generated, real, model, train, by, where, allowFractional = false, signal } = options;
  if (model !== undefined && train !== undefined) {
    const problem = "model and train both say what was trained on; give one of them";
    throw new DdscError("ARGUMENT_CONFLICT", problem, { argument: "train" });
  }
  const asked = {
    ...{ model, by, where, allowFractional, signal },
    cells: checkWhole("cells", options.cells ?? COMPARED_CELLS, CELLS_RANGE.min, CELLS_RANGE.max),
    trainingCells: checkWhole("trainingCells", options.trainingCells ?? TRAINING_CELLS, FEW_CELLS, 1e7),
    seed: checkSeed(options.seed ?? 0),
  };
  using opened = new Opened();
  const open = async (name: string, given: typeof real) =>
    given === undefined ? undefined : opened.cells(name, given);
  const hooks = collectNotes();
  const sources = {
    real: await open("real", real),
    generated: await opened.cells("generated", generated),
    train: await open("train", train),
  };
  return withDisplay({ ...(await compareSources({ ...asked, ...sources }, hooks)), notes: hooks.notes });
}
