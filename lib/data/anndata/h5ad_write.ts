import type { Frame } from "../sources/frame.js";
import { writeAnnDataAs } from "./write.js";
import { shapeError } from "./write_checks.js";
import type { RowsGiven, StreamedMatrix, StreamedType } from "./write_matrices.js";
import type { UnstructuredValue } from "./write_uns.js";

/** Values of a matrix cells x genes, held in memory. */
export type MatrixValues =
  | {
      readonly kind: "csr";
      /** Bounds of each row, [cells + 1]. */
      readonly offsets: Int32Array | Float64Array;
      /** Column of each value, ascending within a row. */
      readonly columns: Int32Array;
      readonly values: Float32Array | Int32Array;
    }
  | {
      readonly kind: "dense";
      /** Row by row, [cells * genes]. */
      readonly values: Float32Array | Int32Array | Uint8Array;
    };

/** What goes into an .h5ad file. */
export interface H5adContents {
  /** Table of cells; the index names them. That of `framesOf` is copied through as typed. */
  readonly obs: Frame;
  /** Table of genes. */
  readonly var: Frame;
  readonly X: MatrixValues;
  readonly layers?: Readonly<Record<string, MatrixValues>>;
  readonly uns?: Readonly<Record<string, UnstructuredValue>>;
}

/** Rows of the dense matrices of `writeH5adStreamed`, any number at a time, in order. */
export type MatrixRows = Readonly<Record<string, Float32Array | Int32Array | Uint8Array>>;

/** What `writeH5adStreamed` writes: tables at once, dense matrices as they are made. */
export interface H5adStream {
  readonly obs: Frame;
  readonly var: Frame;
  /** Type of each matrix by name; "X" is X, the others are layers. */
  readonly matrices: Readonly<Record<string, StreamedType>>;
  /** Rows of every matrix, cells in the order of `obs`. */
  readonly rows: AsyncIterable<MatrixRows> | Iterable<MatrixRows>;
  readonly uns?: Readonly<Record<string, UnstructuredValue>>;
}

/** Cells handed on at a time. */
const ROWS_AT_ONCE = 1024;

/**
 * Writes an .h5ad file of matrices that are held in memory; see `writeAnnData` for others, and for zarr. Throws `DATA_SHAPE` if
 * lengths disagree, `ARGUMENT_NAME` for a name that HDF5 cannot hold and `FILE_WRITE` if the file system refuses.
 */
export async function writeH5ad(path: string, contents: H5adContents): Promise<void> {
  const { obs, var: genes, X, layers = {}, uns = {} } = contents;
  const shape = [obs.index.length, genes.index.length] as const;
  const named = new Map([
    ["X", X],
    ...Object.entries(layers).map(([name, own]) => [pathOf(name), own] as const),
  ]);
  const matrices: Record<string, StreamedMatrix> = {};
  for (const [name, values] of named) {
    checkMatrix(path, name, values, shape);
    matrices[name] =
      values.kind === "csr"
        ? { kind: "csr", type: values.values instanceof Int32Array ? "int32" : "float32" }
        : { kind: "dense", type: denseType(values.values) };
  }
  await writeAnnDataAs("h5ad", path, { obs, var: genes, matrices, rows: slices(named, shape), uns });
}

/** As `writeH5ad`, for dense matrices too large to hold: memory stays at a few rows. */
export async function writeH5adStreamed(path: string, contents: H5adStream): Promise<void> {
  const { obs, var: genes, uns = {} } = contents;
  const matrices = Object.fromEntries(
    Object.entries(contents.matrices).map(([name, type]) => [pathOf(name), { kind: "dense", type } as const]),
  );
  await writeAnnDataAs("h5ad", path, { obs, var: genes, matrices, rows: renamed(contents.rows), uns });
}

/** The path of the matrix of this name in the file. */
function pathOf(name: string): string {
  return name === "X" ? name : `layers/${name}`;
}

async function* renamed(rows: H5adStream["rows"]): AsyncGenerator<Readonly<Record<string, RowsGiven>>> {
  for await (const given of rows)
    yield Object.fromEntries(Object.entries(given).map(([name, values]) => [pathOf(name), values]));
}

function denseType(values: Float32Array | Int32Array | Uint8Array): StreamedType {
  if (values instanceof Float32Array) return "float32";
  return values instanceof Int32Array ? "int32" : "uint8";
}

/** The matrices some cells at a time, not copied. */
function* slices(
  matrices: ReadonlyMap<string, MatrixValues>,
  [cells, genes]: readonly [number, number],
): Generator<Readonly<Record<string, RowsGiven>>> {
  for (let first = 0; first < cells; first += ROWS_AT_ONCE) {
    const end = Math.min(first + ROWS_AT_ONCE, cells);
    yield Object.fromEntries(
      Array.from(matrices, ([name, matrix]) => [name, sliceOf(matrix, first, end, genes)]),
    );
  }
}

function sliceOf(matrix: MatrixValues, first: number, end: number, genes: number): RowsGiven {
  if (matrix.kind === "dense") return matrix.values.subarray(first * genes, end * genes);
  const bounds = matrix.offsets.subarray(first, end + 1);
  const [start = 0] = bounds;
  const stop = bounds.at(-1) ?? start;
  return {
    offsets: Int32Array.from(bounds, (bound) => bound - start),
    columns: matrix.columns.subarray(start, stop),
    values: matrix.values.subarray(start, stop),
  };
}

function checkMatrix(
  path: string,
  name: string,
  matrix: MatrixValues,
  [rows, columns]: readonly [number, number],
): void {
  if (matrix.kind === "dense") {
    if (matrix.values.length === rows * columns) return;
    throw shapeError(
      path,
      `"${name}" has ${matrix.values.length} values for ${rows} cells x ${columns} genes`,
    );
  }
  const stored = matrix.values.length;
  if (
    matrix.offsets.length !== rows + 1 ||
    matrix.offsets[rows] !== stored ||
    matrix.columns.length !== stored
  ) {
    throw shapeError(path, `"${name}": offsets, columns and values do not fit ${rows} cells`);
  }
}
