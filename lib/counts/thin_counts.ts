import { checkKind } from "../base/arguments.js";
import { drawKeptCounts } from "../native/counts.js";
import { CountTokens } from "../tokenizer/count_tokens.js";
import { FIRST_RANK_TOKEN, type RaggedBatch, SPECIAL_TOKEN } from "../tokenizer/ragged_batch.js";

/** Cells of which each molecule is in one of two batches. */
export interface SplitCounts {
  /** The molecules that were kept. */
  readonly kept: RaggedBatch;
  /** The others. */
  readonly given: RaggedBatch;
}

/** Training draws with steps from 1 on: splits have the last step there is. */
const SPLIT_STEP = 2 ** 44 - 1;

const strategy = new CountTokens();

/**
 * Splits the molecules of each cell in two at random for molecular cross-validation: each goes into `kept` with the
 * probability `keep` on its own, else into `given`, so that the two counts of a gene are independent where its counts are
 * Poisson, and sum to its count. Both batches have the same cells in the same order; a gene has a token where it has a count
 * left, and a cell at least its special tokens. A function of seed and cell alone.
 *
 * Throws `BATCH_INVALID` for a batch without counts, `ARGUMENT_RANGE` for a `keep` outside 0..1.
 */
export async function thinCounts(batch: RaggedBatch, keep: number, seed: number): Promise<SplitCounts> {
  checkKind("batch", batch, "batch");
  const kept = await drawKeptCounts(batch, keep, seed, SPLIT_STEP);
  const given = kept.map((count, token) => (batch.counts?.[token] ?? 0) - count);
  return { kept: withCounts(batch, kept), given: withCounts(batch, given) };
}

/** The cells of a batch with other counts, tokens of genes that have none left out. */
function withCounts(batch: RaggedBatch, counts: Int32Array): RaggedBatch {
  const { offsets, genes, tokens, cells, panels } = batch;
  const stays = (token: number) => tokens[token] === SPECIAL_TOKEN || (counts[token] as number) > 0;
  const starts = new Int32Array(offsets.length);
  const places = new Int32Array(genes.length);
  let length = 0;
  for (let cell = 0; cell < cells.length; cell++) {
    for (let token = offsets[cell] as number; token < (offsets[cell + 1] as number); token++)
      if (stays(token)) places[length++] = token;
    starts[cell + 1] = length;
  }
  const kept = places.subarray(0, length);
  const left = kept.map((token) => counts[token] as number);
  return {
    offsets: starts,
    genes: kept.map((token) => genes[token] as number),
    tokens: left.map((count) => (count === 0 ? SPECIAL_TOKEN : strategy.valueOf(count) + FIRST_RANK_TOKEN)),
    cells: cells.slice(),
    counts: left,
    ...(panels === undefined ? {} : { panels: panels.slice() }),
  };
}
