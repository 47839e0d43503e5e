import { copyFile, link, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { errorCode } from "../../base/files.js";
import { isTurnOver, takeTurn } from "../../base/turns.js";
import type { Cluster } from "../../cluster/cluster.js";
import { compressChunk } from "../chunk_stream.js";
import { bytesOf, type NumberType } from "../hierarchy_writer.js";
import type { NumberArray } from "../sources/number_array.js";
import { ZarrFile } from "../zarr/file.js";
import { arrayMetadata, type ChunkGrid, chunkFile } from "../zarr/write.js";

/** Rows of an array of a part that go to the whole. */
export interface Piece {
  /** The part's folder. */
  readonly part: string;
  /** The first of the rows, and how many. */
  readonly skip: number;
  readonly rows: number;
  /** Is added to each number: the values before it, of bounds. */
  readonly add: number;
}

/** An array of the whole, made of those of the parts one after the other. */
export interface JoinedArray {
  readonly grid: ChunkGrid;
  readonly pieces: readonly Piece[];
  /** Numbers are below: columns of a sparse matrix. */
  readonly below?: number;
}

/** What became of the chunks of a store: taken over as files, or written anew. */
export interface ChunksJoined {
  readonly linked: number;
  readonly written: number;
  /** Their compressed bytes. */
  readonly bytesLinked: number;
  readonly bytesWritten: number;
}

/** How chunks are joined. */
interface JoinOptions {
  readonly cluster: Cluster;
  readonly signal: AbortSignal | undefined;
  /** Told of each chunk that is done. */
  readonly onChunk: (done: number, of: number) => void;
}

/** Chunks that are compressed and written at the same time. */
const AT_ONCE = 4;

/**
 * Writes this rank's share of the chunks of all arrays into the folder of a store. A chunk that is one of a part, at the same rows and
 * encoded alike, is linked, or copied where there are no links: the first part's are, and those of a later one where the rows before it
 * fill whole chunks. Others are put together from the parts that have their rows.
 *
 * Throws `DATA_CORRUPT` for parts that do not hold what they claim; errors of the file system come as they are.
 */
export async function joinChunks(
  folder: string,
  arrays: readonly JoinedArray[],
  { cluster, signal, onChunk }: JoinOptions,
): Promise<ChunksJoined> {
  const own = arrays.map(({ grid: { chunks } }) => ({
    first: Math.floor((chunks * cluster.rank) / cluster.world),
    end: Math.floor((chunks * (cluster.rank + 1)) / cluster.world),
  }));
  const total = own.reduce((sum, { first, end }) => sum + end - first, 0);
  const done = { linked: 0, written: 0, bytesLinked: 0, bytesWritten: 0 };
  for (const [i, array] of arrays.entries()) {
    using source = new PieceReader(array);
    const writing = new Set<Promise<void>>();
    const failures: unknown[] = [];
    const { first = 0, end = 0 } = own[i] ?? {};
    try {
      for (let number = first; number < end; number++) {
        signal?.throwIfAborted();
        if (isTurnOver()) await takeTurn(signal);
        const file = join(folder, chunkFile(array.grid, number));
        const linked = await source.link(number, file);
        if (linked !== undefined) {
          done.linked++;
          done.bytesLinked += linked;
        } else {
          const values = await source.chunk(number);
          if (writing.size === AT_ONCE) await Promise.race(writing);
          const write: Promise<void> = writeChunk(file, values)
            .then((bytes) => {
              done.written++;
              done.bytesWritten += bytes;
            })
            .catch((error: unknown) => {
              failures.push(error);
            })
            .finally(() => writing.delete(write));
          writing.add(write);
        }
        if (failures.length > 0) break;
        onChunk(done.linked + done.written, total);
      }
    } finally {
      await Promise.all(writing);
    }
    if (failures.length > 0) throw failures[0];
  }
  return done;
}

async function writeChunk(file: string, values: NumberArray): Promise<number> {
  const compressed = await compressChunk(bytesOf(values), values.BYTES_PER_ELEMENT);
  await writeFile(file, compressed, { flag: "wx" });
  return compressed.length;
}

/** Reads an array of the whole from those of the parts, best in the order of its rows. */
class PieceReader {
  readonly #array: JoinedArray;
  /** First row of each piece in the whole, and the end of the last. */
  readonly #bounds: readonly number[];
  /** The part that is open: of each, chunks that were decoded are kept. */
  #open: { readonly part: string; readonly file: ZarrFile } | undefined;
  readonly #sameChunks = new Map<string, boolean>();

  constructor(array: JoinedArray) {
    this.#array = array;
    const bounds = [0];
    for (const { rows } of array.pieces) bounds.push((bounds.at(-1) ?? 0) + rows);
    this.#bounds = bounds;
  }

  /** Takes a chunk over from the part that has just these rows as one, where there is such a part: its bytes. */
  async link(number: number, file: string): Promise<number | undefined> {
    const { grid, pieces } = this.#array;
    const [rows = 1] = grid.chunk;
    const total = grid.shape[0] ?? 0;
    const first = number * rows;
    const at = this.#pieceAt(first);
    const piece = pieces[at];
    if (piece === undefined || piece.add !== 0 || piece.skip !== 0) return undefined;
    const local = first - (this.#bounds[at] ?? 0);
    // The last chunk of both is filled up with zeros.
    const isWhole = local + rows <= piece.rows || (first + rows >= total && at === pieces.length - 1);
    if (local % rows !== 0 || !isWhole || !(await this.#hasSameChunks(piece))) return undefined;
    const from = join(piece.part, chunkFile(grid, local / rows));
    try {
      await link(from, file);
    } catch (error) {
      // A chunk of zeros alone may be left out by other writers.
      if (errorCode(error) === "ENOENT") return undefined;
      if (errorCode(error) === "EEXIST") throw error;
      await copyFile(from, file);
    }
    return (await stat(file)).size;
  }

  /** The numbers of a chunk, the last one filled up with zeros. */
  async chunk(number: number): Promise<NumberArray> {
    const { grid, pieces } = this.#array;
    const [rows = 1, ...rest] = grid.chunk;
    const width = rest.reduce((product, extent) => product * extent, 1);
    const values = new ARRAYS[grid.type as keyof typeof ARRAYS](rows * width);
    const end = Math.min(grid.shape[0] ?? 0, (number + 1) * rows);
    for (let row = number * rows; row < end; ) {
      const at = this.#pieceAt(row);
      const piece = pieces[at] as Piece;
      const start = this.#bounds[at] ?? 0;
      const stop = Math.min(end, start + piece.rows);
      const file = await this.#fileOf(piece.part);
      const array = await file.array(grid.path);
      const numbers = await array.numbers(piece.skip + row - start, piece.skip + stop - start);
      this.#check(file, numbers);
      put(values, (row - number * rows) * width, numbers, piece.add);
      row = stop;
    }
    return values;
  }

  [Symbol.dispose](): void {
    this.#open?.file[Symbol.dispose]();
    this.#open = undefined;
  }

  /** The piece that holds a row: the last that begins no later, of which empty ones hold none. */
  #pieceAt(row: number): number {
    let at = 0;
    while ((this.#bounds[at + 1] ?? Number.POSITIVE_INFINITY) <= row) at++;
    return at;
  }

  async #fileOf(part: string): Promise<ZarrFile> {
    if (this.#open?.part !== part) {
      this[Symbol.dispose]();
      this.#open = { part, file: await ZarrFile.open(part) };
    }
    return this.#open.file;
  }

  /** Whether an array of a part is stored in the same chunks, and encoded alike. */
  async #hasSameChunks({ part, rows, skip }: Piece): Promise<boolean> {
    const known = this.#sameChunks.get(part);
    if (known !== undefined) return known;
    const { grid } = this.#array;
    const [, ...rest] = grid.shape;
    const text = await readFile(join(part, chunkFile(grid, 0), "..", ".zarray"), "utf8").catch(() => "{}");
    const expected = arrayMetadata({ ...grid, shape: [skip + rows, ...rest] });
    const isSame = isDeepStrictEqual(JSON.parse(text), JSON.parse(JSON.stringify(expected)));
    this.#sameChunks.set(part, isSame);
    return isSame;
  }

  #check(file: ZarrFile, numbers: NumberArray): void {
    const { grid, below } = this.#array;
    if (below === undefined) return;
    for (const number of numbers) {
      if (number >= 0 && number < below) continue;
      throw file.corrupt(grid.path, `names column ${number} of ${below}`);
    }
  }
}

/** Arrays of the types that AnnData's matrices are written in. */
const ARRAYS = {
  float32: Float32Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
} as const satisfies Partial<Record<NumberType, unknown>>;

/** Puts numbers into an array of another type, perhaps, with something added to each. */
function put(values: NumberArray, at: number, numbers: NumberArray, add: number): void {
  if (values instanceof BigInt64Array) {
    for (let i = 0; i < numbers.length; i++) values[at + i] = BigInt(numbers[i] ?? 0) + BigInt(add);
  } else if (add === 0 && values.constructor === numbers.constructor) {
    values.set(numbers as never, at);
  } else {
    for (let i = 0; i < numbers.length; i++) values[at + i] = Number(numbers[i] ?? 0) + add;
  }
}
