import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  BatchLoader,
  type BatchLoaderOptions,
  cutBatches,
  type PlanOptions,
} from "../../lib/batching/index.js";
import { evenBatches } from "../../lib/batching/limit.js";
import { checkPlanOptions, ReadingOrder } from "../../lib/batching/plan.js";
import { MemorySource } from "../../lib/data/sources/memory.js";
import type { CellSource } from "../../lib/data/sources/source.js";
import { CellTokenizer, GeneVocabulary } from "../../lib/tokenizer/index.js";
import { smallCells } from "./small_source.js";

const GENES = 24;
const tokenizer = new CellTokenizer({
  vocabulary: GeneVocabulary.fromIds(Array.from({ length: GENES }, (_, gene) => `G${gene}`)),
  cls: false,
});

/** Cells of so many genes each, in parts that end after so many cells. */
function cellsOf(
  lengths: readonly number[],
  parts: Float64Array = Float64Array.of(0, lengths.length),
): CellSource {
  const cells = lengths.map((length) => Array.from({ length }, (_, gene) => [gene, 1] as const));
  return Object.assign(new MemorySource(smallCells(cells, GENES)), { partBounds: parts });
}

/** Rows of each batch, and the tokens of each row. */
async function batchesOf(source: CellSource, options: BatchLoaderOptions): Promise<number[][]> {
  const batches: number[][] = [];
  await using loader = new BatchLoader(source, tokenizer, { worker: false, epochs: 1, ...options });
  for await (const { batch } of loader) batches.push([...batch.cells]);
  return batches;
}

const ascending = (rows: readonly number[]) => [...rows].sort((a, b) => a - b);
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);
const byCells = (cells: number, more: Partial<BatchLoaderOptions> = {}): BatchLoaderOptions => ({
  limit: { kind: "cells", cells },
  seed: 5,
  ...more,
});

const cases = fc.record({
  // The genes each cell expresses, in parts; zeros are cells that the tokenizer skips.
  parts: fc.array(fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 30 }), {
    minLength: 1,
    maxLength: 8,
  }),
  limit: fc.oneof(
    fc.record({ kind: fc.constant("cells" as const), cells: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ kind: fc.constant("tokens" as const), tokens: fc.integer({ min: 20, max: 200 }) }),
  ),
  lengthBuckets: fc.boolean(),
  windowCells: fc.integer({ min: 1, max: 100 }),
  windowCounts: fc.integer({ min: 1, max: 1000 }),
  seed: fc.nat(),
});

function boundsOf(parts: readonly (readonly number[])[]): Float64Array {
  let end = 0;
  return Float64Array.from([0, ...parts.map((part) => (end += part.length))]);
}

describe("the batches of an epoch", () => {
  it("hold every usable row exactly once, within the limit, whoever of several readers gives them", async () => {
    await fc.assert(
      fc.asyncProperty(cases, fc.integer({ min: 1, max: 3 }), async ({ parts, ...options }, count) => {
        const lengths = parts.flat();
        const source = cellsOf(lengths, boundsOf(parts));
        const usable = upTo(lengths.length).filter((row) => lengths[row]! > 0);
        const batches: number[][] = [];
        for (const index of upTo(count)) {
          const own = await batchesOf(source, { ...options, shard: { index, count } }).catch((error) => {
            // A reader whose share has no usable cell.
            expect(error).toMatchObject({ code: "DATA_NO_CELLS" });
            return [];
          });
          batches.push(...own);
        }
        expect(ascending(batches.flat())).toEqual(usable);
        for (const batch of batches) {
          if (options.limit.kind === "cells") expect(batch.length).toBeLessThanOrEqual(options.limit.cells);
          else {
            const tokens = batch.reduce((sum, row) => sum + lengths[row]!, 0);
            expect(tokens).toBeLessThanOrEqual(options.limit.tokens);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it("are of equal size within a window, so that none is much smaller than asked for", async () => {
    const source = cellsOf(upTo(203).map((i) => 1 + (i % 9)));
    const sizes = (await batchesOf(source, byCells(10))).map((batch) => batch.length);
    expect(sizes).toHaveLength(21);
    expect(Math.min(...sizes)).toBe(9);
    expect([...evenBatches(7, 3)]).toEqual([0, 2, 4, 7]);
    expect([...evenBatches(0, 3)]).toEqual([0]);
    expect([...cutBatches([5, 5, 3, 9], { kind: "tokens", tokens: 10 })]).toEqual([0, 2, 3, 4]);
  });

  it("are the same for the same seed and epoch, others for another", async () => {
    const source = cellsOf(new Array<number>(60).fill(3));
    const epochs = await batchesOf(source, byCells(8, { epochs: 2 }));
    expect(epochs.slice(0, 8)).not.toEqual(epochs.slice(8));
    expect(await batchesOf(source, byCells(8, { epochs: 2 }))).toEqual(epochs);
    expect(await batchesOf(source, byCells(8, { epochs: 2, seed: 6 }))).not.toEqual(epochs);
  });

  it("come from all rows in every order where one window holds them", async () => {
    const source = cellsOf([1, 1, 1, 1], Float64Array.of(0, 2, 4));
    const orders = new Map<string, number>();
    const epochs = 6000;
    for (const batch of await batchesOf(source, byCells(4, { epochs }))) {
      orders.set(batch.join(), (orders.get(batch.join()) ?? 0) + 1);
    }
    expect(orders.size).toBe(24);
    const expected = epochs / 24;
    const chiSquare = [...orders.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    expect(chiSquare).toBeLessThan(49.7); // 23 degrees of freedom, p = 0.001
  });

  it("put cells of similar length together with length buckets, the batches in random order", async () => {
    const lengths = upTo(300).map((i) => 1 + ((i * 7) % 20));
    const spread = async (lengthBuckets: boolean) => {
      const batches = await batchesOf(cellsOf(lengths), byCells(10, { lengthBuckets }));
      const ranges = batches.map((rows) => {
        const own = rows.map((row) => lengths[row]!);
        return Math.max(...own) - Math.min(...own);
      });
      return { range: Math.max(...ranges), first: batches.map((rows) => lengths[rows[0]!]!) };
    };
    const { range, first } = await spread(true);
    expect(range).toBeLessThanOrEqual(1);
    expect((await spread(false)).range).toBeGreaterThan(10);
    expect(first).not.toEqual(ascending(first));
  });
});

describe("what is in memory", () => {
  /** Rows of each call of `read`, and the most cells in two windows. */
  async function readsOf(
    options: BatchLoaderOptions,
    stopAfter = Number.POSITIVE_INFINITY,
  ): Promise<Int32Array[]> {
    const parts = Float64Array.from({ length: 41 }, (_, part) => part * 10);
    const source = cellsOf(new Array<number>(400).fill(5), parts);
    const reads: Int32Array[] = [];
    const read = source.read.bind(source);
    source.read = (rows, signal) => {
      reads.push(rows.slice());
      return read(rows, signal);
    };
    await using loader = new BatchLoader(source, tokenizer, { worker: false, epochs: 1, ...options });
    for (let i = 0; i < stopAfter; i++) if ((await loader.next()).done === true) break;
    return reads;
  }

  it("is one window of whole parts, the next and a part", async () => {
    const reads = await readsOf(byCells(6, { windowCells: 40 }), 1);
    const parts = reads.map((rows) => (rows[0] ?? 0) / 10);
    for (const rows of reads) expect([...rows]).toEqual(upTo(10).map((i) => rows[0]! + i));
    expect(reads.length).toBeLessThanOrEqual(9);
    expect(ascending(parts)).not.toEqual(upTo(parts.length));
  });

  it("is less where cells express many genes", async () => {
    expect(
      (await readsOf(byCells(6, { windowCells: 400, windowCounts: 100 }), 1)).length,
    ).toBeLessThanOrEqual(5);
  });

  it("is reached again on resuming without reading what came before", async () => {
    const whole = await readsOf(byCells(6, { windowCells: 40 }));
    expect(whole).toHaveLength(40);
    const late = await readsOf(byCells(6, { windowCells: 40, start: { epoch: 0, window: 36, batch: 3 } }));
    expect(late).toEqual(whole.slice(36));
  });
});

describe("the order of reading", () => {
  const order = (bounds: readonly number[], more: Partial<PlanOptions> = {}) =>
    new ReadingOrder(
      Float64Array.from(bounds),
      checkPlanOptions({ limit: { kind: "cells", cells: 1 }, seed: 1, windowCells: 4, ...more }),
    );

  it("cuts parts that are longer than a window, and keeps their pieces one after the other", () => {
    const own = order([0, 3, 13, 14]);
    const pieces = upTo(own.count(0)).map((place) => own.piece(0, place));
    expect(ascending(pieces.map(({ first }) => first))).toEqual([0, 3, 7, 11, 13]);
    const cut = pieces.findIndex(({ first }) => first === 3);
    expect(pieces.slice(cut, cut + 3)).toEqual([
      { first: 3, end: 7 },
      { first: 7, end: 11 },
      { first: 11, end: 13 },
    ]);
  });

  it("gives each of many readers some of few cells", () => {
    for (const index of upTo(8)) {
      expect(order([0, 40], { shard: { index, count: 8 } }).count(3)).toBeGreaterThan(0);
    }
  });

  it("refuses options out of range by name", () => {
    expect(() => order([0], { windowCells: 0 })).toThrow("windowCells");
    expect(() => order([0], { windowCounts: 1.5 })).toThrow("windowCounts");
    expect(() => order([0], { seed: -1 })).toThrow("seed");
    expect(() => order([0], { shard: { index: 2, count: 2 } })).toThrow("shard.index");
    expect(() => order([0], { limit: { kind: "cells", cells: 0 } })).toThrow("batchCells");
  });
});
