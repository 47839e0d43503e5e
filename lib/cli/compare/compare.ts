import { DdscError } from "../../base/errors.js";
import { CELLS_RANGE, FEW_CELLS } from "../../comparison/compare_cells.js";
import { type CellComparison, compareCells, renderComparison } from "../../comparison/index.js";
import { requireRawCounts } from "../../data/sources/raw_counts.js";
import type { CellSource } from "../../data/sources/source.js";
import type { CountCells } from "../../evaluation/index.js";
import { GeneVocabulary } from "../../tokenizer/index.js";
import { type CommandContext, checkExclusive, defineCommand } from "../command.js";
import { DATA_OPTIONS, noteSource, openData } from "../open.js";
import type { OptionValues } from "../options.js";
import { type Output, withThousands } from "../output.js";
import {
  bothConditions,
  type ChosenCells,
  type ChosenSource,
  chooseCells,
  openTraining,
  readRun,
} from "../run_cells.js";
import { UsageError } from "../usage_error.js";
import { mapGenes, noteGenes, type ReadOptions, readCells } from "./compared_cells.js";

const OPTIONS = [
  "model",
  "train",
  "by",
  "where",
  "cells",
  "trainingCells",
  ...DATA_OPTIONS,
  "allowFractional",
  "seed",
] as const;

/** `ddsc compare`: can generated cells be told from real ones? */
export const compare = defineCommand({
  name: "compare",
  summary: "compare generated cells with real ones: can they be told apart, and by what?",
  details: `Compares zero fractions, totals, means and variances, correlations of genes, what classifiers can tell, the energy distance and
how near cells are to training cells, at equal numbers of real and generated cells, beside other real cells (as good as can be) and
two simple generators (to be beaten). With --model RUN real cells are those that the run held out, where REAL is its data or left
out; with --train FILE all of REAL; otherwise REAL is divided at random in two halves, of which one stands for training cells.
--layer and other options of files are for REAL and --train; X of GENERATED is read. Genes are matched by identifier.

Examples: ddsc compare real.h5ad generated.h5ad --by cell_type
          ddsc compare generated.h5ad --model runs/a --json`,
  files: [
    { name: "real", help: "real cells: a file, folder, address or pattern; may be left out with --model" },
    { name: "generated", help: "generated cells", isOptional: true },
  ],
  usage: "[options] [REAL] GENERATED",
  options: OPTIONS,
  required: [],
  defaults: { cells: 2000 },
  texts: {
    cells: { help: "cells of each kind that are compared at most", ...CELLS_RANGE },

    by: {
      help: "column of metadata that holds cell types: floors are by type, and each type is compared by itself",
    },
    where: { help: "only real and training cells for which this holds, such as \"drug = 'DMSO'\"" },
    trainingCells: {
      min: FEW_CELLS,
      help: "training cells at most: near which others are looked for, and what floors are made of",
    },
  },
  run: async (options, context) => {
    checkExclusive(context, "model", "train");
    const { output } = context;
    const [first = "", second] = options.files;
    if (second === undefined && options.model === undefined) {
      throw new UsageError(
        "compare needs real and generated cells: REAL GENERATED; REAL may be left out with --model <DIR> alone",
      );
    }
    using given = second === undefined ? undefined : await openData(first, options);
    using generated = await openData(second ?? first, { ...options, ...PLAIN });
    using run = await openRun(options.model, given, output);
    using train = options.train === undefined ? undefined : await openData(options.train, options);
    const chosen = run?.chosen ?? {
      source: given as CellSource,
      heldOut: {},
      training: train === undefined ? undefined : { source: train, selection: {} },
    };
    const result = await compareChosen(chosen, generated, options, context, run?.allowFractional);
    for (const source of sourcesOf(chosen, generated)) noteSource(source, output);
    output.lines(renderComparison(result, options.by));
    return {
      ...(options.model === undefined ? {} : { model: options.model }),
      files: {
        real: chosen.source.name,
        generated: generated.name,
        training: (chosen.training ?? chosen).source.name,
      },
      ...result,
    };
  },
});

type Options = OptionValues<(typeof OPTIONS)[number]>;

/** Options of files as they are where none is given. */
const PLAIN = {
  layer: undefined,
  raw: false,
  geneTable: undefined,
  geneColumn: undefined,
  genome: undefined,
  transpose: false,
  metadataColumns: undefined,
} as const;

interface OpenRun extends Disposable {
  readonly chosen: ChosenCells;
  readonly allowFractional: boolean;
}

/** A run's held-out cells or others, with its training cells; disposing closes its data. */
async function openRun(
  folder: string | undefined,
  given: CellSource | undefined,
  output: Output,
): Promise<OpenRun | undefined> {
  if (folder === undefined) return undefined;
  const asked = { folder, record: await readRun(folder), given, place: "REAL" };
  const own = await openTraining(asked, output);
  try {
    const chosen = await chooseCells(asked, own);
    if (chosen.training === undefined) {
      throw new DdscError(
        "EVALUATION_EMPTY",
        `${folder}: the cells that the model was trained on are not at hand; put them back, or give them with --train in place of --model`,
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
  generated: CellSource,
  options: Options,
  { output, signal }: CommandContext,
  runAllows = false,
): Promise<CellComparison> {
  const { source, heldOut, training } = chosen;
  const { by, seed, where } = options;
  const allowFractional = options.allowFractional || runAllows;
  for (const each of sourcesOf(chosen, generated)) await requireRawCounts(each, allowFractional);
  const vocabulary = GeneVocabulary.from(source);
  const genes = mapGenes(source, vocabulary, source);
  const genesOfGenerated = mapGenes(generated, vocabulary, source);
  noteGenes(genesOfGenerated, genes, output);
  const groups = groupColumn(by, generated, output);
  const reading = { seed, allowFractional, signal } satisfies Partial<ReadOptions>;
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
  requireEnough(source, real, training === undefined ? 2 * FEW_CELLS : FEW_CELLS, where);
  const trained =
    training === undefined
      ? undefined
      : await readCells(only(training), mapGenes(training.source, vocabulary, source), {
          ...reading,
          by,
          number: 1,
          cells: options.trainingCells,
        });
  if (training !== undefined && trained !== undefined)
    requireEnough(training.source, trained, FEW_CELLS, where);
  const drawn = await readCells({ source: generated, selection: {} }, genesOfGenerated, {
    ...reading,
    by: groups,
    number: 2,
    cells: options.cells,
  });
  requireEnough(generated, drawn, FEW_CELLS, undefined);
  return compareCells(real, drawn, {
    ...(trained === undefined ? {} : { training: trained }),
    cells: options.cells,
    seed,
    signal,
  });
}

/** The column of `--by` where the generated cells have it; said on stderr where they do not. */
function groupColumn(by: string | undefined, generated: CellSource, output: Output): string | undefined {
  if (by === undefined || generated.metadataColumns.some(({ name }) => name === by)) return by;
  output.note(`${generated.name}: has no column "${by}", so groups are not compared by themselves`);
  return undefined;
}

/** Throws `COMPARE_TOO_FEW`. */
function requireEnough(source: CellSource, { panels }: CountCells, least: number, where: string | undefined) {
  if (panels.length >= least) return;
  const which = where === undefined ? "" : ` for which --where ${where} holds`;
  throw new DdscError(
    "COMPARE_TOO_FEW",
    `${source.name}: ${withThousands(panels.length)} cells${which} are too few to compare; ${least} or more are needed: ` +
      "give other cells, train with a larger --validation, or loosen --where",
    { file: source.name },
  );
}
