import { promisify } from "node:util";
import { deflate } from "node:zlib";
import { takeTurn } from "../base/turns.js";
import { bytesOf, type StreamedArray } from "./hierarchy_writer.js";
import type { NumberArray } from "./sources/number_array.js";

/** Fast levels lose little on counts and ranks, whose bytes are mostly zeros once shuffled. */
export const DEFLATE_LEVEL = 4;

const deflateAsync = promisify(deflate);

/** The shuffle filter of HDF5 and zarr: the first bytes of all elements, then the second ones, ... */
export function shuffleBytes(bytes: Uint8Array, elementBytes: number): Uint8Array {
  if (elementBytes === 1) return bytes;
  const count = bytes.length / elementBytes;
  const result = new Uint8Array(bytes.length);
  for (let byte = 0; byte < elementBytes; byte++) {
    const start = byte * count;
    for (let i = 0; i < count; i++) result[start + i] = bytes[i * elementBytes + byte] ?? 0;
  }
  return result;
}

/** A chunk as HDF5 and zarr store it: shuffled and deflated (zlib), off the event loop. */
export async function compressChunk(bytes: Uint8Array, elementBytes: number): Promise<Buffer> {
  return deflateAsync(shuffleBytes(bytes, elementBytes), { level: DEFLATE_LEVEL });
}

/**
 * Rows of a chunk of an array, with the numbers of whose rows `chunkBytes` are to be filled, unless one row is larger.
 *
 * @param shape [Infinity] for a vector of open length
 */
export function rowsOfChunk(
  elementBytes: number,
  [rows = 1, ...rest]: readonly number[],
  chunkBytes: number,
): number {
  const rowBytes = elementBytes * rest.reduce((product, extent) => product * extent, 1);
  return Math.max(1, Math.min(rows, Math.floor(chunkBytes / Math.max(1, rowBytes))));
}

/** Where the chunks of a stream go. */
export interface ChunkSink {
  /** Stores chunk `number`, counted along the first dimension. */
  readonly write: (compressed: Buffer, number: number) => Promise<void>;
  /** Told in the end what the array is: its shape and that of its chunks, in elements, and how many chunks were written. */
  readonly finish: (shape: readonly number[], chunk: readonly number[], chunks: number) => Promise<void>;
}

/** Rows of an array, appended in order and handed on as compressed chunks of whole rows, the last filled up with zeros. */
export class ChunkStream implements StreamedArray {
  readonly #shape: readonly number[];
  readonly #sink: ChunkSink;
  readonly #elementBytes: number;
  #chunk: readonly number[];
  #buffer: Uint8Array;
  /** Bytes; infinite for a vector of open length. */
  readonly #total: number;
  #chunks = 0;
  #filled = 0;
  #received = 0;

  /**
   * @param shape [Infinity] for a vector of open length
   * @param chunkBytes size of a chunk before compression, unless one row is larger
   */
  constructor(elementBytes: number, shape: readonly number[], chunkBytes: number, sink: ChunkSink) {
    this.#shape = shape;
    this.#sink = sink;
    this.#elementBytes = elementBytes;
    const [rows = 1, ...rest] = shape;
    const rowBytes = elementBytes * rest.reduce((product, extent) => product * extent, 1);
    const chunkRows = rowsOfChunk(elementBytes, shape, chunkBytes);
    this.#chunk = [chunkRows, ...rest];
    this.#buffer = new Uint8Array(chunkRows * rowBytes);
    this.#total = rows * rowBytes;
  }

  async append(values: NumberArray): Promise<void> {
    const bytes = bytesOf(values);
    this.#received += bytes.length;
    if (this.#received > this.#total)
      throw new RangeError(`more values than shape [${this.#shape.join(", ")}] holds`);
    for (let start = 0; start < bytes.length; ) {
      const count = Math.min(bytes.length - start, this.#buffer.length - this.#filled);
      this.#buffer.set(bytes.subarray(start, start + count), this.#filled);
      this.#filled += count;
      start += count;
      if (this.#filled === this.#buffer.length) await this.#flush();
    }
  }

  async finish(): Promise<void> {
    const isOpen = this.#total === Number.POSITIVE_INFINITY;
    if (!isOpen && this.#received !== this.#total)
      throw new RangeError(`too few values for shape [${this.#shape.join(", ")}]`);
    const shape = isOpen ? [this.#received / this.#elementBytes] : this.#shape;
    if (isOpen && this.#chunks === 0 && this.#filled > 0) {
      // A chunk may not be longer than its array.
      this.#chunk = shape;
      this.#buffer = this.#buffer.subarray(0, this.#filled);
    }
    if (this.#filled > 0) await this.#flush();
    await this.#sink.finish(shape, this.#chunk, this.#chunks);
  }

  async #flush(): Promise<void> {
    await takeTurn();
    this.#buffer.fill(0, this.#filled);
    await this.#sink.write(await compressChunk(this.#buffer, this.#elementBytes), this.#chunks++);
    this.#filled = 0;
  }
}
