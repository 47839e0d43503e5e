import { DdscError } from "../../base/errors.js";
import type { DatasetInfo, Hdf5File } from "../hdf5/file.js";
import { toFloat64 } from "../hdf5/types.js";
import { type CountMatrix, positionsByRow, type RawRows, rowRuns } from "../sources/count_matrix.js";

/** Most stored entries read from the file at once. */
const ENTRIES_AT_ONCE = 1 << 22;
/** Rows this near to each other are read together with those between them. */
const ROW_GAP = 8;
/** Most entries that a compressed-column matrix keeps in memory, 8 bytes each. */
export const WINDOW_ENTRIES = 1 << 26;

/** A compressed sparse group: `data`, `indices` and `indptr` of a matrix [rows, columns]. */
export interface SparseGroup {
  readonly file: Hdf5File;
  readonly path: string;
  readonly rows: number;
  readonly columns: number;
}

/** The group's bounds, checked against its arrays. */
class SparseEntries {
  readonly #group: SparseGroup;
  readonly #data: DatasetInfo;
  readonly #indices: DatasetInfo;
  /** Bounds of each row (csr) or column (csc), [major + 1]. */
  readonly bounds: Float64Array;
  readonly #minor: number;

  constructor(group: SparseGroup, major: number, minor: number) {
    const { file, path } = group;
    this.#group = group;
    this.#minor = minor;
    this.#data = file.vectorInfo(`${path}/data`);
    this.#indices = file.vectorInfo(`${path}/indices`);
    if (this.#data.kind !== "integer" && this.#data.kind !== "float" && this.#data.kind !== "boolean") {
      throw new DdscError(
        "DATA_TYPE",
        `${file.path}: ${path}/data does not hold numbers; choose another matrix with --layer`,
        {
          file: file.path,
        },
      );
    }
    const stored = this.#data.shape[0] ?? 0;
    if (this.#indices.shape[0] !== stored) {
      throw file.corrupt(path, `has ${stored} values but ${this.#indices.shape[0]} indices`);
    }
    this.bounds = toFloat64(file.allNumbers(`${path}/indptr`));
    if (this.bounds.length !== major + 1) {
      throw new DdscError(
        "DATA_SHAPE",
        `${file.path}: ${path}/indptr has ${this.bounds.length} entries but its shape asks for ${major + 1}; write the file again`,
        { file: file.path },
      );
    }
    for (let i = 0; i < major; i++) {
      const low = this.bounds[i] ?? 0;
      const high = this.bounds[i + 1] ?? 0;
      if (!(low >= 0 && low <= high))
        throw file.corrupt(`${path}/indptr`, `falls from ${low} to ${high} at ${i}`);
    }
    if (this.bounds[0] !== 0 || this.bounds[major] !== stored) {
      throw file.corrupt(
        `${path}/indptr`,
        `runs from ${this.bounds[0]} to ${this.bounds[major]} but there are ${stored} stored values`,
      );
    }
  }

  /** Entries [start, end), in pieces; minor indices are checked. */
  *pieces(start: number, end: number): Generator<{ at: number; indices: Int32Array; values: Float32Array }> {
    const { file, path } = this.#group;
    for (let at = start; at < end; at += ENTRIES_AT_ONCE) {
      const count = Math.min(ENTRIES_AT_ONCE, end - at);
      const raw = file.numbers(this.#indices, at, count);
      const indices = new Int32Array(count);
      for (let i = 0; i < count; i++) {
        const index = Number(raw[i] ?? -1);
        if (!Number.isInteger(index) || index < 0 || index >= this.#minor) {
          throw file.corrupt(
            `${path}/indices`,
            `entry ${at + i} is ${index}, outside 0 to ${this.#minor - 1}`,
          );
        }
        indices[i] = index;
      }
      const data = file.numbers(this.#data, at, count);
      const values =
        data instanceof BigInt64Array || data instanceof BigUint64Array
          ? Float32Array.from(data, Number)
          : Float32Array.from(data);
      yield { at, indices, values };
    }
  }
}

function checkedOffsets(file: Hdf5File, count: number, lengthOf: (position: number) => number): Int32Array {
  const offsets = new Int32Array(count + 1);
  let total = 0;
  for (let i = 0; i < count; i++) {
    total += lengthOf(i);
    if (total > 0x7fff_ffff) {
      throw new DdscError(
        "DATA_TOO_LARGE",
        `${file.path}: the rows asked for hold more than 2^31 counts; read fewer at a time`,
        {
          file: file.path,
        },
      );
    }
    offsets[i + 1] = total;
  }
  return offsets;
}

/** Compressed rows: exactly the asked-for rows are read (and those in small gaps between them). */
export class CsrMatrix implements CountMatrix {
  readonly layout = "csr";
  readonly rows: number;
  readonly columns: number;
  readonly #entries: SparseEntries;
  readonly #file: Hdf5File;

  constructor(group: SparseGroup) {
    this.rows = group.rows;
    this.columns = group.columns;
    this.#file = group.file;
    this.#entries = new SparseEntries(group, group.rows, group.columns);
  }

  read(rows: Int32Array): RawRows {
    const { bounds } = this.#entries;
    const lower = (row: number): number => bounds[row] ?? 0;
    const offsets = checkedOffsets(
      this.#file,
      rows.length,
      (i) => lower((rows[i] ?? 0) + 1) - lower(rows[i] ?? 0),
    );
    const total = offsets[rows.length] ?? 0;
    const columns = new Int32Array(total);
    const values = new Float32Array(total);
    const positions = positionsByRow(rows);
    let next = 0;
    for (const run of rowRuns(rows, ROW_GAP, Number.POSITIVE_INFINITY)) {
      const firstPosition = next;
      while (next < positions.length && (rows[positions[next] ?? 0] ?? 0) < run.end) next++;
      for (const piece of this.#entries.pieces(lower(run.first), lower(run.end))) {
        const pieceEnd = piece.at + piece.values.length;
        for (let p = firstPosition; p < next; p++) {
          const position = positions[p] ?? 0;
          const row = rows[position] ?? 0;
          const start = Math.max(lower(row), piece.at);
          const end = Math.min(lower(row + 1), pieceEnd);
          if (start >= end) continue;
          const target = (offsets[position] ?? 0) + start - lower(row);
          columns.set(piece.indices.subarray(start - piece.at, end - piece.at), target);
          values.set(piece.values.subarray(start - piece.at, end - piece.at), target);
        }
      }
    }
    return { offsets, columns, values };
  }
}

/** The rows [first, end) of a compressed-column matrix, turned into compressed rows. */
interface Window {
  readonly first: number;
  readonly end: number;
  /** Start of each row in `columns` and `values`, [end - first + 1]. */
  readonly starts: Int32Array;
  readonly columns: Int32Array;
  readonly values: Float32Array;
}

/**
 * Compressed columns. Opening reads the indices once to count each row's entries. A window of consecutive rows
 * with at most `windowEntries` entries (512 MiB) is then kept as compressed rows; a row outside it costs one
 * pass over the file. Files that fit in one window, and larger ones read in order, are read but twice or once
 * a window; scattered reads of larger files are slow: write those as CSR.
 */
export class CscMatrix implements CountMatrix {
  readonly layout = "csc";
  readonly rows: number;
  readonly columns: number;
  readonly #entries: SparseEntries;
  readonly #file: Hdf5File;
  readonly #windowEntries: number;
  readonly #rowLengths: Int32Array;
  #window: Window | undefined;

  constructor(group: SparseGroup, windowEntries = WINDOW_ENTRIES) {
    this.rows = group.rows;
    this.columns = group.columns;
    this.#file = group.file;
    this.#windowEntries = windowEntries;
    this.#entries = new SparseEntries(group, group.columns, group.rows);
    this.#rowLengths = new Int32Array(group.rows);
    for (const { indices } of this.#entries.pieces(0, this.#entries.bounds[group.columns] ?? 0)) {
      for (const row of indices) this.#rowLengths[row] = (this.#rowLengths[row] ?? 0) + 1;
    }
  }

  read(rows: Int32Array): RawRows {
    const offsets = checkedOffsets(this.#file, rows.length, (i) => this.#rowLengths[rows[i] ?? 0] ?? 0);
    const total = offsets[rows.length] ?? 0;
    const columns = new Int32Array(total);
    const values = new Float32Array(total);
    for (const position of positionsByRow(rows)) {
      const row = rows[position] ?? 0;
      const window = this.#windowWith(row);
      const start = window.starts[row - window.first] ?? 0;
      const end = window.starts[row - window.first + 1] ?? 0;
      columns.set(window.columns.subarray(start, end), offsets[position] ?? 0);
      values.set(window.values.subarray(start, end), offsets[position] ?? 0);
    }
    return { offsets, columns, values };
  }

  #windowWith(row: number): Window {
    const held = this.#window;
    if (held !== undefined && row >= held.first && row < held.end) return held;
    // Let the old window go before the new one is made.
    this.#window = undefined;
    this.#window = this.#readWindow(this.#windowStart(row));
    return this.#window;
  }

  /** Windows start at row 0 if that one reaches `row` (the whole matrix fits), else at `row`. */
  #windowStart(row: number): number {
    let entries = 0;
    for (let i = 0; i <= row; i++) entries += this.#rowLengths[i] ?? 0;
    return entries <= this.#windowEntries ? 0 : row;
  }

  #readWindow(first: number): Window {
    let end = first;
    let total = 0;
    const starts = [0];
    while (end < this.rows) {
      const length = this.#rowLengths[end] ?? 0;
      if (end > first && total + length > this.#windowEntries) break;
      total += length;
      starts.push(total);
      end++;
    }
    const window: Window = {
      first,
      end,
      starts: Int32Array.from(starts),
      columns: new Int32Array(total),
      values: new Float32Array(total),
    };
    const filled = window.starts.slice(0, end - first);
    const { bounds } = this.#entries;
    let column = 0;
    for (const { at, indices, values } of this.#entries.pieces(0, bounds[this.columns] ?? 0)) {
      for (let i = 0; i < indices.length; i++) {
        while (at + i >= (bounds[column + 1] ?? Number.POSITIVE_INFINITY)) column++;
        const row = (indices[i] ?? 0) - first;
        if (row < 0 || row >= end - first) continue;
        const target = filled[row] ?? 0;
        filled[row] = target + 1;
        window.columns[target] = column;
        window.values[target] = values[i] ?? 0;
      }
    }
    return window;
  }
}
