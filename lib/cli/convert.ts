import { anndataFormat } from "../data/anndata/endings.js";
import type { Peers } from "../data/open/share_out.js";
import { convertCells } from "../data/report/convert.js";
import { SimulatedSource } from "../data/sources/simulated_source.js";
import type { CellSource } from "../data/sources/source.js";
import { defineCommand } from "./shared/command.js";
import { DATA_OPTIONS, noteWritten, openSelected } from "./shared/open.js";
import { checkOutEnding } from "./shared/out_path.js";
import { withThousands } from "./shared/output.js";
import { CellProgress } from "./shared/progress.js";
import { checkOutOrPart, partIsThere, shardOf } from "./shared/shard.js";
import { UsageError } from "./shared/usage_error.js";
import { writeTogether } from "./shared/write_together.js";

/** `ddsc convert`: writes cells of any format as Parquet files, .h5ad or zarr. */
export const convert = defineCommand({
  name: "convert",
  summary: "write cells of any format, or simulated ones, as .h5ad, zarr or a folder of Parquet files",
  details: `--out NAME.h5ad gets an AnnData file, --out NAME.zarr an AnnData store of zarr version 2; any other --out a folder of Parquet
files in the layout of Tahoe-100M, with the table of their genes beside them. Cells, metadata and the order of both are kept; of AnnData, what is no counts, obs or var is not, and
a note names it. A conversion to Parquet that was stopped goes on
where it was when the same command is given again.

Examples: ddsc convert filtered_feature_bc_matrix/ --out cells.h5ad
          ddsc convert "data/*.h5ad" --out shards --where "drug = 'DMSO'"
          ddsc convert --simulate 1000000 --out simulated`,
  files: [
    {
      name: "file",
      help: "a file, folder, address or pattern; several separated by commas",
      isOptional: true,
    },
  ],
  options: [
    "out",
    ...DATA_OPTIONS,
    "where",
    "simulate",
    "simulatedGenes",
    "simulatedDepth",
    "seed",
    "cellsPerFile",
    "shard",
    "overwrite",
  ],
  required: ["out"],
  texts: { out: { help: "what to write: NAME.h5ad, NAME.zarr, or a folder for Parquet files" } },
  run: (given, context) =>
    writeTogether(given, context, async (options, openTogether) => {
      const { output, signal } = context;
      const { out, overwrite } = options;
      checkOutEnding(out, "NAME.h5ad, NAME.zarr, or a folder of Parquet files");
      const format = anndataFormat(out);
      if (format !== undefined) await checkOutOrPart(options);
      const shard = shardOf(options);
      using source = await openTogether((peers) => openInput(options, peers));
      using progress = new CellProgress(output, source.cellCount);
      const { notes, ...written } = await convertCells(source, out, {
        ...(shard === undefined ? {} : { shard }),
        cellsPerFile: options.cellsPerFile,
        overwrite,
        signal,
        onProgress: (done) => progress.update(done),
      });
      progress.clear();
      noteWritten(source, output);
      for (const note of notes) output.note(note);
      const { cells, genes, files, kept } = written;
      if (format !== undefined && kept > 0) {
        output.line(partIsThere(written.out));
        return written;
      }
      const some = files === 1 ? "one file" : `${withThousands(files)} files`;
      const many = format === "zarr" ? "a zarr store" : some;
      const before = kept === 0 ? "" : `, ${withThousands(kept)} of them from before`;
      output.line(
        `${written.out}: ${withThousands(cells)} cells x ${withThousands(genes)} genes in ${many}${before}`,
      );
      return written;
    }),
});

async function openInput(
  options: Parameters<typeof openSelected>[1] & {
    readonly files: readonly string[];
    readonly simulate: number | undefined;
    readonly simulatedGenes: number;
    readonly simulatedDepth: number | undefined;
    readonly seed: number;
  },
  peers: Peers | undefined,
): Promise<CellSource> {
  const { files, simulate, simulatedGenes: genes, simulatedDepth: librarySize, seed } = options;
  const [file] = files;
  if (simulate !== undefined && file !== undefined) {
    throw new UsageError("a file and --simulate exclude each other; give one of them");
  }
  if (simulate !== undefined) {
    const depth = librarySize === undefined ? {} : { librarySize };
    return new SimulatedSource({ cells: simulate, genes, seed, ...depth });
  }
  if (file === undefined) throw new UsageError("convert needs a file of cells, or --simulate <N>");
  return openSelected(file, options, peers);
}
