import { defineCommand } from "../shared/command.js";
import { isOfCounts, refuseOthers } from "../shared/kind_of_model.js";
import { checkOutEnding } from "../shared/out_path.js";
import { checkOutOrPart } from "../shared/shard.js";
import { writeTogether } from "../shared/write_together.js";
import { generateCounts } from "./counts.js";
import { GENERATE_KINDS, GENERATE_OPTIONS, GENERATE_REQUIRED } from "./options.js";
import { generateRanks } from "./ranks.js";

/** `ddsc generate`: new cells. */
export const generate = defineCommand({
  name: "generate",
  summary: "draw new cells: whole ones in counts; with a model of ranks, cells that express given genes",
  details: `Writes AnnData, to NAME.h5ad or NAME.zarr.

A model of counts (the default of \`train\`) draws every gene of a cell, zeros included, in random order:
  X           counts, whole numbers, sparse; of all genes, or of --genes, as they are in whole cells
  obs         the conditions that the model was told (cell_type, ...), and depth, the whole total that it was told
Depth and what --set does not say are drawn as they were in training cells. --like FILE takes conditions, total counts and measured
genes of each cell from that file. --sampler parallel (the default, 64 steps), first-hitting (exact: one gene after the other),
ancestral or remasking. In Python:
  adata = sc.read_h5ad("new.h5ad")
  sc.pp.normalize_total(adata); sc.pp.log1p(adata)
  sc.pp.pca(adata); sc.pl.pca(adata, color="depth")
\`ddsc compare\` tells whether they can be told from real cells.

A model of ranks (\`train --values ranks\`) draws the ranks of --genes, all of which it takes for expressed:
  layers/rank  ranks, 0 the lowest
  X            with --data, the counts that the ranks have in a cell of that file drawn at random; otherwise the ranks

Examples: ddsc generate --model runs/a --cells 500 --out new.h5ad
          ddsc generate --model runs/a --cells 500 --set "cell_type=B cells" --guidance 1.5 --out b.h5ad
          ddsc generate --model runs/ranks --genes Sox2,Pax6,Actb --out new.h5ad`,
  options: GENERATE_OPTIONS,
  required: GENERATE_REQUIRED,
  texts: {
    out: { help: "what to write: NAME.h5ad or NAME.zarr" },
    genes: {
      help: "genes that are written, comma-separated, or a text file of them; a model of ranks needs it",
    },
    sampler: { defaultText: "counts: parallel; ranks: first-hitting" },
    samplingSteps: {
      defaultText: "counts: 64; ranks: 32; first-hitting: as many as there are hidden genes, which is exact",
    },
    data: { help: "ranks: cells whose counts ranks are turned into" },
    cells: { help: "cells to generate", defaultText: "100, or as many as --like has" },
  },
  run: (given, context) =>
    writeTogether(given, context, async (options, openTogether) => {
      checkOutEnding(options.out, "NAME.h5ad or NAME.zarr");
      await checkOutOrPart(options);
      const ofCounts = await isOfCounts(options.model);
      refuseOthers(options.model, ofCounts, GENERATE_KINDS, context);
      return ofCounts
        ? generateCounts(options, context, openTogether)
        : generateRanks(options, context, openTogether);
    }),
});
