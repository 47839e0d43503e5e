import { readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import type { Table, Vector } from "apache-arrow";
import { checkWhole, DdscError } from "../../base/errors.js";
import { fileWriteError, makeFolders } from "../../base/files.js";
import { FolderLock, type LockUse } from "../../base/folder_lock.js";
import { writeFileAtomic } from "../../base/publish.js";
import { readWhole } from "../../base/regular_files.js";
import { removeLeftovers, temporaryFor } from "../../base/temporary.js";
import { TahoeShardWriter } from "../parquet/write.js";
import type { MetadataColumn } from "../sources/cells.js";
import { fingerprintOf } from "../sources/fingerprint.js";
import { rowRange } from "../sources/parts.js";
import type { CellSource } from "../sources/source.js";
import { geneTokens, writeGeneTable } from "../tahoe/genes_write.js";

/** Options of `writeParquetFolder`: see `ConvertOptions`. */
interface ParquetFolderOptions {
  readonly cellsPerFile?: number;
  readonly overwrite?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (cells: number) => void;
}

/** What `writeParquetFolder` did: see `Conversion`. */
interface ParquetFolder {
  readonly out: string;
  readonly cells: number;
  readonly genes: number;
  readonly files: number;
  readonly kept: number;
  readonly notes: readonly string[];
}

/** Plan of a conversion under way; beside the shards until all are there. */
const PLAN_FILE = ".conversion.json";
/** A plan names files and options. */
const MAX_PLAN_BYTES = 2 ** 26;
const SHARD = /^train-\d{5,}-of-\d{5,}\.parquet$/;
/** One conversion at a time writes into a folder. */
const CONVERSION: LockUse = {
  file: ".conversion.lock",
  code: "FILE_EXISTS",
  does: "writes a conversion into it",
  idle: "no conversion runs",
};
const GENE_FILES = new Set(["gene_metadata.parquet", "vocab.json"]);
const ID_COLUMN = "BARCODE_SUB_LIB_ID";
const TAKEN_NAMES = new Set(["genes", "expressions", ID_COLUMN]);
/** Rows read at a time. */
const SPAN_CELLS = 1024;

/**
 * Writes all cells of a source as Parquet files into a folder, which appear one by one, each whole; called again after it was stopped in any
 * way, goes on with the first that is missing. Throws as `convertCells`.
 */
export async function writeParquetFolder(
  source: CellSource,
  folder: string,
  options: ParquetFolderOptions,
): Promise<ParquetFolder> {
  const cellsPerFile = checkWhole("cellsPerFile", options.cellsPerFile ?? 100_000, 1, 2 ** 31 - 1);
  const { cellCount, genes } = source;
  const files = Math.max(1, Math.ceil(cellCount / cellsPerFile));
  const plan = JSON.stringify({ cells: cellCount, cellsPerFile, ...(await fingerprintOf(source)) });
  await using conversion = await beginConversion(folder, plan, options.overwrite ?? false);
  const { done } = conversion;
  const tokens = geneTokens(genes.length);
  await writeGeneTable(folder, genes, tokens);
  const columns = renameColumns(source.metadataColumns);
  let kept = 0;
  for (let file = 0; file < files; file++) {
    const name = `train-${digits(file)}-of-${digits(files)}.parquet`;
    const first = file * cellsPerFile;
    const end = Math.min(first + cellsPerFile, cellCount);
    if (done.has(name)) kept++;
    else await writeShard(source, { path: join(folder, name), first, end, tokens, columns }, options);
    options.onProgress?.(end);
  }
  await rm(join(folder, PLAN_FILE), { force: true });
  const notes = columns
    .filter(({ name, from }) => name !== from)
    .map(
      ({ name, from }) => `the metadata column "${from}" is written as "${name}": the layout uses that name`,
    );
  return { out: folder, cells: cellCount, genes: genes.length, files, kept, notes };
}

function digits(number: number): string {
  return String(number).padStart(5, "0");
}

/** A column and its name in the source. */
interface RenamedColumn extends MetadataColumn {
  readonly from: string;
}

function renameColumns(columns: readonly MetadataColumn[]): RenamedColumn[] {
  const known = new Set([...TAKEN_NAMES, ...columns.map(({ name }) => name)]);
  return columns.map(({ name, kind }) => {
    if (!TAKEN_NAMES.has(name)) return { name, kind, from: name };
    let free = `${name}_1`;
    for (let i = 2; known.has(free); i++) free = `${name}_${i}`;
    known.add(free);
    return { name: free, kind, from: name };
  });
}

interface ShardFile {
  readonly path: string;
  readonly first: number;
  readonly end: number;
  readonly tokens: Int32Array;
  readonly columns: readonly RenamedColumn[];
}

async function writeShard(
  source: CellSource,
  { path, first, end, tokens, columns }: ShardFile,
  { signal, onProgress }: ParquetFolderOptions,
): Promise<void> {
  const writer = await TahoeShardWriter.create(path, {
    tokens,
    columns,
    idColumn: ID_COLUMN,
    overwrite: false,
  });
  try {
    for (let start = first; start < end; start += SPAN_CELLS) {
      signal?.throwIfAborted();
      const rows = rowRange(start, Math.min(start + SPAN_CELLS, end));
      const block = await source.read(rows, signal);
      await writer.write(block, await source.cellIds(rows), await readColumns(source, columns, rows));
      onProgress?.(start + rows.length);
    }
    await writer.close();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** The metadata of some rows under the names they are written by; undefined where there are no columns. */
async function readColumns(
  source: CellSource,
  columns: readonly RenamedColumn[],
  rows: Int32Array,
): Promise<Table | undefined> {
  if (columns.length === 0) return undefined;
  const table = await source.metadata({ rows });
  const vectors: Record<string, Vector> = {};
  for (const { name, from } of columns) {
    const vector = table.getChild(from);
    if (vector !== null) vectors[name] = vector;
  }
  // Loaded here, as in arrow_table.ts, so that whoever converts nothing does not wait for it.
  const arrow = await import("apache-arrow");
  return new arrow.Table(vectors);
}

/** A conversion under way in a folder, which is its own until it is disposed of. */
interface Begun extends AsyncDisposable {
  /** Names of the files in it that are complete. */
  readonly done: ReadonlySet<string>;
}

/** Makes the folder ready for a plan, and keeps others out of it. Throws `FILE_EXISTS`, `FILE_WRITE`. */
async function beginConversion(folder: string, plan: string, overwrite: boolean): Promise<Begun> {
  let made: readonly string[] = [];
  try {
    made = await makeFolders(folder);
    // Nothing is put into a folder of something else.
    await examine(folder, plan, overwrite);
    const lock = await FolderLock.take(folder, CONVERSION);
    try {
      const done = await prepare(folder, plan, overwrite);
      return { done, [Symbol.asyncDispose]: () => lock.release() };
    } catch (error) {
      await lock.release();
      throw error;
    }
  } catch (error) {
    for (const each of made.toReversed()) await rmdir(each).catch(() => undefined);
    throw fileWriteError(folder, error);
  }
}

/** Whether a name in the folder is one that conversions write, or that a killed one has left. */
function isOurs(name: string): boolean {
  const plain = temporaryFor(name) ?? name;
  return plain === PLAN_FILE || plain === CONVERSION.file || SHARD.test(plain) || GENE_FILES.has(plain);
}

/** Whether the folder holds this very conversion, unfinished. Throws `FILE_EXISTS` where it holds what is not to be replaced. */
async function examine(folder: string, plan: string, overwrite: boolean): Promise<boolean> {
  const begun = await readWhole(join(folder, PLAN_FILE), MAX_PLAN_BYTES).then(String, () => undefined);
  if (begun === plan) return true;
  const names = await readdir(folder);
  // The lock, and what a process left that was killed before its plan was there, is nothing to keep.
  const counted = names.filter(
    (name) => name !== CONVERSION.file && (temporaryFor(name) === undefined || !isOurs(name)),
  );
  if (counted.length === 0 || (overwrite && counted.every(isOurs))) return false;
  await FolderLock.check(folder, CONVERSION);
  throw begun === undefined
    ? occupied(folder, `is not empty (${counted.slice(0, 3).join(", ")}${counted.length > 3 ? ", ..." : ""})`)
    : occupied(folder, "holds an unfinished conversion of other cells, or into files of another size");
}

/** Clears a folder that is locked for a plan, but for what the plan has got done; the names of these files. */
async function prepare(folder: string, plan: string, overwrite: boolean): Promise<ReadonlySet<string>> {
  const isBegun = await examine(folder, plan, overwrite);
  const names = await readdir(folder);
  if (isBegun) {
    await removeLeftovers(folder, isOurs);
    return new Set(names.filter((name) => SHARD.test(name)));
  }
  for (const name of names)
    if (name !== CONVERSION.file && isOurs(name)) await rm(join(folder, name), { force: true });
  await writeFileAtomic(join(folder, PLAN_FILE), plan);
  return new Set();
}

/** The error for an output that is there and not to be replaced. */
export function occupied(
  out: string,
  found: string,
  condition = " for one that holds a conversion alone",
): DdscError {
  return new DdscError(
    "FILE_EXISTS",
    `${out}: ${found}; choose another name, or pass --overwrite${condition}`,
    { file: out, argument: "--out" },
  );
}
