import { checkExclusive, defineCommand } from "../shared/command.js";
import { readGeneList } from "../shared/gene_list.js";
import { isOfCounts, refuseOthers } from "../shared/kind_of_model.js";
import { checkOutEnding } from "../shared/out_path.js";
import { samplingCells } from "../shared/sampling.js";
import { checkOutOrPart } from "../shared/shard.js";
import { UsageError } from "../shared/usage_error.js";
import { writeTogether } from "../shared/write_together.js";
import { imputeCounts } from "./counts.js";
import { imputeRanks } from "./ranks.js";
import { IMPUTE_KINDS, IMPUTE_OPTIONS, IMPUTE_REQUIRED } from "./task.js";

/** `ddsc impute`: what to expect of genes in the cells of a file. */
export const impute = defineCommand({
  name: "impute",
  summary: "denoise the counts of a file's cells; with a model of ranks, fill in genes without a count",
  details: `Writes cells and genes of --data as they are, X included, to NAME.h5ad or NAME.zarr, with layers of what the model expects.

A model of counts (the default of \`train\`) hides each gene once, in 5 folds, predicts it from the genes of the others and then
takes the gene's own count into account:
  layers/denoised      expected count at the cell's own depth; of genes that are not predicted, their count
  layers/p_expressed   chance that the gene has a count above 0 if the cell is sequenced once more, as deep
  layers/low, high     5th and 95th percentile of that count (ask for them with --layers)
  layers/replicate     that count, drawn by --seed: as noisy as counts are (ask for it with --layers)
  var/ddsc_imputed     which genes were predicted: those of --genes, or all that the model knows
Layers are sparse: values of denoised and p_expressed below --least are not stored. Denoised values of similar cells and of
genes that go together share what the model learnt: look at them, do not test differences on them; X stays the counts.
In Python:
  adata = sc.read_h5ad("filled.h5ad")
  adata = adata[:, adata.var["ddsc_imputed"]]
  sc.pl.umap(adata, color="Sox2", layer="denoised")

A model of ranks (\`train --values ranks\`) fills in genes without a count, or those of --genes:
  layers/imputed           counts; where a gene was filled in, the count to expect: the mean, over the ranks that the cell's
                           evidence leaves open, of the count that each has among the cell's own
  layers/rank              ranks, counted and filled in; -1 where there is none
  layers/expected_rank     the mean of the rank given the cell's evidence, where a gene was filled in; otherwise NaN
  layers/rank_probability  probability of the filled-in rank given that evidence; otherwise NaN
A rank says how a gene would compare with the cell's other genes if it had been captured. By default each entry gets its
most probable rank; other samplers draw ranks, of the genes filled in together as fit each other. --fill, --mask-fraction, --at-once,
--max-length, --sampler, --sampling-steps, --temperature and --batch are for models of ranks.

Examples: ddsc impute --model runs/a --data cells.h5ad --out filled.h5ad
          ddsc impute --model runs/a --data cells.h5ad --out filled.zarr --genes Sox2,Pax6 --layers denoised,low,high`,
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
  run: (given, context) =>
    writeTogether(given, context, async (options, openTogether) => {
      // Before any work: whether the options go together.
      samplingCells(options, context);
      checkExclusive(context, "maskFraction", "genes");
      checkExclusive(context, "maskFraction", "fill");
      const listed = options.genes === undefined ? undefined : await readGeneList(options.genes);
      if (options.fill === "listed" && listed === undefined)
        throw new UsageError("--fill listed needs --genes");
      checkOutEnding(options.out, "NAME.h5ad or NAME.zarr");
      await checkOutOrPart(options);
      const ofCounts = await isOfCounts(options.model);
      refuseOthers(options.model, ofCounts, IMPUTE_KINDS, context, { batch: "give --batch-tokens instead" });
      return await (ofCounts ? imputeCounts : imputeRanks)(listed, options, context, openTogether);
    }),
});
