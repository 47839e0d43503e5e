/**
 * How a count becomes a categorical value. The published quantile ranks (`QuantileRanks`) are the first; others
 * implement the same three members, and everything else (model, loss, samplers) reads only those.
 */
export interface TokenStrategy {
  /** Stable name, saved with the model. */
  readonly kind: string;
  /** Number of values R; a value is 0..R-1. */
  readonly values: number;
  /**
   * Values of one cell's counts, written to `out` (same length). `counts` may hold zeros only where the cell
   * tokenizer was asked to add unexpressed genes; how zeros are treated is the strategy's to document.
   */
  encode(counts: Float32Array, out: Int32Array): void;
  /**
   * Counts that stand for values, given the expressed counts of the cell (or of a reference) that the values
   * refer to; the inverse of `encode` up to the width of a bin.
   */
  decode(values: Int32Array, reference: Float32Array): Float32Array;
  /** Plain JSON from which `strategyFrom` makes the same strategy again. */
  toJSON(): { readonly kind: string; readonly [option: string]: unknown };
}
