/**
 * A ragged batch: the tokens of several cells end to end, with `offsets`; no padding exists anywhere.
 * A cell's first token may be the cls token (gene id 1, rank token 0).
 */
export interface RaggedBatch {
  /** Bounds of each cell, [cells + 1]; offsets[0] = 0, offsets[cells] = tokens. */
  readonly offsets: Int32Array;
  /** Gene id of each token, [tokens]. */
  readonly genes: Int32Array;
  /** Clean token (x0) of each token, [tokens]: value (rank, or that of a count) + 2, or 0 at special positions. */
  readonly tokens: Int32Array;
  /**
   * Global index of each cell, [cells]: names its random streams, so that masks, dropout and draws do not depend
   * on how cells were batched. In training, the cell's row in its source.
   */
  readonly cells: Float64Array;
  /** Exact count of each token, [tokens], 0 at cls; of count tokens only. */
  readonly counts?: Int32Array;
  /**
   * Which genes of each cell are measured, [cells]: the number of a panel of the source's `GeneMapping`; of count tokens
   * only. A measured gene without a token has the count 0.
   */
  readonly panels?: Int32Array;
}

/** Rank token of rank r is r + FIRST_RANK_TOKEN. */
export const FIRST_RANK_TOKEN = 2;
/** Rank token at special positions (cls, pad). */
export const SPECIAL_TOKEN = 0;
/** Gene id of `<pad>`. */
export const PAD_GENE = 0;
/** Gene id of `<cls>`, a cell's first token. */
export const CLS_GENE = 1;
/** Gene id of `<eoc>`. */
export const END_GENE = 2;

/** The special tokens of every vocabulary, by gene id. */
export const SPECIAL_GENES: readonly string[] = ["<pad>", "<cls>", "<eoc>"];
