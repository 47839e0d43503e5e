import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BatchLoader, type BatchLoaderOptions } from "../../lib/batching/index.js";
import { cutShare } from "../../lib/batching/share.js";
import { ConcatenatedSource } from "../../lib/data/sources/concatenate.js";
import { MemorySource } from "../../lib/data/sources/memory.js";
import type { CellSource } from "../../lib/data/sources/source.js";
import { subsetSource } from "../../lib/data/sources/subset.js";
import {
  ascending,
  byRank,
  collect,
  counted,
  expectToGoOn,
  joined,
  recorded,
  tokenizerOf,
} from "./rank_batches.js";
import { smallCells, variedSource } from "./small_source.js";

const CELLS = 600;
const plain: BatchLoaderOptions = {
  limit: { kind: "cells", cells: 20 },
  seed: 2,
  windowCells: 256,
  worker: false,
};

/** Cells whose lengths vary tenfold, some without genes: parts of 256 rows. */
function cells(): MemorySource {
  return variedSource(CELLS);
}

describe("ranks that share batches", () => {
  it.each([2, 3, 5])(
    "read disjoint cells that together make the batches of one process: %d ranks",
    async (world) => {
      for (const values of ["ranks", "counts"] as const) {
        const options = { ...plain, epochs: 2 };
        const whole = recorded(cells());
        const expected = await collect(whole.source, options, tokenizerOf(whole.source, values));
        const ranks = await byRank(world, options, cells, values);
        const parts = joined(ranks);
        expect(parts.map(({ batch, epoch, next }) => ({ batch, epoch, next }))).toEqual(
          expected.map(({ batch, epoch, next }) => ({ batch, epoch, next })),
        );
        expect(counted(parts)).toEqual(counted(expected));
        // Each row of the two epochs was read by one rank, and once.
        expect(ascending(ranks.flatMap(({ asked }) => asked))).toEqual(ascending(whole.asked));
        for (const { asked, batches } of ranks) {
          expect(asked.length).toBeLessThan((1.3 * 2 * CELLS) / world);
          const used = new Set(batches.flatMap(({ batch }) => [...batch.cells]));
          // Beside its cells, only those without a gene.
          for (const row of asked) if (!used.has(row)) expect((row * 7) % 30).toBe(0);
        }
      }
    },
  );

  it("have about as many tokens each", async () => {
    const ranks = await byRank(3, { ...plain, epochs: 1 }, cells, "counts");
    for (const [i] of ranks[0]!.batches.entries()) {
      const tokens = ranks.map(({ batches }) => batches[i]!.batch.tokens.length);
      expect(Math.max(...tokens)).toBeLessThanOrEqual(tokens.reduce((sum, each) => sum + each) / 3 + 31);
    }
  });

  it("go on where any number of others stopped", async () => {
    await expectToGoOn(cells, plain, { mostRanks: 4, runs: 10 });
  });

  it("make the same batches where windows end by counts, of cells of some sources and of held-out splits", async () => {
    const both = () =>
      new ConcatenatedSource(
        [
          subsetSource(
            cells(),
            Int32Array.from({ length: 300 }, (_, i) => 2 * i),
          ),
          variedSource(280, 12),
        ],
        "both",
      );
    const heldOut = { kind: "fraction", fraction: 0.3, seed: 5 } as const;
    const variants: Partial<BatchLoaderOptions>[] = [
      { windowCounts: 900 },
      { windowCells: 300, selection: { split: { heldOut, side: "train" } } },
    ];
    for (const variant of variants) {
      const options = { ...plain, ...variant, epochs: 2 };
      const ranks = await byRank(2, options, both);
      expect(joined(ranks).map(({ batch }) => batch)).toEqual(
        (await collect(both(), options)).map(({ batch }) => batch),
      );
      const [one, other] = ranks.map(({ asked }) => asked);
      expect(Math.abs(one!.length - other!.length)).toBeLessThan(80);
    }
  });

  it("make the same batches where zeros are stored, which windows that end by counts count", async () => {
    const zeros = () =>
      new MemorySource(
        smallCells(
          Array.from({ length: CELLS }, (_, cell) =>
            Array.from({ length: 1 + (cell % 9) }, (_, gene) => [gene, gene % 2] as const),
          ),
          9,
        ),
      );
    const options = { ...plain, windowCells: 550, windowCounts: 900, epochs: 1 };
    const expected = await collect(zeros(), options);
    expect(joined(await byRank(2, options, zeros)).filter(({ batch }) => batch.cells.length > 0)).toEqual(
      expected,
    );
  });

  it.each<[string, Partial<BatchLoaderOptions>, () => CellSource]>([
    ["batches are cut by lengths", { limit: { kind: "tokens", tokens: 150 } }, cells],
    ["cells are sorted by length", { lengthBuckets: true }, cells],
    ["all cells fit in one window, which is kept", { windowCells: 1000 }, cells],
    [
      "the source does not tell its counts",
      {},
      () => Object.assign(cells(), { storedCounts: () => undefined }),
    ],
  ])("read all cells and tokenize their own where %s", async (_, variant, make) => {
    const options = { ...plain, ...variant, epochs: 2 };
    const whole = recorded(make());
    const expected = await collect(whole.source, options);
    const ranks = await byRank(3, options, make);
    const parts = joined(ranks);
    expect(parts.map(({ batch }) => batch)).toEqual(expected.map(({ batch }) => batch));
    expect(counted(parts)).toEqual(counted(expected));
    for (const { asked } of ranks) expect(ascending(asked)).toEqual(ascending(whole.asked));
  });

  it("get their share from a worker thread, too", async () => {
    const share = { rank: 1, world: 3 };
    const options = { ...plain, epochs: 1, share };
    const here = await collect(cells(), options);
    expect(await collect(cells(), { ...options, worker: true })).toEqual(here);
  });

  it("get an empty batch where there are more ranks than cells", async () => {
    const few = () => new MemorySource(smallCells([[[0, 1]], [[1, 2]], []], 2));
    const ranks = await byRank(
      4,
      { ...plain, windowCells: 1, limit: { kind: "cells", cells: 1 }, epochs: 1 },
      few,
    );
    for (const { batches } of ranks) expect(batches).toHaveLength(3);
    expect(ascending(joined(ranks).flatMap(({ batch }) => [...batch.cells]))).toEqual([0, 1]);
    expect(ranks.flatMap(({ asked }) => asked)).toHaveLength(3);
  });

  it("are told of a rank that there is not", () => {
    const open = (share: { rank: number; world: number }) => () =>
      new BatchLoader(cells(), tokenizerOf(cells()), { ...plain, share });
    expect(open({ rank: 2, world: 2 })).toThrow(/ARGUMENT_RANGE.*share\.rank/);
    expect(open({ rank: 0, world: 0 })).toThrow(/ARGUMENT_RANGE.*share\.world/);
  });
});

describe("cutShare", () => {
  it("gives every cell to one rank, whatever the weights", () => {
    const weights = fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 60 });
    fc.assert(
      fc.property(weights, fc.integer({ min: 1, max: 40 }), (given, world) => {
        let next = 0;
        for (let rank = 0; rank < world; rank++) {
          const { first, last } = cutShare(given, { rank, world });
          expect(first).toBe(next);
          next = last;
        }
        expect(next).toBe(given.length);
      }),
    );
  });
});
