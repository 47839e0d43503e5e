import { DdscError } from "../../base/errors.js";
import { type NumberArray, toFloat64 } from "../hdf5/types.js";
import { type CompactRows, CompactRowsWriter } from "../sources/compact_rows.js";
import { positionsByRow, type RawRows, rowRuns } from "../sources/count_matrix.js";
import type { RowReader } from "../sources/file_source.js";
import { fixedParts } from "../sources/parts.js";
import type { ZarrArray } from "../zarr/array.js";
import type { ZarrFile } from "../zarr/file.js";

const MAX_EXTENT = 0x7fff_ffff;
/** Rows this near to each other are read together with those between them. */
const ROW_GAP = 8;
/** Most entries read at once. */
const ENTRIES_AT_ONCE = 1 << 20;
/** A part has at least so many rows, however many chunks they are in, and at most so many, in however few. */
const LEAST_PART = 64;
const MOST_PART = 4096;

/** A matrix of a hierarchy: cells by genes. */
export interface ZarrMatrix extends RowReader {
  readonly rows: number;
  readonly columns: number;
  /** See `CellSource.partBounds`. */
  readonly partBounds: Float64Array;
  /** Set where the matrix had to be turned over. */
  readonly compact?: CompactRows;
}

/**
 * Opens the matrix at `path`: compressed rows or a dense array, read by their chunks, or compressed columns, which are
 * turned over once (see `CompactRowsWriter`). Throws `DATA_CORRUPT`, `DATA_SHAPE`, `DATA_TYPE`, `DATA_FORMAT` for other
 * encodings, `DATA_TOO_LARGE`.
 */
export async function openMatrix(file: ZarrFile, path: string): Promise<ZarrMatrix> {
  if ((await file.kind(path)) === "array") return openDense(file, path);
  const attributes = await file.attributes(path);
  const encoding = attributes["encoding-type"] ?? attributes.h5sparse_format;
  const shape = checkedShape(file, path, attributes.shape ?? attributes.h5sparse_shape);
  if (encoding === "csr_matrix" || encoding === "csr") return CsrReader.open(file, path, shape);
  if (encoding === "csc_matrix" || encoding === "csc") return openColumns(file, path, shape);
  throw new DdscError(
    "DATA_FORMAT",
    `${file.path}: ${path} is encoded as "${String(encoding)}"; write it as csr_matrix, csc_matrix or a dense array`,
    { file: file.path },
  );
}

function checkedShape(file: ZarrFile, path: string, shape: unknown): [number, number] {
  const [rows, columns, ...others]: unknown[] = Array.isArray(shape) ? shape : [];
  const good = (extent: unknown): extent is number => Number.isInteger(extent) && Number(extent) >= 0;
  if (!good(rows) || !good(columns) || others.length > 0)
    throw file.corrupt(path, "has no shape of cells by genes");
  if (rows <= MAX_EXTENT && columns <= MAX_EXTENT) return [rows, columns];
  throw new DdscError(
    "DATA_TOO_LARGE",
    `${file.path}: ${path} claims shape [${rows}, ${columns}]; at most 2^31 - 1 cells and genes are supported`,
    { file: file.path },
  );
}

function checkNumbers(file: ZarrFile, path: string, array: ZarrArray): void {
  if (array.kind !== "string") return;
  throw new DdscError(
    "DATA_TYPE",
    `${file.path}: ${path} does not hold numbers; choose another matrix with --layer`,
    {
      file: file.path,
    },
  );
}

/** The entries of a compressed group, checked. */
class Entries {
  /** Bounds of each row (csr) or column (csc), [major + 1]. */
  readonly bounds: Float64Array;
  /** Entries of a chunk. */
  readonly chunk: number;
  readonly #file: ZarrFile;
  readonly #path: string;
  readonly #data: ZarrArray;
  readonly #indices: ZarrArray;
  readonly #minor: number;

  private constructor(
    file: ZarrFile,
    path: string,
    arrays: { readonly data: ZarrArray; readonly indices: ZarrArray; readonly bounds: Float64Array },
    minor: number,
  ) {
    this.#file = file;
    this.#path = path;
    this.#data = arrays.data;
    this.#indices = arrays.indices;
    this.bounds = arrays.bounds;
    this.chunk = Math.max(1, arrays.data.chunkShape[0] ?? 1);
    this.#minor = minor;
  }

  static async open(file: ZarrFile, path: string, major: number, minor: number): Promise<Entries> {
    const [data, indices, indptr] = await Promise.all(
      ["data", "indices", "indptr"].map((name) => file.array(`${path}/${name}`)),
    );
    if (data === undefined || indices === undefined || indptr === undefined)
      throw file.corrupt(path, "is incomplete");
    checkNumbers(file, `${path}/data`, data);
    const stored = data.length;
    if (indices.length !== stored) {
      throw file.corrupt(path, `has ${stored} values but ${indices.length} indices`);
    }
    if (indptr.length !== major + 1) {
      throw new DdscError(
        "DATA_SHAPE",
        `${file.path}: ${path}/indptr has ${indptr.length} entries but its shape asks for ${major + 1}; write it again`,
        { file: file.path },
      );
    }
    await indptr.checkClaim();
    const bounds = toFloat64(await indptr.numbers(0, major + 1));
    for (let i = 0; i < major; i++) {
      if ((bounds[i] ?? 0) > (bounds[i + 1] ?? 0)) {
        throw file.corrupt(`${path}/indptr`, `falls from ${bounds[i]} to ${bounds[i + 1]} at ${i}`);
      }
    }
    if (bounds[0] !== 0 || bounds[major] !== stored || bounds.some((bound) => !Number.isSafeInteger(bound))) {
      const ends = `runs from ${bounds[0]} to ${bounds[major]}`;
      throw file.corrupt(`${path}/indptr`, `${ends} but there are ${stored} stored values`);
    }
    return new Entries(file, path, { data, indices, bounds }, minor);
  }

  /** Entries [start, end); the caller bounds their number. Indices are checked. */
  async read(start: number, end: number): Promise<{ indices: Int32Array; values: Float32Array }> {
    const found = await this.#indices.numbers(start, end);
    const indices = new Int32Array(end - start);
    for (let i = 0; i < indices.length; i++) {
      const index = Number(found[i] ?? -1);
      if (!Number.isInteger(index) || index < 0 || index >= this.#minor) {
        throw this.#file.corrupt(
          `${this.#path}/indices`,
          `entry ${start + i} is ${index}, outside 0 to ${this.#minor - 1}`,
        );
      }
      indices[i] = index;
    }
    return { indices, values: float32(await this.#data.numbers(start, end)) };
  }
}

function float32(values: NumberArray): Float32Array {
  return values instanceof Float32Array ? values : Float32Array.from(toFloat64(values));
}

/** Compressed rows: the chunks of the rows asked for are decoded, and no others. */
class CsrReader implements ZarrMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly partBounds: Float64Array;
  readonly #file: ZarrFile;
  readonly #entries: Entries;

  private constructor(file: ZarrFile, entries: Entries, [rows, columns]: readonly [number, number]) {
    this.#file = file;
    this.rows = rows;
    this.columns = columns;
    this.#entries = entries;
    this.partBounds = partsByChunk(entries.bounds, entries.chunk);
  }

  static async open(file: ZarrFile, path: string, shape: readonly [number, number]): Promise<CsrReader> {
    return new CsrReader(file, await Entries.open(file, path, shape[0], shape[1]), shape);
  }

  async read(rows: Int32Array, signal?: AbortSignal): Promise<RawRows> {
    const { bounds } = this.#entries;
    const offsets = new Int32Array(rows.length + 1);
    let total = 0;
    for (const [i, row] of rows.entries()) {
      total += (bounds[row + 1] ?? 0) - (bounds[row] ?? 0);
      if (total > MAX_EXTENT) {
        const text = `${this.#file.path}: the rows asked for hold more than 2^31 counts; read fewer at a time`;
        throw new DdscError("DATA_TOO_LARGE", text, { file: this.#file.path });
      }
      offsets[i + 1] = total;
    }
    const columns = new Int32Array(total);
    const values = new Float32Array(total);
    const positions = positionsByRow(rows);
    let next = 0;
    for (const run of rowRuns(rows, ROW_GAP, Number.POSITIVE_INFINITY)) {
      const firstPosition = next;
      while (next < positions.length && (rows[positions[next] ?? 0] ?? 0) < run.end) next++;
      const runEnd = bounds[run.end] ?? 0;
      for (let at = bounds[run.first] ?? 0; at < runEnd; at += ENTRIES_AT_ONCE) {
        signal?.throwIfAborted();
        const pieceEnd = Math.min(at + ENTRIES_AT_ONCE, runEnd);
        const piece = await this.#entries.read(at, pieceEnd);
        for (let p = firstPosition; p < next; p++) {
          const position = positions[p] ?? 0;
          const row = rows[position] ?? 0;
          const start = Math.max(bounds[row] ?? 0, at);
          const end = Math.min(bounds[row + 1] ?? 0, pieceEnd);
          if (start >= end) continue;
          const target = (offsets[position] ?? 0) + start - (bounds[row] ?? 0);
          columns.set(piece.indices.subarray(start - at, end - at), target);
          values.set(piece.values.subarray(start - at, end - at), target);
        }
      }
    }
    return { offsets, columns, values };
  }
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

async function openColumns(
  file: ZarrFile,
  path: string,
  [rows, columns]: [number, number],
): Promise<ZarrMatrix> {
  const entries = await Entries.open(file, path, columns, rows);
  const { bounds } = entries;
  const total = bounds[columns] ?? 0;
  const writer = new CompactRowsWriter();
  try {
    let column = 0;
    for (let at = 0; at < total; at += ENTRIES_AT_ONCE) {
      const { indices, values } = await entries.read(at, Math.min(at + ENTRIES_AT_ONCE, total));
      const ofColumn = new Int32Array(indices.length);
      for (let i = 0; i < indices.length; i++) {
        while (at + i >= (bounds[column + 1] ?? Number.POSITIVE_INFINITY)) column++;
        ofColumn[i] = column;
      }
      await writer.add({ rows: indices, columns: ofColumn, values, count: indices.length });
    }
    const compact = await writer.finish(rows);
    return { rows, columns, compact, partBounds: fixedParts(rows), read: (wanted) => compact.read(wanted) };
  } catch (error) {
    writer[Symbol.dispose]();
    throw error;
  }
}

async function openDense(file: ZarrFile, path: string): Promise<ZarrMatrix> {
  const array = await file.array(path);
  checkNumbers(file, path, array);
  const [rows, columns] = checkedShape(file, path, array.shape);
  const chunkRows = array.chunkShape[0] ?? 1;
  const partRows = chunkRows >= LEAST_PART ? chunkRows : chunkRows * Math.ceil(LEAST_PART / chunkRows);
  return {
    rows,
    columns,
    partBounds: fixedParts(rows, partRows),
    read: (wanted, signal) => readDense(array, wanted, signal),
  };
}

/** Rows of a dense array without zeros, chunk by chunk. */
async function readDense(
  array: ZarrArray,
  rows: Int32Array,
  signal: AbortSignal | undefined,
): Promise<RawRows> {
  const [chunkRows = 1, chunkColumns = 1] = array.chunkShape;
  const columnCount = array.shape[1] ?? 0;
  const found = Array.from(rows, () => ({ columns: [] as number[], values: [] as number[] }));
  const positions = positionsByRow(rows);
  for (let next = 0; next < positions.length; ) {
    const chunkRow = Math.floor((rows[positions[next] ?? 0] ?? 0) / chunkRows);
    const firstPosition = next;
    while (next < positions.length && (rows[positions[next] ?? 0] ?? 0) < (chunkRow + 1) * chunkRows) next++;
    for (let first = 0; first < columnCount; first += chunkColumns) {
      signal?.throwIfAborted();
      const { data, stride } = await array.chunk([chunkRow, first / chunkColumns]);
      const [rowStride = 1, columnStride = 1] = stride;
      const width = Math.min(chunkColumns, columnCount - first);
      for (let p = firstPosition; p < next; p++) {
        const position = positions[p] ?? 0;
        const start = ((rows[position] ?? 0) - chunkRow * chunkRows) * rowStride;
        for (let column = 0; column < width; column++) {
          const value = Number(data[start + column * columnStride]);
          if (value === 0) continue;
          found[position]?.columns.push(first + column);
          found[position]?.values.push(value);
        }
      }
    }
  }
  const offsets = new Int32Array(rows.length + 1);
  for (const [i, { values }] of found.entries()) offsets[i + 1] = (offsets[i] ?? 0) + values.length;
  const columns = new Int32Array(offsets[rows.length] ?? 0);
  const values = new Float32Array(columns.length);
  for (const [i, row] of found.entries()) {
    columns.set(row.columns, offsets[i]);
    values.set(row.values, offsets[i]);
  }
  return { offsets, columns, values };
}
