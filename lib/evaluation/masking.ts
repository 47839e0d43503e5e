import { Purpose, RandomStream } from "../base/random.js";
import { FIRST_RANK_TOKEN, type RaggedBatch } from "../tokenizer/ragged_batch.js";

/**
 * Rows of each cell that are masked: every rank token with chance `ratio`, independently, as training masks them. Decided by
 * word 0 of the cell's Purpose.mask stream of step 0 at the token's position, so a cell is masked alike in any batch,
 * and what is masked at one ratio is masked at every higher one.
 *
 * @returns rows of the batch by cell, ascending, [cells]
 */
export function maskedRows(batch: RaggedBatch, ratio: number, seed: number): Int32Array[] {
  const threshold = Math.round(ratio * 2 ** 32);
  return Array.from(batch.cells, (cell, place) => {
    const stream = new RandomStream(seed, Purpose.mask, 0, cell);
    const start = batch.offsets[place] as number;
    const rows: number[] = [];
    for (let row = start; row < (batch.offsets[place + 1] as number); row++) {
      if ((batch.tokens[row] as number) >= FIRST_RANK_TOKEN && stream.wordAt(row - start) < threshold)
        rows.push(row);
    }
    return Int32Array.from(rows);
  });
}
