import { DdscError } from "../base/errors.js";
import { withThousands } from "../base/thousands.js";
import { type CellComparison, compareCells } from "../comparison/index.js";
import { requireRawCounts } from "../data/sources/raw_counts.js";
import type { CellSource } from "../data/sources/source.js";
import { FEW_CELLS } from "../evaluation/defaults.js";
import type { CountCells } from "../evaluation/index.js";
import { GeneVocabulary } from "../tokenizer/index.js";
import { mapGenes, noteGenes, readCells } from "./compared_cells.js";
import type { TaskHooks } from "./hooks.js";
import {
  bothConditions,
  type ChosenCells,
  type ChosenSource,
  chooseCells,
  openTraining,
  readRun,
} from "./run_cells.js";

/** What is compared, and how. */
export interface CompareSourcesOptions {
  readonly generated: CellSource;
  /** Real cells; may be left out with `model` alone. */
  readonly real: CellSource | undefined;
  /** Folder of a run whose held-out cells are the real ones, where those are its data or left out. */
  readonly model: string | undefined;
  /** Cells that the generator learnt from; not together with `model`. */
  readonly train: CellSource | undefined;
  readonly by: string | undefined;
  readonly where: string | undefined;
  readonly cells: number;
  readonly trainingCells: number;
  readonly seed: number;
  readonly allowFractional: boolean;
  readonly signal: AbortSignal | undefined;
}

/** How generated cells compare with real ones (`compareCells`), and which files they are from. */
export interface FileComparison extends CellComparison {
  /** Names of the data; `training` is `real` where half of it stands for training cells. */
  readonly files: { readonly real: string; readonly generated: string; readonly training: string };
}

/** Reads cells and compares them. Throws as `compareCells`, `COMPARE_TOO_FEW` and `EVALUATION_EMPTY` where a run lacks its cells. */
export async function compareSources(
  options: CompareSourcesOptions,
  hooks: TaskHooks,
): Promise<FileComparison> {
  const { real, generated, train, model } = options;
  using run = model === undefined ? undefined : await openRun(model, real, hooks);
  if (run === undefined && real === undefined) {
    const problem = "real cells are needed to compare with; they may be left out only where a run is given";
    throw new DdscError("ARGUMENT_TYPE", problem, { argument: "real" });
  }
  const chosen = run?.chosen ?? {
    source: real as CellSource,
    heldOut: {},
    training: train === undefined ? undefined : { source: train, selection: {} },
  };
  const result = await compareChosen(chosen, options, hooks, run?.allowFractional);
  for (const { name, notes } of sourcesOf(chosen, generated))
    for (const note of notes) hooks.onNote(`${name}: ${note}`);
  const training = (chosen.training ?? chosen).source.name;
  return { files: { real: chosen.source.name, generated: generated.name, training }, ...result };
}

interface OpenRun extends Disposable {
  readonly chosen: ChosenCells;
  readonly allowFractional: boolean;
}

/** A run's held-out cells or others, with its training cells; disposing closes its data. */
async function openRun(folder: string, given: CellSource | undefined, hooks: TaskHooks): Promise<OpenRun> {
  const asked = { folder, record: await readRun(folder), given, place: hooks.nameOf("real") };
  const own = await openTraining(asked, hooks);
  try {
    const chosen = await chooseCells(asked, own, hooks);
    if (chosen.training === undefined) {
      throw new DdscError(
        "EVALUATION_EMPTY",
        `${folder}: the cells that the model was trained on are not at hand; put them back, or give them with ${hooks.nameOf("train")} in place of ${hooks.nameOf("model")}`,
        { file: folder },
      );
    }
    const allowFractional = asked.record?.settings.allowFractional === true;
    return { chosen, allowFractional, [Symbol.dispose]: () => own?.[Symbol.dispose]() };
  } catch (error) {
    own?.[Symbol.dispose]();
    throw error;
  }
}

function sourcesOf({ source, training }: ChosenCells, generated: CellSource): ReadonlySet<CellSource> {
  return new Set([source, generated, ...(training === undefined ? [] : [training.source])]);
}

/** Reads the cells and compares them. */
async function compareChosen(
  chosen: ChosenCells,
  options: CompareSourcesOptions,
  hooks: TaskHooks,
  runAllows = false,
): Promise<CellComparison> {
  const { source, heldOut, training } = chosen;
  const { generated, by, seed, where, signal } = options;
  const allowFractional = options.allowFractional || runAllows;
  for (const each of sourcesOf(chosen, generated)) await requireRawCounts(each, allowFractional);
  const vocabulary = GeneVocabulary.from(source);
  const genes = mapGenes(source, vocabulary, source, hooks);
  const genesOfGenerated = mapGenes(generated, vocabulary, source, hooks);
  noteGenes(genesOfGenerated, genes, hooks);
  const groups = groupColumn(by, generated, hooks);
  const reading = { seed, allowFractional, signal };
  const only = (cells: ChosenSource): ChosenSource => ({
    ...cells,
    selection: { ...cells.selection, ...bothConditions(cells.selection.where, where) },
  });
  // Without training cells there are two halves to be made of the real ones.
  const real = await readCells(only({ source, selection: heldOut }), genes, {
    ...reading,
    by,
    number: 0,
    cells: training === undefined ? 2 * options.cells : options.cells,
  });
  requireEnough(source, real, training === undefined ? 2 * FEW_CELLS : FEW_CELLS, where, hooks);
  const trained =
    training === undefined
      ? undefined
      : await readCells(only(training), mapGenes(training.source, vocabulary, source, hooks), {
          ...reading,
          by,
          number: 1,
          cells: options.trainingCells,
        });
  if (training !== undefined && trained !== undefined)
    requireEnough(training.source, trained, FEW_CELLS, where, hooks);
  const drawn = await readCells({ source: generated, selection: {} }, genesOfGenerated, {
    ...reading,
    by: groups,
    number: 2,
    cells: options.cells,
  });
  requireEnough(generated, drawn, FEW_CELLS, undefined, hooks);
  return compareCells(real, drawn, {
    ...(trained === undefined ? {} : { training: trained }),
    cells: options.cells,
    seed,
    ...(signal === undefined ? {} : { signal }),
  });
}

/** The column of groups where the generated cells have it; noted where they do not. */
function groupColumn(
  by: string | undefined,
  generated: CellSource,
  { onNote }: Pick<TaskHooks, "onNote">,
): string | undefined {
  if (by === undefined || generated.metadataColumns.some(({ name }) => name === by)) return by;
  onNote(`${generated.name}: has no column "${by}", so groups are not compared by themselves`);
  return undefined;
}

/** Throws `COMPARE_TOO_FEW`. */
function requireEnough(
  source: CellSource,
  { panels }: CountCells,
  least: number,
  where: string | undefined,
  { nameOf }: Pick<TaskHooks, "nameOf">,
) {
  if (panels.length >= least) return;
  const which = where === undefined ? "" : ` for which ${nameOf("where")} ${where} holds`;
  throw new DdscError(
    "COMPARE_TOO_FEW",
    `${source.name}: ${withThousands(panels.length)} cells${which} are too few to compare; ${least} or more are needed: ` +
      `give other cells, train with a larger ${nameOf("validation")}, or loosen ${nameOf("where")}`,
    { file: source.name },
  );
}
