import { LRUCache } from "lru-cache";
import type { DataType, Readable, Array as StoredChunks } from "zarrita";
import type { DdscError } from "../../base/errors.js";
import type { ElementKind, StoredArray } from "../hierarchy.js";
import { type NumberArray, sameType } from "../sources/number_array.js";
import type { RowSpan } from "../sources/parts.js";
import { elementBytes } from "./codecs.js";

/** What text is taken to need in memory. */
const TEXT_BYTES = 64;
/** A compressor hardly shrinks numbers that differ more than this; an array that claims more is not backed by its chunks. */
const MAX_COMPRESSION = 1032;
const SLACK_BYTES = 1 << 24;
/** Chunks are kept while they hold no more than this together, bytes. */
const CACHE_BYTES = 64 << 20;

/** A chunk: numbers (booleans as 0 and 1) or text, with the distance between neighbours along each axis. */
interface ZarrChunk {
  readonly data: NumberArray | readonly string[];
  readonly stride: readonly number[];
}

/** The chunks of all arrays of a store that were decoded last, by path of the array and place in it. */
export type ChunkCache = LRUCache<string, Promise<ZarrChunk>>;

/** A cache for the arrays of a store. */
export function chunkCache(): ChunkCache {
  return new LRUCache({ maxSize: CACHE_BYTES });
}

/** What an array needs of the store that it is in. */
export interface ArrayOwner {
  readonly cache: ChunkCache;
  /** Bytes of all chunks of the array. */
  storedBytes(): Promise<number>;
  /** Error `DATA_CORRUPT` about the array. */
  corrupt(what: string): DdscError;
  /** What an error about the array means. */
  failure(error: unknown): DdscError;
}

/** An array of a zarr store. */
export class ZarrArray implements StoredArray {
  readonly path: string;
  readonly shape: readonly number[];
  readonly kind: ElementKind;
  readonly elementBytes: number;
  /** Shape of the chunks that are decoded one by one (of those within shards). */
  readonly chunkShape: readonly number[];
  readonly #array: StoredChunks<DataType, Readable>;
  readonly #owner: ArrayOwner;

  constructor(array: StoredChunks<DataType, Readable>, path: string, owner: ArrayOwner) {
    this.path = path;
    this.shape = array.shape;
    this.kind = kindOf(array.dtype);
    this.elementBytes = this.kind === "string" ? TEXT_BYTES : (elementBytes(array.dtype) ?? 1);
    this.chunkShape = array.chunks;
    this.#array = array;
    this.#owner = owner;
  }

  async numbers(first: number, end: number, columns?: RowSpan): Promise<NumberArray> {
    const [rows, width = 1] = this.chunkShape;
    const wanted = columns ?? { first: 0, end: this.shape[1] ?? 1 };
    const rowLength = wanted.end - wanted.first;
    let result: NumberArray | undefined;
    this.#checkRange(first, end);
    for (const span of spansByChunk({ first, end }, rows)) {
      for (const across of spansByChunk(wanted, width)) {
        const place = this.shape.length === 1 ? [span.chunk] : [span.chunk, across.chunk];
        const { data, stride } = await this.#chunk(place);
        if (!ArrayBuffer.isView(data)) throw this.#owner.corrupt("holds text, not numbers");
        const numbers = data as NumberArray;
        const [rowStride = 1, columnStride = 1] = stride;
        const count = across.end - across.first;
        let from = (span.first - span.start) * rowStride + (across.first - across.start) * columnStride;
        // Rows end to end, in the chunk as in the result.
        const dense = count === rowStride && count === rowLength;
        const block = dense ? numbers.subarray(from, from + (span.end - span.first) * count) : numbers;
        if (dense && columns !== undefined && span.end - span.first === end - first) return block;
        result ??= sameType(numbers, (end - first) * rowLength);
        let to = (span.first - first) * rowLength + across.first - wanted.first;
        if (dense) {
          result.set(block as never, to);
          continue;
        }
        for (let row = span.first; row < span.end; row++, from += rowStride, to += rowLength) {
          if (columnStride === 1) result.set(numbers.subarray(from, from + count) as never, to);
          else for (let i = 0; i < count; i++) result[to + i] = numbers[from + i * columnStride] ?? 0;
        }
      }
    }
    return result ?? noneOf(this.#array.dtype);
  }

  async strings(first: number, end: number): Promise<string[]> {
    const result: string[] = [];
    this.#checkRange(first, end);
    for (const span of spansByChunk({ first, end }, this.chunkShape[0])) {
      const { data } = await this.#chunk([span.chunk]);
      if (ArrayBuffer.isView(data)) throw this.#owner.corrupt("holds numbers, not text");
      for (let i = span.first; i < span.end; i++)
        result.push((data as readonly string[])[i - span.start] ?? "");
    }
    return result;
  }

  async checkClaim(): Promise<void> {
    const bytes = elementBytes(this.#array.dtype) ?? 4;
    const claimed = this.shape.reduce((product, extent) => product * extent, bytes);
    if (claimed <= SLACK_BYTES) return;
    const stored = await this.#owner.storedBytes();
    if (claimed <= stored * MAX_COMPRESSION + SLACK_BYTES) return;
    throw this.#owner.corrupt(`claims ${claimed} bytes, which its ${stored} bytes cannot hold`);
  }

  /** The chunk at these numbers of chunks, decoded or kept. */
  async #chunk(place: number[]): Promise<ZarrChunk> {
    const { cache } = this.#owner;
    const key = `${this.path}:${place.join(",")}`;
    const kept = cache.get(key);
    if (kept !== undefined) return kept;
    const decoded = this.#decode(place);
    const bytes = this.chunkShape.reduce((product, extent) => product * extent, this.elementBytes);
    // The newest is kept, however large: neighbouring rows are in the same chunk.
    cache.set(key, decoded, { size: Math.min(bytes, CACHE_BYTES) });
    try {
      return await decoded;
    } catch (error) {
      if (cache.peek(key) === decoded) cache.delete(key);
      throw error;
    }
  }

  async #decode(place: number[]): Promise<ZarrChunk> {
    try {
      const { data, stride } = await this.#array.getChunk(place);
      const values = chunkValues(data);
      const wanted = this.chunkShape.reduce((product, extent) => product * extent, 1);
      if (values.length === wanted) return { data: values, stride };
      throw this.#owner.corrupt(`chunk ${place.join(",")} has ${values.length} of ${wanted} elements`);
    } catch (error) {
      throw this.#owner.failure(error);
    }
  }

  #checkRange(first: number, end: number): void {
    const rows = this.shape[0] ?? 0;
    if (first >= 0 && first <= end && end <= rows) return;
    throw this.#owner.corrupt(`has ${rows} elements, ${first} to ${end} were needed`);
  }
}

/** The parts of a span that are in one chunk each: its number, where that starts, and what of it is in the span. */
function* spansByChunk(
  { first, end }: RowSpan,
  size = 1,
): Generator<{ chunk: number; start: number; first: number; end: number }> {
  for (let at = first; at < end; ) {
    const chunk = Math.floor(at / size);
    const start = chunk * size;
    const stop = Math.min(end, start + size);
    yield { chunk, start, first: at, end: stop };
    at = stop;
  }
}

function kindOf(dataType: string): ElementKind {
  if (dataType === "bool") return "boolean";
  if (dataType.startsWith("float")) return "float";
  if (/^u?int/.test(dataType)) return "integer";
  return "string";
}

/** No numbers of a type. */
function noneOf(dataType: string): NumberArray {
  const Numbers = NUMBERS[dataType as keyof typeof NUMBERS] ?? Float64Array;
  return new Numbers(0);
}

const NUMBERS = {
  bool: Uint8Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  float32: Float32Array,
} as const;

/** The values of a chunk as zarrita gives them: typed arrays, its own arrays of booleans and fixed-width text, or a list. */
function chunkValues(data: unknown): NumberArray | readonly string[] {
  if (ArrayBuffer.isView(data)) return data as unknown as NumberArray;
  const values = Array.from(data as Iterable<unknown>);
  if (typeof values[0] === "boolean") return Uint8Array.from(values, (value) => (value === true ? 1 : 0));
  return values.map((value) => (value === null || value === undefined ? "" : String(value)));
}
