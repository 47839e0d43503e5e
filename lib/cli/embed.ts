import { embedFile } from "../imputation/index.js";
import { defineCommand } from "./shared/command.js";
import { DATA_OPTIONS, MODEL_OPTIONS, noteWritten, openData, openModel } from "./shared/open.js";
import { checkOutEnding } from "./shared/out_path.js";
import { withThousands } from "./shared/output.js";
import { CellProgress } from "./shared/progress.js";
import { checkOutOrPart, partIsThere, shardOf } from "./shared/shard.js";
import { writeTogether } from "./shared/write_together.js";

/** `ddsc embed`: states of cells by a model of counts. */
export const embed = defineCommand({
  name: "embed",
  summary: "write the state of every cell of a file, for neighbours, clusters and maps (models of counts)",
  details: `Writes cells and genes of --data as they are, X included, to NAME.h5ad or NAME.zarr, with
  obsm/X_ddsc        the state z of each cell, from all of its measured genes, zeros included
  varm/ddsc_factors  the factor of each gene: factor . z is how far a cell's state raises the log of the gene's mean over depth
                     times share, before the network adds its own; NaN for genes that the model does not know
  obs/ddsc_nll       with --nll: negative log-likelihood of the cell, nats a measured gene, each gene predicted from the others in
                     5 folds: high for cells unlike those that the model has learnt from
A cell's state is a function of the model and the cell's counts alone: no other cell and no option changes it. The model is told
none of the conditions it was trained with (type, donor, ...), so that labels do not get into the states; --tell own tells them.
In Python:
  adata = sc.read_h5ad("embedded.h5ad")
  sc.pp.neighbors(adata, use_rep="X_ddsc")
  sc.tl.umap(adata); sc.tl.leiden(adata)

Example: ddsc embed --model runs/a --data cells.h5ad --out embedded.h5ad`,
  options: [
    "data",
    "out",
    ...MODEL_OPTIONS,
    ...DATA_OPTIONS,
    "where",
    "allowFractional",
    "nll",
    "tell",
    "batchTokens",
    "shard",
    "overwrite",
  ],
  required: ["model", "data", "out"],
  texts: {
    out: { help: "what to write: NAME.h5ad or NAME.zarr" },
    batchTokens: {
      help: "rows (a gene of a cell) in one run of the network; changes no result",
      defaultText: "32768",
    },
  },
  defaults: { tell: "none" },
  run: (given, context) =>
    writeTogether(given, context, async (options, openTogether) => {
      const { output, signal } = context;
      const { out, where, nll, tell, allowFractional, overwrite, batchTokens } = options;
      checkOutEnding(out, "NAME.h5ad or NAME.zarr");
      await checkOutOrPart(options);
      const shard = shardOf(options);
      using source = await openTogether((peers) => openData(options.data, options, peers));
      using model = await openModel(options, output);
      using progress = new CellProgress(output, source.cellCount);
      const result = await embedFile({
        model,
        modelName: options.model,
        data: source,
        out,
        ...(shard === undefined ? {} : { shard }),
        nll,
        conditions: tell,
        allowFractional,
        overwrite,
        signal,
        onProgress: (cells, of) => progress.update(cells, of),
        ...(where === undefined ? {} : { where }),
        ...(batchTokens === undefined ? {} : { maxRows: batchTokens }),
      });
      progress.clear();
      noteWritten(source, output);
      const { notes, ...written } = result;
      for (const note of notes) output.note(note);
      const unknown = result.genes - result.knownGenes;
      if (unknown > 0) {
        output.note(
          `${withThousands(unknown)} of ${withThousands(result.genes)} genes are unknown to the model and take no part`,
        );
      }
      if (result.kept) {
        output.line(partIsThere(result.out));
        return written;
      }
      output.line(
        `${result.out}: ${withThousands(result.cells)} cells, obsm/X_ddsc of width ${result.width}`,
      );
      if (result.nll !== undefined)
        output.line(`obs/ddsc_nll: ${result.nll.toFixed(4)} nats a measured gene on average`);
      return written;
    }),
});
