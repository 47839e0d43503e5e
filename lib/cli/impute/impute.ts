import { refuseOwnFiles } from "../../data/report/own_files.js";
import { requireRawCounts } from "../../data/sources/raw_counts.js";
import { checkExclusive, defineCommand } from "../command.js";
import { readGeneList } from "../gene_list.js";
import { openModel, openSelected } from "../open.js";
import { checkOutEnding, checkOutFile } from "../out_path.js";
import { samplingCells } from "../sampling.js";
import { UsageError } from "../usage_error.js";
import { imputeRanks } from "./ranks.js";
import { IMPUTE_OPTIONS, IMPUTE_REQUIRED } from "./task.js";

/** `ddsc impute`: fills in genes of the cells of a file. */
export const impute = defineCommand({
  name: "impute",
  summary: "fill in the ranks of genes without a count (or of listed genes) in every cell of a file",
  details: `Writes cells and genes of --data as they are, to NAME.h5ad or NAME.zarr, with
  X                        counts as they were
  layers/imputed           counts; where a gene was filled in, the count to expect: the mean, over the ranks that the cell's
                           evidence leaves open, of the count that each has among the cell's own
  layers/rank              ranks, counted and filled in; -1 where there is none
  layers/expected_rank     the mean of the rank given the cell's evidence, where a gene was filled in; otherwise NaN
  layers/rank_probability  probability of the filled-in rank given that evidence; otherwise NaN
A rank says how a gene would compare with the cell's other genes if it had been captured. By default each entry gets its
most probable rank; other samplers draw ranks, of the genes filled in together as fit each other.

Example: ddsc impute --model runs/a --data cells.h5ad --out filled.h5ad --genes Sox2,Pax6`,
  options: IMPUTE_OPTIONS,
  required: IMPUTE_REQUIRED,
  texts: {
    out: { help: "what to write: NAME.h5ad or NAME.zarr" },
    samplingSteps: {
      defaultText:
        "1; with --sampler 32, but first-hitting: as many as there are masked ranks, which is exact",
    },
  },
  defaults: { sampler: "parallel", samplingSteps: 1, temperature: 0 },
  run: async (options, context) => {
    // Before any work: whether the options go together.
    samplingCells(options, context);
    checkExclusive(context, "maskFraction", "genes");
    checkExclusive(context, "maskFraction", "fill");
    const listed = options.genes === undefined ? undefined : await readGeneList(options.genes);
    if (options.fill === "listed" && listed === undefined)
      throw new UsageError("--fill listed needs --genes");
    checkOutEnding(options.out, "NAME.h5ad or NAME.zarr");
    await checkOutFile(options.out, options.overwrite);
    using source = await openSelected(options.data, options);
    await refuseOwnFiles(source, options.out);
    await requireRawCounts(source, options.allowFractional);
    using model = await openModel(options, context.output);
    return await imputeRanks({ source, model, listed, options, context });
  },
});
