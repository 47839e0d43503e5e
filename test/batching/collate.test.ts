import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type BatchLimit,
  cellLengths,
  concatenateBatches,
  cutBatches,
  type RaggedBatch,
  selectCells,
  splitBatch,
  validateBatch,
} from "../../lib/batching/index.js";

/** A batch of cells of these lengths whose genes and tokens tell cell and place apart. */
function batchOf(lengths: readonly number[], firstCell = 0): RaggedBatch {
  const offsets = [0];
  for (const length of lengths) offsets.push(offsets.at(-1)! + length);
  const tokens = lengths.flatMap((length, cell) => Array.from({ length }, (_, i) => (cell * 7 + i) % 50));
  return {
    offsets: Int32Array.from(offsets),
    genes: Int32Array.from(tokens, (token, i) => token + i),
    tokens: Int32Array.from(tokens),
    cells: Float64Array.from(lengths.keys(), (cell) => cell + firstCell),
  };
}

/** The same with counts and panels that tell cell and place apart. */
function countedOf(lengths: readonly number[], firstCell = 0): RaggedBatch {
  const batch = batchOf(lengths, firstCell);
  return {
    ...batch,
    counts: batch.genes.map((gene, i) => gene * 1000 + i),
    panels: Int32Array.from(batch.cells, (cell) => cell % 3),
  };
}

/** Cells of a batch as plain objects: an oracle that knows nothing of offsets. */
function cellsOf(batch: RaggedBatch): { cell: number; genes: number[]; tokens: number[] }[] {
  return Array.from(batch.cells, (cell, i) => {
    const [start, end] = [batch.offsets[i]!, batch.offsets[i + 1]!];
    return { cell, genes: [...batch.genes.slice(start, end)], tokens: [...batch.tokens.slice(start, end)] };
  });
}

const lengths = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 20 });
const limits: fc.Arbitrary<BatchLimit> = fc.oneof(
  fc.record({ kind: fc.constant("cells" as const), cells: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ kind: fc.constant("tokens" as const), tokens: fc.integer({ min: 12, max: 60 }) }),
);

describe("ragged batches", () => {
  it("split into micro-batches and put together again are the same batch", () => {
    fc.assert(
      fc.property(lengths, limits, (list, limit) => {
        const batch = batchOf(list);
        const parts = splitBatch(batch, limit);
        for (const part of parts) {
          if (limit.kind === "cells") expect(part.cells.length).toBeLessThanOrEqual(limit.cells);
          else expect(part.tokens.length).toBeLessThanOrEqual(limit.tokens);
          if (part.cells.length > 0) validateBatch(part, { geneVocabularySize: 1000, tokenCount: 54 });
        }
        expect(concatenateBatches(parts)).toEqual(batch);
      }),
    );
  });

  it("carry counts and panels when they are split, picked from and put together", () => {
    fc.assert(
      fc.property(lengths, limits, (list, limit) => {
        const batch = countedOf(list);
        const parts = splitBatch(batch, limit);
        expect(concatenateBatches(parts.length === 0 ? [batch] : parts)).toEqual(batch);
        const backwards = Array.from(list.keys()).reverse();
        expect(selectCells(selectCells(batch, backwards), backwards)).toEqual(batch);
      }),
    );
    expect(() => concatenateBatches([countedOf([1]), batchOf([1])])).toThrow(/BATCH_INVALID.*1 of 2 batches/);
    const bounds = { geneVocabularySize: 1000, tokenCount: 54 };
    const { counts, panels, ...plain } = countedOf([2, 1]);
    expect(() => validateBatch({ ...plain, counts: counts!.slice(1) }, bounds)).toThrow(
      /BATCH_INVALID.*2 counts/,
    );
    expect(() => validateBatch({ ...plain, panels: panels!.slice(1) }, bounds)).toThrow(
      /BATCH_INVALID.*1 numbers/,
    );
  });

  it("concatenated hold every cell in order", () => {
    const batches = [batchOf([2, 3]), batchOf([], 9), batchOf([1], 5), batchOf([4, 1, 2], 20)];
    expect(cellsOf(concatenateBatches(batches))).toEqual(batches.flatMap(cellsOf));
    expect([...concatenateBatches([]).offsets]).toEqual([0]);
  });

  it("give the cells asked for, in the order asked for", () => {
    fc.assert(
      fc.property(lengths, fc.array(fc.nat(), { maxLength: 10 }), (list, picks) => {
        fc.pre(list.length > 0);
        const batch = batchOf(list, 30);
        const places = picks.map((pick) => pick % list.length);
        const all = cellsOf(batch);
        expect(cellsOf(selectCells(batch, places))).toEqual(places.map((place) => all[place]));
        expect([...cellLengths(selectCells(batch, places))]).toEqual(places.map((place) => list[place]));
      }),
    );
  });

  it("have no cell past the last", () => {
    expect(() => selectCells(batchOf([2, 2]), [2])).toThrow("no cell 2 in a batch of 2 cells");
  });
});

describe("cutting into batches", () => {
  it("takes as many cells as fit, by tokens and by cells", () => {
    expect([...cutBatches([3, 3, 3, 1, 9], { kind: "tokens", tokens: 9 })]).toEqual([0, 3, 4, 5]);
    expect([...cutBatches([1, 1, 1, 1, 1], { kind: "cells", cells: 2 })]).toEqual([0, 2, 4, 5]);
    expect([...cutBatches([], { kind: "cells", cells: 2 })]).toEqual([0]);
  });

  it("refuses a cell longer than a batch", () => {
    expect(() => cutBatches([4, 10], { kind: "tokens", tokens: 9 })).toThrow(
      /BATCH_TOKENS_TOO_FEW.*10 tokens.*of 9/,
    );
  });

  it("refuses a limit that is no whole number >= 1", () => {
    expect(() => splitBatch(batchOf([1]), { kind: "cells", cells: 0 })).toThrow("batchCells");
    expect(() => splitBatch(batchOf([1]), { kind: "tokens", tokens: 1.5 })).toThrow("batchTokens");
  });
});

describe("a batch on its way to native code", () => {
  const bounds = { geneVocabularySize: 20, tokenCount: 54 };
  const good: RaggedBatch = {
    offsets: Int32Array.of(0, 2, 3),
    genes: Int32Array.of(1, 19, 3),
    tokens: Int32Array.of(0, 53, 2),
    cells: Float64Array.of(4, 5),
  };

  it("passes where every bound holds", () => {
    expect(() => validateBatch(good, bounds)).not.toThrow();
  });

  const bad: [string, Partial<RaggedBatch>][] = [
    [
      "has no cells",
      {
        offsets: Int32Array.of(0),
        genes: new Int32Array(0),
        tokens: new Int32Array(0),
        cells: new Float64Array(0),
      },
    ],
    ["2 cells need 3 offsets", { offsets: Int32Array.of(0, 3) }],
    ["2 genes do not pair with 3 tokens", { genes: Int32Array.of(1, 2) }],
    ["first offset is 1", { offsets: Int32Array.of(1, 2, 3) }],
    ["last offset is 4 but it has 3 tokens", { offsets: Int32Array.of(0, 2, 4) }],
    ["cell 1 runs from token 3 to 3", { offsets: Int32Array.of(0, 3, 3) }],
    ["cell 1 runs from token 5 to 3", { offsets: Int32Array.of(0, 5, 3) }],
    ["gene id 20 at token 1 is outside 0..19", { genes: Int32Array.of(1, 20, 3) }],
    ["gene id -1 at token 2", { genes: Int32Array.of(1, 2, -1) }],
    ["token 54 at token 0 is outside 0..53", { tokens: Int32Array.of(54, 2, 2) }],
    ["token -2 at token 2", { tokens: Int32Array.of(0, 2, -2) }],
  ];
  it.each(bad)("is refused where it %s", (problem, change) => {
    expect(() => validateBatch({ ...good, ...change }, bounds)).toThrow(
      expect.objectContaining({ code: "BATCH_INVALID" }),
    );
    expect(() => validateBatch({ ...good, ...change }, bounds)).toThrow(problem);
  });
});
