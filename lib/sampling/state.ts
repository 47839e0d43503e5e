import type { RaggedBatch } from "../tokenizer/ragged_batch.js";

/**
 * Cells while they are being filled in. Rows are token numbers in the batch; a place is a cell's number in the batch.
 */
export class SamplingState {
  readonly batch: RaggedBatch;
  readonly mask: number;
  /** Rank tokens as they are now, [tokens]; the batch's own stay untouched. */
  readonly tokens: Int32Array;
  /** How often the network has run for each cell, [cells]. */
  readonly networkEvaluations: Int32Array;
  /** Time each cell has come down to, [cells]. */
  readonly time: Float64Array;
  /** Rows of each cell that are still masked, ascending. */
  readonly #masked: Int32Array[];
  /** How often each cell's tokens have changed, [cells]. */
  readonly #revisions: Int32Array;

  constructor(batch: RaggedBatch, mask: number) {
    this.batch = batch;
    this.mask = mask;
    this.tokens = batch.tokens.slice();
    const cells = batch.cells.length;
    this.networkEvaluations = new Int32Array(cells);
    this.time = new Float64Array(cells).fill(1);
    this.#revisions = new Int32Array(cells);
    this.#masked = Array.from({ length: cells }, (_, place) => this.#findMasked(place));
  }

  /** Places of the cells that have a masked token, ascending. */
  unfinished(): number[] {
    const places: number[] = [];
    for (const [place, rows] of this.#masked.entries()) if (rows.length > 0) places.push(place);
    return places;
  }

  /** Rows of a cell that are masked, ascending. */
  masked(place: number): Int32Array {
    return this.#masked[place] ?? new Int32Array(0);
  }

  /** Number of masked tokens of each cell, [cells]. */
  maskedCounts(): Int32Array {
    return Int32Array.from(this.#masked, (rows) => rows.length);
  }

  /** Position of a row within its cell: what names its random numbers. */
  position(place: number, row: number): number {
    return row - (this.batch.offsets[place] as number);
  }

  /** Sets rows of a cell to the tokens drawn for them; rows that drew the mask stay masked. */
  fill(place: number, rows: Int32Array, tokens: Int32Array): void {
    let changed = false;
    for (const [i, row] of rows.entries()) {
      const token = tokens[i] as number;
      changed ||= token !== this.tokens[row];
      this.tokens[row] = token;
    }
    if (!changed) return;
    this.#revisions[place] = this.revision(place) + 1;
    this.#masked[place] = this.masked(place).filter((row) => this.tokens[row] === this.mask);
  }

  /** Another number after every change of the cell's tokens. */
  revision(place: number): number {
    return this.#revisions[place] as number;
  }

  /** Notes that the network has run for a cell. */
  countEvaluation(place: number): void {
    this.networkEvaluations[place] = (this.networkEvaluations[place] as number) + 1;
  }

  #findMasked(place: number): Int32Array {
    const rows: number[] = [];
    for (
      let row = this.batch.offsets[place] as number;
      row < (this.batch.offsets[place + 1] as number);
      row++
    ) {
      if (this.tokens[row] === this.mask) rows.push(row);
    }
    return Int32Array.from(rows);
  }
}
