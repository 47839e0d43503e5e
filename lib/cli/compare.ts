import { CELLS_RANGE } from "../comparison/compare_cells.js";
import { renderComparison } from "../comparison/index.js";
import { COMPARED_CELLS, FEW_CELLS } from "../evaluation/defaults.js";
import { compareSources } from "../tasks/compare_sources.js";
import { flagOfArgument } from "./shared/argument_names.js";
import { checkExclusive, defineCommand } from "./shared/command.js";
import { DATA_OPTIONS, openData } from "./shared/open.js";
import { UsageError } from "./shared/usage_error.js";

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
how near cells are to training cells, at equal numbers of real and generated cells (zero fraction and totals: of more where there are
more), beside other real cells (as good as can be) and two simple generators (to be beaten). With --model RUN real cells are those
that the run held out, where REAL is its data or left out; with --train FILE all of REAL; otherwise REAL is divided at random in two halves, of which one stands for training cells.
--layer and other options of files are for REAL and --train; X of GENERATED is read. Genes are matched by identifier.

Examples: ddsc compare real.h5ad generated.h5ad --by cell_type
          ddsc compare generated.h5ad --model runs/a --json`,
  files: [
    {
      name: "real",
      help: "real cells: a file, folder, address or pattern; may be left out with --model",
      isOptional: true,
    },
    { name: "generated", help: "generated cells", isOptional: true },
  ],
  usage: "[options] [REAL] GENERATED",
  options: OPTIONS,
  required: [],
  defaults: { cells: COMPARED_CELLS },
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
    const { output, signal } = context;
    const [first, second] = options.files;
    if (first === undefined || (second === undefined && options.model === undefined)) {
      throw new UsageError(
        "compare needs real and generated cells: REAL GENERATED; REAL may be left out with --model <DIR> alone",
      );
    }
    using real = second === undefined ? undefined : await openData(first, options);
    using generated = await openData(second ?? first, { ...options, ...PLAIN });
    using train = options.train === undefined ? undefined : await openData(options.train, options);
    const { model } = options;
    const result = await compareSources(
      { ...options, real, generated, train, signal },
      {
        onNote: (note) => output.note(note),
        nameOf: (name) => (name === "real" ? "REAL" : flagOfArgument(name)),
      },
    );
    output.lines(renderComparison(result, options.by));
    return { ...(model === undefined ? {} : { model }), ...result };
  },
});

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
