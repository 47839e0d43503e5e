import { DdscError } from "../../base/errors.js";
import { isTurnOver, takeTurn } from "../../base/turns.js";
import { type Hierarchy, lengthOf, type StoredArray } from "../hierarchy.js";
import { CompactRowsWriter } from "../sources/compact_rows.js";
import { lengthsOfRows, positionsByRow, type RawRows, rowRuns } from "../sources/count_matrix.js";
import { type NumberArray, toFloat32, toFloat64 } from "../sources/number_array.js";
import { fixedParts } from "../sources/parts.js";
import { checkNumbers, MAX_EXTENT, type MatrixShape, type StoredMatrix } from "./matrix.js";

/** Rows this near to each other are read together with those between them. */
const ROW_GAP = 8;
/** Most stored entries read at once. */
const ENTRIES_AT_ONCE = 1 << 18;
/** A part that follows chunks has at least so many rows, however many chunks they are in, and at most so many, in however few. */
const LEAST_PART = 64;
const MOST_PART = 4096;

/** Some neighbouring entries; `at` is the place of the first. */
interface Entries {
  readonly at: number;
  readonly indices: Int32Array;
  readonly values: Float32Array;
}

/** Bounds that are looked at between two looks at the clock. */
const BOUNDS_A_LOOK = 1 << 13;

/** Bounds of each row or column, [major + 1]. Throws `DATA_CORRUPT` where they fall or are no whole numbers. */
async function readBounds(file: Hierarchy, indptr: StoredArray, major: number): Promise<Float64Array> {
  const stored = await indptr.numbers(0, major + 1);
  await takeTurn();
  const bounds = toFloat64(stored);
  for (let first = 0; first < major; first += BOUNDS_A_LOOK) {
    if (isTurnOver()) await takeTurn();
    const bad = firstFall(bounds, first, Math.min(first + BOUNDS_A_LOOK, major));
    if (bad >= 0)
      throw file.corrupt(indptr.path, `falls from ${bounds[bad]} to ${bounds[bad + 1]} at ${bad}`);
  }
  return bounds;
}

/** The first place from `first` up to `end` after which a bound is below the one there, or no whole number; -1 if none. */
function firstFall(bounds: Float64Array, first: number, end: number): number {
  for (let i = first; i < end; i++) {
    const low = bounds[i] as number;
    const high = bounds[i + 1] as number;
    if (!(low >= 0 && low <= high && Number.isSafeInteger(high))) return i;
  }
  return -1;
}

/** A group of `data`, `indices` and `indptr`, checked against each other. */
class CompressedGroup {
  /** Bounds of each row (csr) or column (csc) among the entries, [major + 1]. */
  readonly bounds: Float64Array;
  /** Entries of a chunk; undefined where any are read by themselves. */
  readonly chunk: number | undefined;
  /** Entries that are decoded together again for each read of some of them; 1 where they are kept. */
  readonly decodedAtOnce: number;
  readonly #file: Hierarchy;
  readonly #data: StoredArray;
  readonly #indices: StoredArray;
  readonly #minor: number;

  private constructor(
    file: Hierarchy,
    { data, indices }: { readonly data: StoredArray; readonly indices: StoredArray },
    bounds: Float64Array,
    minor: number,
  ) {
    this.#file = file;
    this.#data = data;
    this.#indices = indices;
    this.bounds = bounds;
    this.chunk = file.keepsChunks ? data.chunkShape?.[0] : undefined;
    this.decodedAtOnce = file.keepsChunks ? 1 : (data.chunkShape?.[0] ?? 1);
    this.#minor = minor;
  }

  /** Opens the group at `path` of `major` compressed rows or columns with indices below `minor`. */
  static async open(file: Hierarchy, path: string, major: number, minor: number): Promise<CompressedGroup> {
    const data = await file.array(`${path}/data`);
    const indices = await file.array(`${path}/indices`);
    checkNumbers(file, data);
    checkNumbers(file, indices);
    const stored = lengthOf(file, data);
    if (lengthOf(file, indices) !== stored)
      throw file.corrupt(path, `has ${stored} values but ${indices.shape[0]} indices`);
    const indptr = await file.array(`${path}/indptr`);
    if (lengthOf(file, indptr) !== major + 1) {
      throw new DdscError(
        "DATA_SHAPE",
        `${file.path}: ${indptr.path} has ${indptr.shape[0]} entries but its shape asks for ${major + 1}; write the file again`,
        { file: file.path },
      );
    }
    await indptr.checkClaim();
    const bounds = await readBounds(file, indptr, major);
    if (bounds[0] !== 0 || bounds[major] !== stored) {
      const ends = `runs from ${bounds[0]} to ${bounds[major]}`;
      throw file.corrupt(indptr.path, `${ends} but there are ${stored} stored values`);
    }
    return new CompressedGroup(file, { data, indices }, bounds, minor);
  }

  /** Entries [start, end), in pieces; their indices are checked. */
  async *pieces(start: number, end: number, signal?: AbortSignal): AsyncGenerator<Entries, void, undefined> {
    for (let at = start; at < end; at += ENTRIES_AT_ONCE) {
      signal?.throwIfAborted();
      const stop = Math.min(at + ENTRIES_AT_ONCE, end);
      const stored = await this.#indices.numbers(at, stop);
      await takeTurn(signal);
      const indices = this.#checkedIndices(stored, at);
      yield { at, indices, values: toFloat32(await this.#data.numbers(at, stop)) };
    }
  }

  /** Apart from `pieces`: loops of asynchronous generators are not compiled as well. */
  #checkedIndices(found: NumberArray, at: number): Int32Array {
    const indices = new Int32Array(found.length);
    for (let i = 0; i < indices.length; i++) {
      const index = Number(found[i] ?? -1);
      if (!Number.isInteger(index) || index < 0 || index >= this.#minor) {
        throw this.#file.corrupt(
          this.#indices.path,
          `entry ${at + i} is ${index}, outside 0 to ${this.#minor - 1}`,
        );
      }
      indices[i] = index;
    }
    return indices;
  }
}

/** Compressed rows: those asked for are read, and those between them in small gaps or in the same chunk. */
export async function openRows(file: Hierarchy, path: string, shape: MatrixShape): Promise<StoredMatrix> {
  const group = await CompressedGroup.open(file, path, shape.rows, shape.columns);
  const partBounds =
    group.chunk === undefined ? fixedParts(shape.rows) : partsByChunk(group.bounds, group.chunk);
  return {
    ...shape,
    partBounds,
    read: (rows, signal) => readRows(file, group, rows, signal),
    storedCounts: (rows) => lengthsOfRows(group.bounds, rows),
  };
}

async function readRows(
  file: Hierarchy,
  group: CompressedGroup,
  rows: Int32Array,
  signal: AbortSignal | undefined,
): Promise<RawRows> {
  const { bounds, decodedAtOnce } = group;
  const chunkOf = (entry: number): number => Math.floor(entry / decodedAtOnce);
  // Rows far apart in a chunk, as those of one of many ranks are, must not have it decoded once each.
  const inOneChunk = (end: number, row: number): boolean => chunkOf(lower(end) - 1) === chunkOf(lower(row));
  const lower = (row: number): number => bounds[row] ?? 0;
  const offsets = new Int32Array(rows.length + 1);
  let total = 0;
  for (const [i, row] of rows.entries()) {
    total += lower(row + 1) - lower(row);
    if (total > MAX_EXTENT) {
      const text = `${file.path}: the rows asked for hold more than 2^31 counts; read fewer at a time`;
      throw new DdscError("DATA_TOO_LARGE", text, { file: file.path });
    }
    offsets[i + 1] = total;
  }
  const columns = new Int32Array(total);
  const values = new Float32Array(total);
  const positions = positionsByRow(rows);
  let next = 0;
  for (const run of rowRuns(rows, ROW_GAP, Number.POSITIVE_INFINITY, inOneChunk)) {
    const firstPosition = next;
    while (next < positions.length && (rows[positions[next] ?? 0] ?? 0) < run.end) next++;
    for await (const piece of group.pieces(lower(run.first), lower(run.end), signal)) {
      const { at } = piece;
      for (let p = firstPosition; p < next; p++) {
        const position = positions[p] ?? 0;
        const row = rows[position] ?? 0;
        const start = Math.max(lower(row), at);
        const end = Math.min(lower(row + 1), at + piece.values.length);
        if (start >= end) continue;
        const target = (offsets[position] ?? 0) + start - lower(row);
        columns.set(piece.indices.subarray(start - at, end - at), target);
        values.set(piece.values.subarray(start - at, end - at), target);
      }
    }
  }
  return { offsets, columns, values };
}

/** Bounds of rows whose entries are in the same chunk, as far as the parts keep to their sizes. */
function partsByChunk(bounds: Float64Array, chunk: number): Float64Array {
  const rows = bounds.length - 1;
  const parts = [0];
  for (let row = 1; row < rows; row++) {
    const first = parts.at(-1) ?? 0;
    const sameChunk = Math.floor((bounds[row] ?? 0) / chunk) === Math.floor((bounds[first] ?? 0) / chunk);
    if (row - first >= (sameChunk ? MOST_PART : LEAST_PART)) parts.push(row);
  }
  if (rows > 0) parts.push(rows);
  return Float64Array.from(parts);
}

/**
 * Compressed columns, turned over once into compressed rows: in memory up to `memoryEntries`, beyond that in a temporary file.
 */
export async function openColumns(
  file: Hierarchy,
  path: string,
  shape: MatrixShape,
  memoryEntries?: number,
): Promise<StoredMatrix> {
  const group = await CompressedGroup.open(file, path, shape.columns, shape.rows);
  const { bounds } = group;
  const writer = new CompactRowsWriter(memoryEntries);
  try {
    let column = 0;
    for await (const { at, indices, values } of group.pieces(0, bounds[shape.columns] ?? 0)) {
      const columns = new Int32Array(indices.length);
      for (let i = 0; i < columns.length; i++) {
        while (at + i >= (bounds[column + 1] ?? Number.POSITIVE_INFINITY)) column++;
        columns[i] = column;
      }
      await writer.add({ rows: indices, columns, values, count: columns.length });
    }
    const compact = await writer.finish(shape.rows);
    return {
      ...shape,
      partBounds: fixedParts(shape.rows),
      compact,
      read: (rows) => compact.read(rows),
      storedCounts: (rows) => compact.storedCounts(rows),
    };
  } catch (error) {
    writer[Symbol.dispose]();
    throw error;
  }
}
