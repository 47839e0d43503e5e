import { Purpose, RandomStream } from "../lib/base/random.js";
import type { NativeBatch } from "../lib/native/types.js";
import { DEFAULT_RANKS } from "../lib/tokenizer/index.js";
import { FIRST_RANK_TOKEN } from "../lib/tokenizer/ragged_batch.js";

const FIRST_GENE = 3;

/** Lengths of cells that are all as long. */
export function evenLengths(cells: number, length: number): Int32Array {
  return new Int32Array(cells).fill(length);
}

/** Cells of these lengths, of random ranks and of random genes out of a vocabulary of `genes`. */
export function benchBatch(lengths: Int32Array, genes: number): NativeBatch {
  const offsets = new Int32Array(lengths.length + 1);
  for (const [cell, length] of lengths.entries()) offsets[cell + 1] = (offsets[cell] as number) + length;
  const tokens = offsets.at(-1) as number;
  const random = new RandomStream(0, Purpose.simulate);
  return {
    offsets,
    genes: Int32Array.from({ length: tokens }, () => FIRST_GENE + random.below(genes - FIRST_GENE)),
    tokens: Int32Array.from({ length: tokens }, () => FIRST_RANK_TOKEN + random.below(DEFAULT_RANKS)),
    cells: Float64Array.from(lengths.keys()),
  };
}
