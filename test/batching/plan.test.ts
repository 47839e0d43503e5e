import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { countBatches, type PlanOptions, planEpoch } from "../../lib/batching/index.js";

/** Batches of an epoch as lists of rows. */
function batchesOf(
  rows: Int32Array,
  lengths: Int32Array | undefined,
  options: PlanOptions,
  epoch = 0,
): number[][] {
  const batches: number[][] = [];
  for (const window of planEpoch(rows, lengths, options, epoch)) {
    expect(window.firstBatch).toBe(batches.length);
    expect(window.bounds.at(-1)).toBe(window.rows.length);
    for (let i = 0; i + 1 < window.bounds.length; i++) {
      batches.push([...window.rows.subarray(window.bounds[i], window.bounds[i + 1])]);
    }
  }
  return batches;
}

function upTo(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => i);
}

const cellBatches = (cells: number, more: Partial<PlanOptions> = {}): PlanOptions => ({
  limit: { kind: "cells", cells },
  seed: 5,
  ...more,
});

const cases = fc.record({
  // Each row with its length; zeros are cells that the tokenizer skips.
  cells: fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 150 }),
  limit: fc.oneof(
    fc.record({ kind: fc.constant("cells" as const), cells: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ kind: fc.constant("tokens" as const), tokens: fc.integer({ min: 20, max: 200 }) }),
  ),
  lengthBuckets: fc.boolean(),
  windowCells: fc.integer({ min: 1, max: 200 }),
  chunkCells: fc.integer({ min: 1, max: 30 }),
  seed: fc.nat(),
  epoch: fc.nat(5),
});

describe("the plan of an epoch", () => {
  it("holds every usable row exactly once, in batches within the limit, none empty", () => {
    fc.assert(
      fc.property(cases, ({ cells, epoch, ...options }) => {
        const rows = upTo(cells.length).map((i) => 3 * i + 1);
        const lengthOf = new Map(cells.map((length, i) => [3 * i + 1, length]));
        const batches = batchesOf(rows, Int32Array.from(cells), options, epoch);
        const usable = [...rows].filter((row) => lengthOf.get(row)! > 0);
        expect(batches.flat().sort((a, b) => a - b)).toEqual(usable);
        for (const batch of batches) {
          expect(batch.length).toBeGreaterThan(0);
          if (options.limit.kind === "cells") expect(batch.length).toBeLessThanOrEqual(options.limit.cells);
          else {
            const tokens = batch.reduce((sum, row) => sum + lengthOf.get(row)!, 0);
            expect(tokens).toBeLessThanOrEqual(options.limit.tokens);
          }
        }
        expect(countBatches(rows, Int32Array.from(cells), options, epoch)).toBe(batches.length);
      }),
    );
  });

  it("has full batches of cells but for one, however many windows there are", () => {
    for (const windowCells of [7, 20, 64, 1000]) {
      for (const lengthBuckets of [false, true]) {
        const lengths = upTo(203).map((i) => 1 + (i % 9));
        const sizes = batchesOf(
          upTo(203),
          lengths,
          cellBatches(10, { windowCells, chunkCells: 5, lengthBuckets }),
        )
          .map((batch) => batch.length)
          .sort((a, b) => b - a);
        expect(sizes).toEqual([...Array<number>(20).fill(10), 3]);
      }
    }
  });

  it("is the same for the same seed and epoch, another for another", () => {
    const plan = (seed: number, epoch: number) =>
      batchesOf(upTo(60), undefined, cellBatches(8, { seed }), epoch);
    expect(plan(1, 2)).toEqual(plan(1, 2));
    expect(plan(1, 2)).not.toEqual(plan(1, 3));
    expect(plan(1, 2)).not.toEqual(plan(2, 2));
  });

  it("shuffles all rows together where one window holds them", () => {
    const orders = new Map<string, number>();
    const epochs = 12_000;
    for (let epoch = 0; epoch < epochs; epoch++) {
      const order = batchesOf(upTo(4), undefined, cellBatches(4, { chunkCells: 2 }), epoch).join();
      orders.set(order, (orders.get(order) ?? 0) + 1);
    }
    expect(orders.size).toBe(24);
    const expected = epochs / 24;
    const chiSquare = [...orders.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    expect(chiSquare).toBeLessThan(49.7); // 23 degrees of freedom, p = 0.001
  });

  it("reads whole chunks of neighbours a window, and no more rows than a window and what was left over", () => {
    const options = cellBatches(6, { windowCells: 40, chunkCells: 10 });
    const chunks: number[] = [];
    for (const { rows } of planEpoch(upTo(400), undefined, options, 0)) {
      expect(rows.length).toBeLessThan(40 + 6);
      const counts = new Map<number, number>();
      for (const row of rows) counts.set(Math.floor(row / 10), (counts.get(Math.floor(row / 10)) ?? 0) + 1);
      // Four chunks, but for rows left over to the next window or from the one before.
      expect([...counts.values()].filter((count) => count >= 5).length).toBeLessThanOrEqual(5);
      chunks.push(...[...counts].filter(([, count]) => count >= 5).map(([chunk]) => chunk));
    }
    expect(chunks).not.toEqual([...chunks].sort((a, b) => a - b));
  });

  it("puts cells of similar length together with length buckets, the batches in random order", () => {
    const lengths = upTo(300).map((i) => 1 + ((i * 37) % 100));
    const spread = (lengthBuckets: boolean) => {
      const batches = batchesOf(upTo(300), lengths, cellBatches(10, { lengthBuckets }));
      const ranges = batches.map((rows) => {
        const own = rows.map((row) => lengths[row]!);
        return Math.max(...own) - Math.min(...own);
      });
      return { range: Math.max(...ranges), first: batches.map((rows) => lengths[rows[0]!]!) };
    };
    expect(spread(true).range).toBeLessThanOrEqual(4);
    expect(spread(false).range).toBeGreaterThan(50);
    const { first } = spread(true);
    expect(first).not.toEqual([...first].sort((a, b) => a - b));
  });

  it("refuses options out of range by name", () => {
    const plan = (more: Partial<PlanOptions>) => () => batchesOf(upTo(3), undefined, cellBatches(2, more));
    expect(plan({ windowCells: 0 })).toThrow("windowCells");
    expect(plan({ chunkCells: 1.5 })).toThrow("chunkCells");
    expect(plan({ seed: -1 })).toThrow("seed");
    expect(plan({ limit: { kind: "cells", cells: 0 } })).toThrow("batchCells");
  });
});
