import { DdscError } from "../../base/errors.js";
import type { DatasetInfo, Hdf5File } from "../hdf5/file.js";
import { type CountMatrix, positionsByRow, type RawRows, rowRuns } from "../sources/count_matrix.js";

/** Most bytes of the matrix read at once. */
const SLAB_BYTES = 1 << 24;

/** A dense matrix, read in slabs of neighbouring rows; zeros are dropped. */
export class DenseMatrix implements CountMatrix {
  readonly layout = "dense";
  readonly rows: number;
  readonly columns: number;
  readonly #file: Hdf5File;
  readonly #info: DatasetInfo;

  /** Throws `DATA_TYPE` unless the dataset holds numbers, `DATA_SHAPE` unless it has two dimensions. */
  constructor(file: Hdf5File, path: string) {
    const info = file.info(path);
    if (info.kind !== "integer" && info.kind !== "float" && info.kind !== "boolean") {
      throw new DdscError(
        "DATA_TYPE",
        `${file.path}: ${path} does not hold numbers; choose another matrix with --layer`,
        {
          file: file.path,
        },
      );
    }
    const [rows, columns] = info.shape;
    if (rows === undefined || columns === undefined || info.shape.length !== 2) {
      throw new DdscError(
        "DATA_SHAPE",
        `${file.path}: ${path} has ${info.shape.length} dimensions, not cells by genes`,
        {
          file: file.path,
        },
      );
    }
    this.rows = rows;
    this.columns = columns;
    this.#file = file;
    this.#info = info;
  }

  read(rows: Int32Array): RawRows {
    const limit = Math.max(1, Math.floor(SLAB_BYTES / Math.max(1, this.columns * this.#info.bytes)));
    // Chunked files decompress whole chunks anyway.
    const gap = Math.min(limit, Math.max(4, this.#info.chunkRows ?? 0));
    const positions = positionsByRow(rows);
    const found: { columns: Int32Array; values: Float32Array }[] = new Array(rows.length);
    let next = 0;
    for (const run of rowRuns(rows, gap, limit)) {
      const slab = this.#file.numbers(this.#info, run.first, run.end - run.first);
      while (next < positions.length) {
        const position = positions[next] ?? 0;
        const row = rows[position] ?? 0;
        if (row >= run.end) break;
        const start = (row - run.first) * this.columns;
        found[position] = expressed(slab.subarray(start, start + this.columns));
        next++;
      }
    }
    return join(found);
  }
}

function expressed(row: ArrayLike<number | bigint>): { columns: Int32Array; values: Float32Array } {
  const columns = new Int32Array(row.length);
  const values = new Float32Array(row.length);
  let count = 0;
  for (let column = 0; column < row.length; column++) {
    const value = Number(row[column]);
    if (value === 0) continue;
    columns[count] = column;
    values[count++] = value;
  }
  return { columns: columns.slice(0, count), values: values.slice(0, count) };
}

function join(rows: readonly { columns: Int32Array; values: Float32Array }[]): RawRows {
  const offsets = new Int32Array(rows.length + 1);
  for (const [i, row] of rows.entries()) offsets[i + 1] = (offsets[i] ?? 0) + row.values.length;
  const columns = new Int32Array(offsets[rows.length] ?? 0);
  const values = new Float32Array(columns.length);
  for (const [i, row] of rows.entries()) {
    columns.set(row.columns, offsets[i]);
    values.set(row.values, offsets[i]);
  }
  return { offsets, columns, values };
}
