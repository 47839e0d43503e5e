import { DdscError } from "../../base/errors.js";
import type { HierarchyWriter, StreamedArray } from "../hierarchy_writer.js";
import { ARRAY, COMPRESSED_ROWS } from "./encodings.js";
import { shapeError } from "./write_checks.js";

/** A matrix of a streamed AnnData file. */
export type StreamedMatrix =
  | {
      /** Compressed sparse rows, cells x genes. */
      readonly kind: "csr";
      readonly type: "float32" | "int32";
    }
  | {
      readonly kind: "dense";
      readonly type: StreamedType;
      /** Number of columns; default: the number of genes, which X and layers must have. */
      readonly width?: number;
    };

/** Types of a streamed dense matrix. */
export type StreamedType = "float32" | "int32" | "uint8";

/** Rows of a sparse matrix, some cells at a time. */
export interface SparseRows {
  /** Bounds of each row, [cells + 1]; starts at 0. */
  readonly offsets: Int32Array;
  /** Column of each value, ascending within a row. */
  readonly columns: Int32Array;
  readonly values: Float32Array | Int32Array;
}

/** Rows of a matrix as they are given. */
export type RowsGiven = SparseRows | Float32Array | Int32Array | Uint8Array;

/** Where a matrix goes and what it is called in messages. */
export interface MatrixPlace {
  /** The file or store, for messages. */
  readonly file: string;
  /** The matrix by its path: "layers/rank". */
  readonly name: string;
  readonly cells: number;
  readonly width: number;
}

/** A matrix that is being written. */
export interface MatrixStream {
  readonly place: MatrixPlace;
  /** Appends rows; returns of how many cells, undefined where a matrix without columns does not tell. Throws `DATA_SHAPE`, `ARGUMENT_TYPE`. */
  append(rows: RowsGiven): Promise<number | undefined>;
  finish(): Promise<void>;
}

const ARRAYS = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array } as const;

/** The type of the indices and bounds of a sparse matrix: SciPy wants one for both, and how many values there are is known only in the end. */
export function indexTypeOf(cells: number, width: number): "int32" | "int64" {
  return cells * width > 0x7fff_ffff ? "int64" : "int32";
}

/** Begins a matrix of so many cells and columns. */
export async function openMatrixStream(
  writer: HierarchyWriter,
  place: MatrixPlace,
  matrix: StreamedMatrix,
): Promise<MatrixStream> {
  if (matrix.kind === "dense") return new DenseStream(writer, place, matrix.type);
  const shape = [place.cells, place.width];
  await writer.group(`/${place.name}`, { ...COMPRESSED_ROWS, shape });
  return new CompressedStream(writer, place, matrix.type);
}

class DenseStream implements MatrixStream {
  readonly place: MatrixPlace;
  readonly #type: StreamedType;
  readonly #stream: StreamedArray;
  #received = 0;

  constructor(writer: HierarchyWriter, place: MatrixPlace, type: StreamedType) {
    this.place = place;
    this.#type = type;
    this.#stream = writer.streamDataset(`/${place.name}`, type, [place.cells, place.width], ARRAY);
  }

  async append(rows: RowsGiven): Promise<number | undefined> {
    const { file, name, cells, width } = this.place;
    if (!(rows instanceof ARRAYS[this.#type])) throw wrongRows(this.place, `a ${ARRAYS[this.#type].name}`);
    this.#received += rows.length;
    if (this.#received > cells * width)
      throw shapeError(file, `matrix "${name}" has more than ${cells * width} values`);
    if (width > 0 && rows.length % width !== 0)
      throw shapeError(file, `matrix "${name}" has ${rows.length} values, no whole rows of ${width}`);
    await this.#stream.append(rows);
    return width === 0 ? undefined : rows.length / width;
  }

  finish(): Promise<void> {
    return this.#stream.finish();
  }
}

class CompressedStream implements MatrixStream {
  readonly place: MatrixPlace;
  readonly #type: "float32" | "int32";
  readonly #indexType: "int32" | "int64";
  readonly #data: StreamedArray;
  readonly #indices: StreamedArray;
  readonly #bounds: StreamedArray;
  /** Values of all rows so far. */
  #stored = 0;
  #written = 0;
  #begun = false;

  constructor(writer: HierarchyWriter, place: MatrixPlace, type: "float32" | "int32") {
    this.place = place;
    this.#type = type;
    this.#indexType = indexTypeOf(place.cells, place.width);
    const open = [Number.POSITIVE_INFINITY];
    this.#data = writer.streamDataset(`/${place.name}/data`, type, open, ARRAY);
    this.#indices = writer.streamDataset(`/${place.name}/indices`, this.#indexType, open, ARRAY);
    this.#bounds = writer.streamDataset(`/${place.name}/indptr`, this.#indexType, [place.cells + 1], ARRAY);
  }

  async append(rows: RowsGiven): Promise<number> {
    const { file, name, cells } = this.place;
    if (!isSparse(rows, this.#type)) {
      const expected = `offsets and columns (Int32Array) and values (${ARRAYS[this.#type].name})`;
      throw wrongRows(this.place, expected);
    }
    const { offsets, columns, values } = rows;
    const count = offsets.length - 1;
    if (this.#written + count > cells)
      throw shapeError(file, `matrix "${name}" has more than ${cells} cells`);
    checkRows(this.place, this.#written, rows);
    await this.#begin();
    const first = this.#stored;
    await this.#bounds.append(
      this.#typed(Float64Array.from(offsets.subarray(1), (offset) => first + offset)),
    );
    this.#stored += offsets[count] ?? 0;
    this.#written += count;
    await this.#data.append(values);
    await this.#indices.append(this.#typed(columns));
    return count;
  }

  async finish(): Promise<void> {
    await this.#data.finish();
    await this.#indices.finish();
    await this.#begin();
    await this.#bounds.finish();
  }

  /** The bound before the first row. */
  async #begin(): Promise<void> {
    if (this.#begun) return;
    this.#begun = true;
    await this.#bounds.append(this.#typed(Float64Array.of(0)));
  }

  #typed(numbers: Float64Array | Int32Array): Int32Array | BigInt64Array {
    if (this.#indexType === "int64") return BigInt64Array.from(numbers, BigInt);
    return numbers instanceof Int32Array ? numbers : Int32Array.from(numbers);
  }
}

/** Whether rows are sparse ones of this type, also where the caller has no types. */
function isSparse(rows: RowsGiven | null, type: "float32" | "int32"): rows is SparseRows {
  if (typeof rows !== "object" || rows === null || ArrayBuffer.isView(rows)) return false;
  const { offsets, columns, values } = rows;
  return offsets instanceof Int32Array && columns instanceof Int32Array && values instanceof ARRAYS[type];
}

/** Throws `DATA_SHAPE` for rows whose parts do not fit each other, or that another program could not read. */
function checkRows({ file, name, width }: MatrixPlace, before: number, rows: SparseRows): void {
  const { offsets, columns, values } = rows;
  const stored = offsets.at(-1);
  if (offsets[0] !== 0 || stored !== columns.length || stored !== values.length)
    throw shapeError(file, `matrix "${name}": offsets, columns and values do not fit each other`);
  for (let cell = 0; cell + 1 < offsets.length; cell++) {
    const [start, end] = [offsets[cell] ?? 0, offsets[cell + 1] ?? 0];
    let last = -1;
    for (let i = start; i < end; i++) {
      const column = columns[i] ?? -1;
      if (column <= last || column >= width) {
        const what = `row ${before + cell} has column ${column} after ${last}`;
        throw shapeError(file, `matrix "${name}": ${what}; columns ascend from 0 to ${width - 1}`);
      }
      last = column;
    }
    if (end < start) throw shapeError(file, `matrix "${name}": offsets fall from ${start} to ${end}`);
  }
}

function wrongRows({ file, name }: MatrixPlace, expected: string): DdscError {
  return new DdscError("ARGUMENT_TYPE", `${file}: expected ${expected} for rows of matrix "${name}"`, {
    file,
    argument: "rows",
  });
}
