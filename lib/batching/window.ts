import type { CellBlock, CellSource } from "../data/source.js";
import { DdscError } from "../errors.js";

/** Cells read at a time: between two reads the caller may do something else. */
export const SLICE_CELLS = 1024;

/** Some cells of a source in memory, to be picked in any order. */
export class CellWindow {
  readonly #rows: Int32Array;
  readonly #slices: readonly CellBlock[];

  private constructor(rows: Int32Array, slices: readonly CellBlock[]) {
    this.#rows = rows;
    this.#slices = slices;
  }

  /**
   * Reads rows in file order, slice by slice; yields between slices.
   * @param rows row numbers, each once, in any order
   */
  static async *read(source: CellSource, rows: Int32Array): AsyncGenerator<undefined, CellWindow, undefined> {
    const ascending = rows.slice().sort();
    const slices: CellBlock[] = [];
    for (let start = 0; start < ascending.length; start += SLICE_CELLS) {
      slices.push(await source.read(ascending.subarray(start, start + SLICE_CELLS)));
      yield undefined;
    }
    return new CellWindow(ascending, slices);
  }

  /** The blocks of the window, by ascending row. */
  get slices(): readonly CellBlock[] {
    return this.#slices;
  }

  /** Whether every one of `rows` is in the window. */
  holds(rows: Int32Array): boolean {
    return rows.every((row) => this.#find(row) >= 0);
  }

  /** The cells of these rows, in this order. Throws `WINDOW_MISSING_ROW` for a row that is not in the window. */
  pick(rows: Int32Array): CellBlock {
    const found = Int32Array.from(rows, (row) => {
      const place = this.#find(row);
      if (place < 0)
        throw new DdscError("WINDOW_MISSING_ROW", `row ${row} was not read into the window`, { row });
      return place;
    });
    const offsets = new Int32Array(rows.length + 1);
    found.forEach((place, i) => {
      const { start, end } = this.#locate(place);
      offsets[i + 1] = (offsets[i] as number) + end - start;
    });
    const genes = new Int32Array(offsets[rows.length] as number);
    const counts = new Float32Array(genes.length);
    found.forEach((place, i) => {
      const { slice, start, end } = this.#locate(place);
      genes.set(slice.genes.subarray(start, end), offsets[i]);
      counts.set(slice.counts.subarray(start, end), offsets[i]);
    });
    return { rows: rows.slice(), offsets, genes, counts };
  }

  /** Place of a row in the window; -1 where it is not in it. */
  #find(row: number): number {
    let low = 0;
    let high = this.#rows.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const held = this.#rows[middle] as number;
      if (held === row) return middle;
      if (held < row) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  #locate(place: number): { slice: CellBlock; start: number; end: number } {
    const slice = this.#slices[Math.floor(place / SLICE_CELLS)] as CellBlock;
    const cell = place % SLICE_CELLS;
    return { slice, start: slice.offsets[cell] as number, end: slice.offsets[cell + 1] as number };
  }
}
