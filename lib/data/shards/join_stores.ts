import type { PublishOptions } from "../../base/publish.js";
import type { Cluster } from "../../cluster/cluster.js";
import { ARRAY, COMPRESSED_ROWS } from "../anndata/encodings.js";
import { type AnnDataStream, checkContents, writeContents } from "../anndata/write.js";
import { indexTypeOf } from "../anndata/write_matrices.js";
import { lengthOf } from "../hierarchy.js";
import type { NumberType } from "../hierarchy_writer.js";
import type { StreamedFrame } from "../sources/cell_frame.js";
import { toFloat64 } from "../sources/number_array.js";
import { ZarrFile } from "../zarr/file.js";
import type { ZarrWriter } from "../zarr/write.js";
import { chunkGrid, writeZarr } from "../zarr/write.js";
import { type ChunksJoined, type JoinedArray, joinChunks, type Piece } from "./join_chunks.js";
import type { Part } from "./part_record.js";

/** Where parts that are zarr stores are joined to, and by whom. */
export interface JoinStoresOptions extends Required<PublishOptions> {
  readonly out: string;
  readonly signal: AbortSignal | undefined;
  readonly cluster: Cluster;
  /** Told which share of this rank's chunks is done. */
  readonly onProgress: (share: number) => void;
}

/** A matrix of the whole: what stands before its arrays, and these. */
interface JoinedMatrix {
  readonly name: string;
  /** Shape of a sparse one; undefined of a dense one, which is an array itself. */
  readonly shape: readonly [number, number] | undefined;
  readonly arrays: readonly JoinedArray[];
}

/**
 * Joins parts that are zarr stores, in the order of their cells, to one: what one process would have written, byte for byte. Rank 0
 * writes tables and metadata and publishes the store once all ranks have written their share of the chunks: see `joinChunks`.
 *
 * @param contents tables and kinds of matrices; its `rows` are not looked at
 * @param obs opens the table of cells: rank 0 alone has it
 */
export async function joinStores(
  parts: readonly Part[],
  contents: Omit<AnnDataStream, "obs">,
  obs: () => Promise<StreamedFrame & Disposable>,
  { out, overwrite, signal, cluster, onProgress }: JoinStoresOptions,
): Promise<ChunksJoined> {
  const matrices = await planOf(parts, contents);
  const arrays = matrices.flatMap((matrix) => matrix.arrays);
  const onChunk = (done: number, of: number) => onProgress(done / of);
  const write = async (folder: string): Promise<ChunksJoined> => {
    const all = await cluster.gather(await joinChunks(folder, arrays, { cluster, signal, onChunk }));
    const sum = (name: keyof ChunksJoined) => all.reduce((total, each) => total + each[name], 0);
    return {
      linked: sum("linked"),
      written: sum("written"),
      bytesLinked: sum("bytesLinked"),
      bytesWritten: sum("bytesWritten"),
    };
  };
  if (cluster.rank > 0) {
    const [folder = ""] = await cluster.gather("");
    const joined = await write(folder);
    // Not before it is published.
    await cluster.barrier();
    return joined;
  }
  using table = await obs();
  const whole = { ...contents, obs: table };
  checkContents(out, whole);
  let joined: ChunksJoined = { linked: 0, written: 0, bytesLinked: 0, bytesWritten: 0 };
  await writeZarr(
    out,
    async (writer) => {
      await writeContents(writer, out, whole, () => describeArrays(writer, matrices));
      await cluster.gather(writer.folder);
      joined = await write(writer.folder);
    },
    { overwrite },
  );
  await cluster.barrier();
  return joined;
}

/** Groups and arrays of the matrices, in the order in which `writeAnnData` makes them. */
async function describeArrays(writer: ZarrWriter, matrices: readonly JoinedMatrix[]): Promise<void> {
  for (const { name, shape } of matrices)
    if (shape !== undefined) await writer.group(`/${name}`, { ...COMPRESSED_ROWS, shape });
  for (const { arrays } of matrices) for (const { grid } of arrays) await writer.arrayOf(grid, ARRAY);
}

/** Which rows of which part every array of the whole is made of. Throws `DATA_CORRUPT` for parts that do not hold what they claim. */
async function planOf(
  parts: readonly Part[],
  { matrices, var: genes }: Omit<AnnDataStream, "obs">,
): Promise<JoinedMatrix[]> {
  const values = new Map<string, number[]>();
  for (const { path, record, matrices: stored } of parts) {
    using file = await ZarrFile.open(path);
    const cells = record.end - record.first;
    for (const [name, { kind }] of stored) {
      if (kind === "csr") values.set(name, [...(values.get(name) ?? []), await valuesOf(file, name, cells)]);
      else await checkDense(file, name, cells);
    }
  }
  const cells = parts[0]?.record.cells ?? 0;
  return Object.entries(matrices).map(([name, matrix]): JoinedMatrix => {
    const columns = genes.index.length;
    const pieces = parts.map(
      ({ path, record }): Piece => ({ part: path, skip: 0, rows: record.end - record.first, add: 0 }),
    );
    if (matrix.kind === "dense") {
      const grid = chunkGrid(`/${name}`, matrix.type, [cells, matrix.width ?? columns], false);
      return { name, shape: undefined, arrays: [{ grid, pieces }] };
    }
    const counts = values.get(name) ?? [];
    const total = counts.reduce((sum, count) => sum + count, 0);
    const indexType = indexTypeOf(cells, columns);
    const array = (member: string, type: NumberType, rows: number, isOpen: boolean) =>
      chunkGrid(`/${name}/${member}`, type, [rows], isOpen);
    const stored = pieces.map((piece, i) => ({ ...piece, rows: counts[i] ?? 0 }));
    let before = 0;
    const bounds = pieces.map((piece, i) => {
      const add = before;
      before += counts[i] ?? 0;
      // The first bound of a part is the last of the one before.
      return i === 0 ? { ...piece, rows: piece.rows + 1 } : { ...piece, skip: 1, add };
    });
    return {
      name,
      shape: [cells, columns],
      arrays: [
        { grid: array("data", matrix.type, total, true), pieces: stored },
        { grid: array("indices", indexType, total, true), pieces: stored, below: columns },
        { grid: array("indptr", indexType, cells + 1, false), pieces: bounds },
      ],
    };
  });
}

/** Bounds that are looked at at a time. */
const BOUNDS_AT_ONCE = 1 << 18;

/** How many values a part has of a sparse matrix. Throws `DATA_CORRUPT` unless its arrays fit each other and its cells. */
async function valuesOf(file: ZarrFile, name: string, cells: number): Promise<number> {
  const member = (array: string) => file.array(`/${name}/${array}`);
  const [data, indices, bounds] = [await member("data"), await member("indices"), await member("indptr")];
  for (const array of [data, indices, bounds]) await array.checkClaim();
  const count = lengthOf(file, data);
  if (lengthOf(file, indices) !== count || lengthOf(file, bounds) !== cells + 1)
    throw file.corrupt(`/${name}`, `its arrays do not fit each other or its ${cells} cells`);
  let last = 0;
  for (let first = 0; first <= cells; first += BOUNDS_AT_ONCE) {
    for (const bound of toFloat64(await bounds.numbers(first, Math.min(cells + 1, first + BOUNDS_AT_ONCE)))) {
      if (bound < last) throw ascending(file, bounds.path);
      last = bound;
    }
  }
  const [begin = 0] = toFloat64(await bounds.numbers(0, 1));
  if (begin !== 0 || last !== count) throw ascending(file, bounds.path);
  return count;
}

function ascending(file: ZarrFile, path: string): Error {
  return file.corrupt(path, "its bounds do not ascend from 0 to the number of values");
}

async function checkDense(file: ZarrFile, name: string, cells: number): Promise<void> {
  const array = await file.array(`/${name}`);
  await array.checkClaim();
  if (array.shape[0] !== cells)
    throw file.corrupt(array.path, `has ${array.shape[0]} rows for ${cells} cells`);
}
