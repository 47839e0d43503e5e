import { lstat } from "node:fs/promises";
import { anndataFormat } from "../anndata/endings.js";
import type { StreamedRows } from "../anndata/write.js";
import { type PartToWrite, partToWrite, pathOf, writePart } from "../shards/part.js";
import { type Shard, shardRows } from "../shards/shard.js";
import { readBlocks } from "../sources/blocks.js";
import { tablesOf } from "../sources/frames.js";
import type { CellSource } from "../sources/source.js";
import { subsetSource } from "../sources/subset.js";
import { refuseOwnFiles } from "./own_files.js";
import { occupied, writeParquetFolder } from "./parquet_folder.js";

/** Options of `convertCells`. */
export interface ConvertOptions {
  /** Cells a Parquet file; default 100,000. */
  readonly cellsPerFile?: number;
  /** Whether an .h5ad file, a zarr store or the files of an earlier conversion in the folder may be replaced; default false. */
  readonly overwrite?: boolean;
  /**
   * Writes a share of the cells alone, to `partPath(out, shard)`: of AnnData a part for `joinParts`, otherwise a folder that is read together
   * with those of the other shards. Default: all cells.
   */
  readonly shard?: Shard;
  /** Ends the work with the signal's reason; what is complete stays. */
  readonly signal?: AbortSignal;
  /** Told how many cells are written. */
  readonly onProgress?: (cells: number) => void;
}

/** What `convertCells` did. */
export interface Conversion {
  /** What was written, of a shard its part. */
  readonly out: string;
  readonly cells: number;
  readonly genes: number;
  /** Files of cells, those of an earlier call included; 1 for a zarr store. */
  readonly files: number;
  /** Of those, files that an earlier call had completed; a part of a shard counts as one. */
  readonly kept: number;
  /** What became of names that the layout has a use of its own for. */
  readonly notes: readonly string[];
}

/**
 * Writes all cells of a source, with their metadata, as AnnData where `out` ends in .h5ad or .zarr (a folder, zarr version 2),
 * and otherwise as a folder of Parquet files in the layout of Tahoe-100M. Counts and the table of cells are streamed. Parquet files appear one by one,
 * each whole; called again after it was stopped in any way, the conversion goes on with the first that is missing. AnnData
 * appears at the end.
 *
 * Throws `FILE_EXISTS` where `out` holds something that is not to be replaced or another conversion is under way, `ARGUMENT_CONFLICT` where it holds what
 * `source` reads, `FILE_WRITE`, `ARGUMENT_RANGE`, and what reading throws.
 */
export async function convertCells(
  source: CellSource,
  out: string,
  options: ConvertOptions = {},
): Promise<Conversion> {
  const { shard, overwrite = false } = options;
  await refuseOwnFiles(source, pathOf(out, shard));
  const { cellCount: cells } = source;
  const written = await partToWrite({
    out,
    shard,
    overwrite: overwrite || anndataFormat(out) === undefined,
    cells,
    source,
    settings: {},
  });
  const own = shard === undefined ? source : subsetSource(source, shardRows(cells, shard));
  if (anndataFormat(out) === undefined) return writeParquetFolder(own, written.out, options);
  if (!written.isThere) await writeWhole(own, written, options);
  return {
    out: written.out,
    cells: own.cellCount,
    genes: own.genes.length,
    files: 1,
    kept: Number(written.isThere),
    notes: [],
  };
}

async function writeWhole(source: CellSource, written: PartToWrite, options: ConvertOptions): Promise<void> {
  const { out } = written;
  const { overwrite = false } = options;
  if (!overwrite && (await lstat(out).then(Boolean, () => false))) throw occupied(out, "already exists", "");
  const contents = {
    ...(await tablesOf(source)),
    matrices: { X: { kind: "csr", type: "float32" } },
    rows: sparseRows(source, options),
  } as const;
  await writePart(written, contents, overwrite);
}

async function* sparseRows(
  source: CellSource,
  { signal, onProgress }: ConvertOptions,
): AsyncGenerator<StreamedRows, void, undefined> {
  const blocks = readBlocks(source, {
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  for await (const { offsets, columns, counts } of blocks) yield { X: { offsets, columns, values: counts } };
}
