import { checkOptions } from "../base/arguments.js";
import { DdscError } from "../base/errors.js";
import type { UnstructuredValue } from "../data/anndata/write_uns.js";
import { refuseOwnFiles } from "../data/report/own_files.js";
import { rowsWhere } from "../data/select/where.js";
import { type PartToWrite, partToWrite, pathOf } from "../data/shards/part.js";
import { type Shard, shardBounds, shardRows } from "../data/shards/shard.js";
import { tablesOf } from "../data/sources/frames.js";
import { requireRawCounts } from "../data/sources/raw_counts.js";
import type { CellSource, SourceTables } from "../data/sources/source.js";
import { subsetSource } from "../data/sources/subset.js";
import type { Denoiser } from "../model/denoiser.js";
import { modelDigest } from "../model/digest.js";
import { checkFileTask, Opened } from "../model/opened.js";

/** What `imputeFile`, `embedFile` and the command that fills in ranks read and write. */
export interface FileJobOptions {
  /** A model of counts, or the folder of one or of a run (its best checkpoint). */
  readonly model: string | Denoiser;
  /** Cells, or what `openCells` opens. */
  readonly data: string | readonly string[] | CellSource;
  /** What uns/ddsc says the model is; default the folder, where one was given. */
  readonly modelName?: string;
  /** File NAME.h5ad, or folder NAME.zarr, to write. */
  readonly out: string;
  /**
   * Does a share of the cells alone, as a task of an array job does, and writes the part to `partPath(out, shard)`; a part that is there
   * already, complete and of the same work, is kept. `joinParts` makes the whole of all parts. Default: all cells.
   */
  readonly shard?: Shard;
  /** Only the cells for which this condition holds, such as "drug = 'DMSO'"; default all. */
  readonly where?: string;
  /** Whether counts that are no whole numbers are rounded for the model; default false: they are refused. */
  readonly allowFractional?: boolean;
  /** Whether what is at `out` is replaced; default false. */
  readonly overwrite?: boolean;
  /** Rows (cls, visible and hidden genes of a cell) of one run of the network at most; default 32,768. Changes no result. */
  readonly maxRows?: number;
  /** Ends the work with the signal's reason; nothing is written then. */
  readonly signal?: AbortSignal;
  /** Told how many cells are done, and of how many. */
  readonly onProgress?: (cells: number, of: number) => void;
}

/** The names of these options. */
export const FILE_JOB_NAMES: Readonly<Record<keyof FileJobOptions, true>> = {
  model: true,
  data: true,
  modelName: true,
  out: true,
  shard: true,
  where: true,
  allowFractional: true,
  overwrite: true,
  maxRows: true,
  signal: true,
  onProgress: true,
};

/** A job of a file, ready to be done. */
export interface FileJob {
  readonly source: CellSource;
  readonly model: Denoiser;
  /** Where it writes and, of a shard, as which part, given what goes to `uns` and whatever else the values depend on. */
  part(settings: Readonly<Record<string, UnstructuredValue>>): Promise<PartToWrite>;
  /** Rows of the cells, ascending; undefined: all. */
  readonly rows: Int32Array | undefined;
  readonly cellCount: number;
  /** The cells of all shards as a source of their own, which this job's are among from number `first` on. */
  readonly whole: { readonly cells: CellSource; readonly first: number };
  /** Tables of these cells and all genes. */
  readonly tables: SourceTables;
  /** For `uns`: of what and with what. */
  readonly names: { readonly model: string | null; readonly data: string; readonly where: string | null };
}

/**
 * Opens model and data, does the work and closes what was opened. Throws `ARGUMENT_*`, `FILE_EXISTS`, `ARGUMENT_CONFLICT` where `out`
 * is what is read, `ARGUMENT_RANGE` for more shards than cells, `DATA_NO_CELLS` where no cell is left, as `openCells`, `Denoiser.load` and
 * `rowsWhere`.
 */
export async function withFileJob<T>(
  options: FileJobOptions,
  work: (job: FileJob) => Promise<T>,
): Promise<T> {
  checkOptions(options, {
    where: "text",
    modelName: "text",
    allowFractional: "switch",
    overwrite: "switch",
    signal: "signal",
    onProgress: "function",
  });
  const { model, data, shard, where, allowFractional = false, overwrite = false } = options;
  // Of a shard, what is there may be its part: see `partToWrite`.
  await checkFileTask(shard === undefined ? options : { ...options, overwrite: true });
  const out = pathOf(options.out, shard);
  using opened = new Opened();
  const source = await opened.cells("data", data);
  await refuseOwnFiles(source, out);
  await requireRawCounts(source, allowFractional);
  const loaded = await opened.model(model);
  const chosen = where === undefined ? undefined : await rowsWhere(source, where);
  const cells = chosen?.length ?? source.cellCount;
  if (cells === 0) {
    const why = where === undefined ? "it has no cells" : `there is no cell for which ${where}`;
    throw new DdscError("DATA_NO_CELLS", `${source.name}: ${why}; choose others`, { file: source.name });
  }
  const rows = shard === undefined ? chosen : shardRows(cells, shard, chosen);
  const cellCount = rows?.length ?? cells;
  const tables = await tablesOf(rows === undefined ? source : subsetSource(source, rows));
  const whole = {
    cells: chosen === undefined ? source : subsetSource(source, chosen),
    first: shard === undefined ? 0 : shardBounds(cells, shard).first,
  };
  const { modelName = typeof model === "string" ? model : null } = options;
  const names = { model: modelName, data: source.name, where: where ?? null };
  const part: FileJob["part"] = (settings) =>
    partToWrite({
      out: options.out,
      shard,
      overwrite,
      cells,
      digest: () => modelDigest(loaded),
      source,
      settings,
    });
  return await work({ source, model: loaded, part, rows, cellCount, whole, tables, names });
}
