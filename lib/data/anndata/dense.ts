import type { Hierarchy, StoredArray } from "../hierarchy.js";
import { positionsByRow, type RawRows, rowRuns } from "../sources/count_matrix.js";
import { toFloat64 } from "../sources/number_array.js";
import { fixedParts } from "../sources/parts.js";
import type { MatrixShape, StoredMatrix } from "./matrix.js";

/** Most bytes of the matrix read at once, unless a chunk has more. */
const TILE_BYTES = 1 << 24;
/** Rows this near to each other are read together with those between them. */
const ROW_GAP = 4;
/** Memory for so many values is kept for the next read. */
const MOST_SPARE = 1 << 20;
/** A part that follows chunks has at least so many rows. */
const LEAST_PART = 64;

/** A dense matrix, read in tiles of whole chunks, or of whole rows where it has none; zeros are dropped. */
export function openDense(file: Hierarchy, array: StoredArray, shape: MatrixShape): StoredMatrix {
  const chunkRows = array.chunkShape?.[0] ?? 1;
  const partRows = chunkRows >= LEAST_PART ? chunkRows : chunkRows * Math.ceil(LEAST_PART / chunkRows);
  // Its memory serves the next read; reads at the same time have their own.
  let spare: FoundEntries | undefined;
  return {
    ...shape,
    partBounds: file.keepsChunks ? fixedParts(shape.rows, partRows) : fixedParts(shape.rows),
    read: async (rows, signal) => {
      const found = spare ?? new FoundEntries();
      spare = undefined;
      found.clear(rows.length);
      await readTiles(file, array, rows, found, signal);
      if (found.capacity <= MOST_SPARE) spare = found;
      return found.rows();
    },
  };
}

async function readTiles(
  file: Hierarchy,
  array: StoredArray,
  rows: Int32Array,
  found: FoundEntries,
  signal: AbortSignal | undefined,
): Promise<void> {
  const columnCount = array.shape[1] ?? 0;
  const [chunkRows = 1, chunkColumns = columnCount] = array.chunkShape ?? [];
  const bytes = Math.max(1, array.elementBytes);
  // Rows of whole chunks, as many as a tile can be high.
  const most = Math.floor(TILE_BYTES / (bytes * Math.max(1, chunkColumns)));
  const height = chunkRows * Math.max(1, Math.floor(most / chunkRows));
  const positions = positionsByRow(rows);
  let next = 0;
  for (const run of rowRuns(rows, Math.max(ROW_GAP, chunkRows), height)) {
    const firstPosition = next;
    while (next < positions.length && (rows[positions[next] ?? 0] ?? 0) < run.end) next++;
    // A chunk that is kept need not be copied into a wider tile.
    const wide = file.keepsChunks
      ? 1
      : Math.floor(TILE_BYTES / (bytes * chunkColumns * (run.end - run.first)));
    const width = chunkColumns * Math.max(1, wide);
    for (let first = 0; first < columnCount; first += width) {
      signal?.throwIfAborted();
      const end = Math.min(first + width, columnCount);
      const tile = await array.numbers(run.first, run.end, { first, end });
      const values = tile instanceof BigInt64Array || tile instanceof BigUint64Array ? toFloat64(tile) : tile;
      for (const position of positions.subarray(firstPosition, next)) {
        const start = ((rows[position] ?? 0) - run.first) * (end - first);
        found.add(position, values, start, start + end - first, first);
      }
    }
  }
}

/** Values other than 0 of rows, found in any order of rows but each row's from the left. */
class FoundEntries {
  #lengths = new Int32Array(0);
  /** Position of a row and end of what was found of it, in the order found. */
  #pieces: number[] = [];
  #columns = new Int32Array(1 << 16);
  #values = new Float32Array(1 << 16);
  #count = 0;

  /** So many values have room. */
  get capacity(): number {
    return this.#values.length;
  }

  /** Forgets what was found, for another so many rows. */
  clear(rows: number): void {
    this.#lengths = new Int32Array(rows);
    this.#pieces = [];
    this.#count = 0;
  }

  /** Takes in values [start, end), of the row at `position`, the first of them in column `column`. */
  add(position: number, values: ArrayLike<number>, start: number, end: number, column: number): void {
    const before = this.#count;
    this.#reserve(before + end - start);
    const foundColumns = this.#columns;
    const foundValues = this.#values;
    const shift = column - start;
    let count = before;
    for (let i = start; i < end; i++) {
      const value = values[i] ?? 0;
      if (value === 0) continue;
      foundColumns[count] = i + shift;
      foundValues[count++] = value;
    }
    if (count === before) return;
    this.#count = count;
    this.#lengths[position] = (this.#lengths[position] ?? 0) + count - before;
    this.#pieces.push(position, count);
  }

  /** All of it, row by row. */
  rows(): RawRows {
    const offsets = new Int32Array(this.#lengths.length + 1);
    for (const [i, length] of this.#lengths.entries()) offsets[i + 1] = (offsets[i] ?? 0) + length;
    const columns = new Int32Array(this.#count);
    const values = new Float32Array(this.#count);
    const places = offsets.slice();
    for (let piece = 0, start = 0; piece < this.#pieces.length; piece += 2) {
      const position = this.#pieces[piece] ?? 0;
      const end = this.#pieces[piece + 1] ?? 0;
      columns.set(this.#columns.subarray(start, end), places[position]);
      values.set(this.#values.subarray(start, end), places[position]);
      places[position] = (places[position] ?? 0) + end - start;
      start = end;
    }
    return { offsets, columns, values };
  }

  #reserve(count: number): void {
    if (count <= this.#columns.length) return;
    const length = Math.max(count, 2 * this.#columns.length);
    const columns = new Int32Array(length);
    const values = new Float32Array(length);
    columns.set(this.#columns);
    values.set(this.#values);
    this.#columns = columns;
    this.#values = values;
  }
}
