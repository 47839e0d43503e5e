import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RaggedBatch } from "../../lib/batching/index.js";
import { rowsOfShare, shareOf } from "../../lib/training/ranks/share.js";
import { ranksInProcess } from "../cluster/in_process.js";
import { learnBase, smallCountModel } from "./small_counts.js";
import { smallSource } from "./small_run.js";

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

describe("the training cells of which a rank counts the base", () => {
  it("are neighbouring parts, each row one rank's", () => {
    const partLengths = fc.array(fc.integer({ min: 1, max: 500 }), { maxLength: 40 });
    fc.assert(
      fc.property(partLengths, fc.integer({ min: 1, max: 20 }), (given, world) => {
        const partBounds = Float64Array.of(0, ...given.map((_, i) => sum(given.slice(0, i + 1))));
        const rows = Array.from({ length: world }, (_, rank) => rowsOfShare({ partBounds }, { rank, world }));
        expect(rows.flatMap((own) => [...own])).toEqual(Array.from({ length: sum(given) }, (_, row) => row));
        for (const own of rows.filter(({ length }) => length > 0)) expect(partBounds).toContain(own[0]);
      }),
    );
  });

  it("are read by it alone, and the base is that of a process that reads all", async () => {
    const source = smallSource(0, 12_000);
    using whole = await smallCountModel();
    await learnBase(whole, source);
    const read = await Promise.all(
      ranksInProcess(3).map(async (cluster) => {
        const own = smallSource(0, 12_000);
        const rows: number[] = [];
        const { read } = own;
        own.read = (asked, signal) => {
          rows.push(...asked);
          return read.call(own, asked, signal);
        };
        using model = await smallCountModel();
        await learnBase(model, own, cluster);
        expect(model.base).toEqual(whole.base);
        expect(model.summary?.toJSON()).toEqual(whole.summary?.toJSON());
        return rows.length;
      }),
    );
    // A third of the four fifths that are trained on, and 3,000 cells for depth and summary.
    for (const rows of read) expect(Math.abs(rows - 3000 - 3200)).toBeLessThan(200);
  });
});

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
