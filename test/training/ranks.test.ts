import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RaggedBatch } from "../../lib/batching/index.js";
import { shareOf } from "../../lib/training/ranks/share.js";

/** A batch of cells of these lengths. */
function batchOf(lengths: readonly number[]): RaggedBatch {
  const offsets = new Int32Array(lengths.length + 1);
  for (const [i, length] of lengths.entries()) offsets[i + 1] = offsets[i]! + length;
  const tokens = offsets.at(-1)!;
  return {
    offsets,
    genes: Int32Array.from({ length: tokens }, (_, i) => i),
    tokens: Int32Array.from({ length: tokens }, (_, i) => i + 7),
    cells: Float64Array.from(lengths, (_, i) => i),
  };
}

const lengths = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 80 });

describe("the cells of a batch that a rank computes", () => {
  it("are each cell once, in order, whatever the number of ranks", () => {
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: 100 }), (given, world) => {
        const whole = batchOf(given);
        const parts = Array.from({ length: world }, (_, rank) => shareOf(whole, { rank, world }));
        expect(parts.flatMap(({ batch }) => [...batch.cells])).toEqual([...whole.cells]);
        expect(parts.flatMap(({ batch }) => [...batch.tokens])).toEqual([...whole.tokens]);
        let next = 0;
        for (const { first, last, batch } of parts) {
          expect(first).toBe(next);
          expect(batch.cells.length).toBe(last - first);
          next = last;
        }
        expect(next).toBe(given.length);
      }),
    );
  });

  it("have as many tokens for each rank, to within a cell", () => {
    fc.assert(
      fc.property(lengths, fc.integer({ min: 2, max: 16 }), (given, world) => {
        const whole = batchOf(given);
        const most = whole.tokens.length / world + Math.max(...given);
        for (let rank = 0; rank < world; rank++)
          expect(shareOf(whole, { rank, world }).batch.tokens.length).toBeLessThanOrEqual(most);
      }),
    );
  });

  it("are the whole batch, itself, for a process alone", () => {
    const whole = batchOf([3, 4]);
    expect(shareOf(whole, { rank: 0, world: 1 })).toEqual({ first: 0, last: 2, batch: whole });
  });
});
