import { lstat } from "node:fs/promises";
import { checkKind, checkOptions } from "../../base/arguments.js";
import { DdscError } from "../../base/errors.js";
import { isTurnOver, takeTurn } from "../../base/turns.js";
import { alone, type Cluster } from "../../cluster/cluster.js";
import { anndataFormat } from "../anndata/endings.js";
import { StoredFrame } from "../anndata/frame.js";
import { type AnnDataStream, type StreamedRows, writeAnnData } from "../anndata/write.js";
import type { RowsGiven, StreamedMatrix } from "../anndata/write_matrices.js";
import type { Hierarchy, StoredArray } from "../hierarchy.js";
import type { Frame } from "../sources/frame.js";
import { type NumberArray, toFloat64 } from "../sources/number_array.js";
import type { ChunksJoined } from "./join_chunks.js";
import { openPart, type Part, type PartRecord, readPartRecord } from "./part_record.js";
import { differ, PartsTable } from "./parts_table.js";

/** Options of `joinParts`. */
export interface JoinPartsOptions {
  /** Whether what is at `out` is replaced; default false. */
  readonly overwrite?: boolean;
  /** Ends the work with the signal's reason; nothing is written then. */
  readonly signal?: AbortSignal;
  /** Told how many cells are done, and of how many. */
  readonly onProgress?: (cells: number, of: number) => void;
  /**
   * The processes that join zarr stores together, each with the same other options: what `joinCluster` gave. All have the same result.
   * Default this one alone.
   */
  readonly cluster?: Cluster;
}

/** What `joinParts` wrote. */
export interface JoinedParts {
  readonly out: string;
  readonly parts: number;
  readonly cells: number;
  readonly genes: number;
  /** Of zarr stores: what became of the chunks of matrices. */
  readonly chunks?: ChunksJoined;
}

/** Rows, and values of a sparse matrix, that are read at a time. */
const ROWS_AT_ONCE = 1024;
const VALUES_AT_ONCE = 1 << 22;

/**
 * Joins the parts that shards of one piece of work wrote (`shard` of `imputeFile`, `embedFile`, `generateFile`, `convertCells`) to the file
 * that the work would have written at once: X, layers, obsm and the table of cells are streamed. The order of `paths` does not matter.
 * Of zarr stores, chunks that are the whole's are linked, not written again; in a cluster ranks share the others.
 *
 * Throws `PART_FORMAT` for a file that is no part, `PARTS_DIFFER` for parts of different work, `PARTS_MISSING` naming what is missing,
 * `PARTS_REPEATED`, `FILE_EXISTS`, `FILE_WRITE`, `DATA_*`; rejects with the signal's reason when aborted.
 */
export async function joinParts(
  paths: readonly string[],
  out: string,
  options: JoinPartsOptions = {},
): Promise<JoinedParts> {
  checkKind("parts", paths, "texts");
  checkKind("out", out, "text");
  checkOptions(options, { overwrite: "switch", signal: "signal", onProgress: "function", cluster: "object" });
  const { overwrite = false, signal, onProgress, cluster = alone } = options;
  if (!overwrite && (await lstat(out).then(Boolean, () => false))) {
    throw new DdscError("FILE_EXISTS", `${out}: already exists; choose another name, or pass overwrite`, {
      file: out,
      argument: "out",
    });
  }
  const [head, ...others] = paths;
  if (head === undefined)
    throw new DdscError("PARTS_MISSING", "no part was named; name them all", { argument: "parts" });
  const first = await describe(head);
  const parts: Part[] = [first];
  for (const path of others) {
    signal?.throwIfAborted();
    parts.push(await describe(path));
  }
  const ordered = inOrder(parts);
  const whole = await common(first);
  for (const part of ordered) await checkSame(part, first, whole.var);
  const { cells } = first.record;
  const result = { out, parts: parts.length, cells, genes: whole.var.index.length };
  const isStores = [out, ...paths].every((path) => anndataFormat(path) === "zarr");
  if (cluster.world > 1 && !isStores) throw notTogether(out);
  const tables = {
    var: whole.var,
    varm: whole.varm,
    matrices: Object.fromEntries(first.matrices),
    uns: first.record.uns,
  };
  if (isStores) {
    const { joinStores } = await import("./join_stores.js");
    const chunks = await joinStores(ordered, { ...tables, rows: [] }, () => PartsTable.open(ordered), {
      ...{ out, overwrite, signal, cluster },
      onProgress: (share) => onProgress?.(Math.round(share * cells), cells),
    });
    return { ...result, chunks };
  }
  async function* rows(): AsyncGenerator<StreamedRows> {
    let done = 0;
    for (const part of ordered) {
      using file = await openPart(part.path);
      for await (const given of rowsOfPart(file, part, whole.var.index.length)) {
        signal?.throwIfAborted();
        if (isTurnOver()) await takeTurn(signal);
        yield given.rows;
        done += given.cells;
        onProgress?.(done, cells);
      }
    }
  }
  using obs = await PartsTable.open(ordered);
  const contents = { ...tables, obs, rows: rows() };
  await writeAnnData(out, contents, { overwrite });
  return result;
}

/** Whether `path` holds a whole part of this work and shard. */
export async function isPartOf(
  path: string,
  wanted: Pick<PartRecord, "index" | "count" | "job">,
): Promise<boolean> {
  if (!(await lstat(path).then(Boolean, () => false))) return false;
  try {
    using file = await openPart(path);
    const record = await readPartRecord(file);
    return record?.index === wanted.index && record.count === wanted.count && record.job === wanted.job;
  } catch {
    return false;
  }
}

async function describe(path: string): Promise<Part> {
  using file = await openPart(path);
  const record = await readPartRecord(file);
  if (record === undefined) {
    throw new DdscError(
      "PART_FORMAT",
      `${path}: it does not say which part of what it is; name files that were written with a shard`,
      { file: path },
    );
  }
  return { path, record, matrices: await matricesOf(file, record) };
}

/** The matrices over cells, by name, in the order that the record tells: another gives a file of other bytes. */
async function matricesOf(file: Hierarchy, record: PartRecord): Promise<Map<string, StreamedMatrix>> {
  const found = ["X"];
  for (const group of ["layers", "obsm"])
    if ((await file.kind(`/${group}`)) === "group")
      for (const name of await file.members(`/${group}`)) found.push(`${group}/${name}`);
  const told = record.matrices.filter((name) => found.includes(name));
  const names = new Set([...told, ...found]);
  const matrices = new Map<string, StreamedMatrix>();
  for (const name of names) {
    const isSparse = (await file.kind(`/${name}`)) === "group";
    const values = await file.array(isSparse ? `/${name}/data` : `/${name}`);
    const type = await typeOf(file, values);
    if (isSparse && type !== "uint8") matrices.set(name, { kind: "csr", type });
    else if (!isSparse) matrices.set(name, { kind: "dense", type, width: values.shape[1] ?? 0 });
    else throw file.corrupt(`/${name}`, "is a matrix of a kind that no part has");
  }
  return matrices;
}

async function typeOf(file: Hierarchy, values: StoredArray): Promise<"float32" | "int32" | "uint8"> {
  const { path, kind, shape } = values;
  if (kind === "integer" || kind === "float") {
    const some = await values.numbers(0, Math.min(1, shape[0] ?? 0));
    if (some instanceof Float32Array) return "float32";
    if (some instanceof Int32Array) return "int32";
    if (some instanceof Uint8Array) return "uint8";
  }
  throw file.corrupt(path, "is of a type that no part has");
}

/** Parts in the order of their cells. Throws unless each is there once. */
function inOrder(parts: readonly Part[]): readonly Part[] {
  const ordered = [...parts].sort((a, b) => a.record.index - b.record.index);
  const [first] = ordered;
  if (first === undefined) return ordered;
  const { count, job } = first.record;
  for (const [i, { path, record }] of ordered.entries()) {
    if (record.count !== count || record.job !== job)
      throw differ(path, first.path, "they come from different work");
    const before = ordered[i - 1];
    if (before?.record.index === record.index) {
      const what = `${path} and ${before.path} are the same part, ${record.index} of ${count}; name one of them`;
      throw new DdscError("PARTS_REPEATED", what, { file: path });
    }
  }
  const there = new Set(ordered.map(({ record }) => record.index));
  const missing = Array.from({ length: count }, (_, i) => i + 1).filter((index) => !there.has(index));
  if (missing.length > 0) {
    const named = missing.slice(0, 10).join(", ");
    const more = missing.length > 10 ? ` and ${missing.length - 10} more` : "";
    throw new DdscError(
      "PARTS_MISSING",
      `${first.path}: of ${count} parts ${named}${more} ${missing.length === 1 ? "is" : "are"} missing; run those shards, then join again`,
      { file: first.path },
    );
  }
  return ordered;
}

/** What all parts have: the table of genes and what belongs to genes. */
async function common(
  part: Part,
): Promise<{ readonly var: Frame; readonly varm: NonNullable<AnnDataStream["varm"]> }> {
  using file = await openPart(part.path);
  const genes = await genesOf(file);
  const varm: Record<string, { readonly values: Float32Array; readonly width: number }> = {};
  const members = (await file.kind("/varm")) === "group" ? await file.members("/varm") : [];
  for (const name of members) {
    const array = await file.array(`/varm/${name}`);
    const values = await array.numbers(0, genes.index.length);
    if (!(values instanceof Float32Array)) throw file.corrupt(array.path, "is of a type that no part has");
    varm[name] = { values, width: array.shape[1] ?? 0 };
  }
  return { var: genes, varm };
}

async function genesOf(file: Hierarchy): Promise<Frame> {
  const index = await file.attribute("/var", "_index");
  const array = await file.array(`/var/${typeof index === "string" ? index : "_index"}`);
  return (await StoredFrame.open(file, "/var", array.shape[0] ?? 0, [])).all();
}

async function checkSame(part: Part, first: Part, genes: Frame): Promise<void> {
  const describeMatrices = ({ matrices }: Part) =>
    JSON.stringify([...matrices].sort(([a], [b]) => (a < b ? -1 : 1)));
  if (describeMatrices(part) !== describeMatrices(first))
    throw differ(part.path, first.path, "their matrices differ");
  using file = await openPart(part.path);
  const own = await genesOf(file);
  const isSame =
    own.index.length === genes.index.length && own.index.every((gene, i) => gene === genes.index[i]);
  if (!isSame) throw differ(part.path, first.path, "their genes differ");
}

function notTogether(out: string): DdscError {
  const text = `${out}: ranks join zarr stores together, other files one process joins; leave out cluster`;
  return new DdscError("ARGUMENT_CONFLICT", text, { file: out, argument: "cluster" });
}

/** All rows of a part, some at a time. */
async function* rowsOfPart(
  file: Hierarchy,
  { record, matrices }: Part,
  genes: number,
): AsyncGenerator<{ readonly rows: StreamedRows; readonly cells: number }> {
  const cells = record.end - record.first;
  const readers = new Map<string, (first: number, end: number) => Promise<RowsGiven>>();
  let widest = genes;
  for (const [name, matrix] of matrices) {
    readers.set(name, await (matrix.kind === "csr" ? sparseReader(file, name) : denseReader(file, name)));
    if (matrix.kind === "dense") widest = Math.max(widest, matrix.width ?? genes);
  }
  const step = Math.max(1, Math.min(ROWS_AT_ONCE, Math.floor(VALUES_AT_ONCE / Math.max(1, widest))));
  for (let first = 0; first < cells; first += step) {
    const end = Math.min(cells, first + step);
    const rows: Record<string, RowsGiven> = {};
    for (const [name, read] of readers) rows[name] = await read(first, end);
    yield { rows, cells: end - first };
  }
}

async function denseReader(file: Hierarchy, name: string) {
  const array = await file.array(`/${name}`);
  await array.checkClaim();
  // Of one of the three types: see `typeOf`.
  return async (first: number, end: number) => (await array.numbers(first, end)) as RowsGiven;
}

async function sparseReader(file: Hierarchy, name: string) {
  const [data, indices, bounds] = [
    await file.array(`/${name}/data`),
    await file.array(`/${name}/indices`),
    await file.array(`/${name}/indptr`),
  ];
  for (const array of [data, indices, bounds]) await array.checkClaim();
  return async (first: number, end: number): Promise<RowsGiven> => {
    const own = toFloat64(await bounds.numbers(first, end + 1));
    const [from = 0, to = 0] = [own[0], own.at(-1)];
    const isAscending = own.every((bound, i) => i === 0 || bound >= (own[i - 1] ?? 0));
    if (!isAscending || from < 0 || to > (data.shape[0] ?? 0) || to - from > 0x7fff_ffff)
      throw file.corrupt(`/${name}/indptr`, "its bounds do not ascend within the values");
    const values = await data.numbers(from, to);
    return {
      offsets: Int32Array.from(own, (bound) => bound - from),
      columns: int32(await indices.numbers(from, to)),
      values: values as Float32Array | Int32Array,
    };
  };
}

function int32(values: NumberArray): Int32Array {
  return values instanceof Int32Array ? values : Int32Array.from(toFloat64(values));
}
