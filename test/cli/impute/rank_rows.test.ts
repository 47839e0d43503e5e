import { expect, it } from "vitest";
import { RankRows } from "../../../lib/cli/impute/rank_rows.js";
import { CellTokenizer, GeneVocabulary, QuantileRanks } from "../../../lib/tokenizer/index.js";

const strategy = new QuantileRanks({ bins: 2 });
const tokenizer = new CellTokenizer({ vocabulary: GeneVocabulary.fromIds(["a", "b", "c"]), strategy });
const genes = ["c", "other", "a", "b"].map((id) => ({ id, aliases: [] }));
const rows = new RankRows(tokenizer.map({ name: "cells", genes }), strategy);
/** Two cells: c 9, other 100, a 2; and other 5. */
const block = {
  rows: Int32Array.of(0, 1),
  offsets: Int32Array.of(0, 3, 4),
  columns: Int32Array.of(0, 1, 2, 1),
  counts: Float32Array.of(9, 100, 2, 5),
};

it("a rank stands for counts of the cell's known genes", () => {
  expect([...rows.countsOfRanks(block, 0)]).toEqual([2, 9]);
});

it("counts stay, expected counts and what is said of ranks go beside them", () => {
  const evidence = {
    offsets: Int32Array.of(0, 2),
    genes: Int32Array.of(3, 5),
    tokens: Int32Array.of(2, 3),
    cells: Float64Array.of(0),
  };
  const filled = {
    cell: Int32Array.of(0, 0),
    row: Int32Array.of(0, 1),
    gene: Int32Array.of(3, 4),
    rank: Int32Array.of(1, 0),
    expectedRank: Float32Array.of(0.75, 0.25),
    probability: Float32Array.of(0.625, 0.875),
    expectedCount: Float32Array.of(7.25, 3.75),
  };
  const batch = { ...evidence, genes: Int32Array.of(3, 4), tokens: Int32Array.of(4, 4) };
  const toFill = { batch, places: Int32Array.of(0), evidence: [evidence, undefined] };
  const nan = Number.NaN;
  expect(rows.fill(block, toFill, filled)).toEqual({
    X: { offsets: block.offsets, columns: block.columns, values: block.counts },
    "layers/imputed": Float32Array.of(9, 100, 7.25, 3.75, 0, 5, 0, 0),
    "layers/rank": Int32Array.of(1, -1, 1, 0, -1, -1, -1, -1),
    "layers/expected_rank": Float32Array.of(nan, nan, 0.75, 0.25, nan, nan, nan, nan),
    "layers/rank_probability": Float32Array.of(nan, nan, 0.625, 0.875, nan, nan, nan, nan),
  });
  expect(rows.tally).toEqual({ entries: 2, skippedCells: 1, known: 1, correct: 0, rankError: 0.75 });
});
