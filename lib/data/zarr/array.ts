import type { DataType, Readable, Array as StoredArray } from "zarrita";
import type { ElementKind, NumberArray } from "../hdf5/types.js";
import { positionsByRow, rowRuns } from "../sources/count_matrix.js";
import type { ChunkCache } from "./chunks.js";
import { elementBytes } from "./codecs.js";
import type { ZarrFile } from "./file.js";

/** What text is taken to need in memory. */
const TEXT_BYTES = 64;
/** Elements this near to each other are read together. */
const GAP = 1 << 10;
/** A compressor hardly shrinks numbers that differ more than this; an array that claims more is not backed by its chunks. */
const MAX_COMPRESSION = 1032;
const SLACK_BYTES = 1 << 24;

/** A chunk: numbers (booleans as 0 and 1) or text, with the distance between neighbours along each axis. */
export interface ZarrChunk {
  readonly data: NumberArray | readonly string[];
  readonly stride: readonly number[];
}

/** An array of a hierarchy. */
export class ZarrArray {
  readonly shape: readonly number[];
  /** Shape of the chunks that are decoded one by one (of those within shards). */
  readonly chunkShape: readonly number[];
  readonly kind: ElementKind;
  readonly #file: ZarrFile;
  readonly #path: string;
  readonly #array: StoredArray<DataType, Readable>;
  readonly #cache: ChunkCache;
  readonly #chunkBytes: number;

  constructor(file: ZarrFile, path: string, array: StoredArray<DataType, Readable>, cache: ChunkCache) {
    this.#file = file;
    this.#path = path;
    this.#array = array;
    this.#cache = cache;
    this.shape = array.shape;
    this.chunkShape = array.chunks;
    this.kind = kindOf(array.dtype);
    const elements = array.chunks.reduce((product, extent) => product * extent, 1);
    this.#chunkBytes = elements * (this.kind === "string" ? TEXT_BYTES : (elementBytes(array.dtype) ?? 1));
  }

  /** Elements of an array that must have one dimension. Throws `DATA_CORRUPT` if it has others. */
  get length(): number {
    const [length, ...others] = this.shape;
    if (length === undefined || others.length > 0) {
      throw this.#file.corrupt(this.#path, `has ${this.shape.length} dimensions instead of one`);
    }
    return length;
  }

  /** The chunk at these numbers of chunks. Throws `DATA_CORRUPT`, and the errors of the store. */
  chunk(coordinates: readonly number[]): Promise<ZarrChunk> {
    return this.#cache.get(`${this.#path}:${coordinates.join(",")}`, this.#chunkBytes, async () => {
      try {
        const { data, stride } = await this.#array.getChunk([...coordinates]);
        const values = chunkValues(data);
        const wanted = this.chunkShape.reduce((product, extent) => product * extent, 1);
        if (values.length === wanted) return { data: values, stride };
        throw this.#file.corrupt(
          this.#path,
          `chunk ${coordinates.join(",")} has ${values.length} of ${wanted} elements`,
        );
      } catch (error) {
        throw this.#file.failure(this.#path, error);
      }
    });
  }

  /** Elements [start, end) of a one-dimensional array of numbers or booleans. The caller bounds their number. */
  async numbers(start: number, end: number): Promise<NumberArray> {
    let result: NumberArray | undefined;
    await this.#pieces(start, end, (data, at) => {
      if (!ArrayBuffer.isView(data)) throw this.#file.corrupt(this.#path, "holds text, not numbers");
      const numbers = data as NumberArray;
      result ??= sameKind(numbers, end - start);
      result.set(numbers as never, at - start);
    });
    return result ?? new Float64Array(0);
  }

  /** Elements [start, end) of a one-dimensional array of text. The caller bounds their number. */
  async strings(start: number, end: number): Promise<string[]> {
    const result: string[] = [];
    await this.#pieces(start, end, (data) => {
      if (ArrayBuffer.isView(data)) throw this.#file.corrupt(this.#path, "holds numbers, not text");
      for (const text of data as readonly string[]) result.push(text);
    });
    return result;
  }

  /** Numbers at some places of a one-dimensional array, in the order given. */
  async numbersAt(rows: Int32Array): Promise<NumberArray> {
    let result: NumberArray | undefined;
    await this.#runs(rows, async (first, end, place) => {
      const found = await this.numbers(first, end);
      result ??= sameKind(found, rows.length);
      for (const [position, at] of place) result[position] = found[at] ?? 0;
    });
    return result ?? new Float64Array(0);
  }

  /** Texts at some places of a one-dimensional array, in the order given. */
  async stringsAt(rows: Int32Array): Promise<string[]> {
    const result = new Array<string>(rows.length).fill("");
    await this.#runs(rows, async (first, end, place) => {
      const found = await this.strings(first, end);
      for (const [position, at] of place) result[position] = found[at] ?? "";
    });
    return result;
  }

  /** Throws `DATA_CORRUPT` if the array's chunks cannot hold what its shape claims. */
  async checkClaim(): Promise<void> {
    const claimed = this.shape.reduce(
      (product, extent) => product * extent,
      elementBytes(this.#array.dtype) ?? 4,
    );
    if (claimed <= SLACK_BYTES) return;
    const stored = await this.#file.storedBytes(this.#path);
    if (claimed <= stored * MAX_COMPRESSION + SLACK_BYTES) return;
    throw this.#file.corrupt(this.#path, `claims ${claimed} bytes, which its ${stored} bytes cannot hold`);
  }

  /** Calls `use` with the part of each chunk that holds elements of [start, end), and where that starts. */
  async #pieces(
    start: number,
    end: number,
    use: (data: ZarrChunk["data"], at: number) => void,
  ): Promise<void> {
    const size = this.chunkShape[0] ?? 1;
    if (start < 0 || end > this.length) {
      throw this.#file.corrupt(this.#path, `has ${this.length} elements, ${start} to ${end} were needed`);
    }
    for (let at = start; at < end; ) {
      const index = Math.floor(at / size);
      const stop = Math.min(end, (index + 1) * size);
      const { data } = await this.chunk([index]);
      const [from, to] = [at - index * size, stop - index * size];
      use(ArrayBuffer.isView(data) ? (data as NumberArray).subarray(from, to) : data.slice(from, to), at);
      at = stop;
    }
  }

  /** Calls `use` for runs of neighbouring rows, with each row's place in `rows` and in the run. */
  async #runs(
    rows: Int32Array,
    use: (first: number, end: number, place: readonly (readonly [number, number])[]) => Promise<void>,
  ): Promise<void> {
    const positions = positionsByRow(rows);
    let next = 0;
    for (const { first, end } of rowRuns(rows, GAP, Math.max(GAP, this.chunkShape[0] ?? 1))) {
      const place: [number, number][] = [];
      for (; next < positions.length && (rows[positions[next] ?? 0] ?? 0) < end; next++) {
        const position = positions[next] ?? 0;
        place.push([position, (rows[position] ?? 0) - first]);
      }
      await use(first, end, place);
    }
  }
}

function kindOf(dataType: string): ElementKind {
  if (dataType === "bool") return "boolean";
  if (dataType.startsWith("float")) return "float";
  if (/^u?int/.test(dataType)) return "integer";
  return "string";
}

/** An empty array of numbers of the same type. */
function sameKind(values: NumberArray, length: number): NumberArray {
  const Values = values.constructor as unknown as new (length: number) => NumberArray;
  return new Values(length);
}

/** The values of a chunk as zarrita gives them: typed arrays, its own arrays of booleans and fixed-width text, or a list. */
function chunkValues(data: unknown): NumberArray | readonly string[] {
  if (ArrayBuffer.isView(data)) return data as unknown as NumberArray;
  const values = Array.from(data as Iterable<unknown>);
  if (typeof values[0] === "boolean") return Uint8Array.from(values, (value) => (value === true ? 1 : 0));
  return values.map((value) => (value === null || value === undefined ? "" : String(value)));
}
