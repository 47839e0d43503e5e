import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BatchLoader, type BatchLoaderOptions } from "../../lib/batching/index.js";
import { countLaneCells } from "../../lib/batching/lane_cells.js";
import { LaneOrder, lanesOf, spreadLanes } from "../../lib/batching/lane_order.js";
import { alone } from "../../lib/cluster/cluster.js";
import { rowRange } from "../../lib/data/sources/parts.js";
import { together } from "../cluster/in_process.js";
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
import { variedSource } from "./small_source.js";

const CELLS = 600;
const PART = 30;
const plain: BatchLoaderOptions = {
  limit: { kind: "cells", cells: 20 },
  seed: 2,
  windowCells: 200,
  lanes: 6,
  worker: false,
};

/** Cells whose lengths vary tenfold, some without genes, in 20 parts; nobody knows their lengths before they are read. */
function cells() {
  const partBounds = Float64Array.from({ length: CELLS / PART + 1 }, (_, part) => part * PART);
  return Object.assign(variedSource(CELLS), { partBounds, storedCounts: () => undefined });
}

const boundsOf = (parts: readonly number[]) => {
  let end = 0;
  return Float64Array.from([0, ...parts.map((rows) => (end += rows))]);
};

describe("lanes", () => {
  it.each([2, 3, 4, 6])(
    "give %d ranks the batches of one process, each rank reading its own parts alone",
    async (world) => {
      for (const values of ["ranks", "counts"] as const) {
        const options = { ...plain, epochs: 3 };
        const whole = recorded(cells());
        const expected = await collect(whole.source, options, tokenizerOf(whole.source, values));
        const ranks = await byRank(world, options, cells, values);
        const parts = joined(ranks);
        expect(parts.map(({ batch, epoch, next }) => ({ batch, epoch, next }))).toEqual(
          expected.map(({ batch, epoch, next }) => ({ batch, epoch, next })),
        );
        expect(counted(parts)).toEqual(counted(expected));
        const partsOf = ranks.map(({ asked }) => new Set(asked.map((row) => Math.floor(row / PART))));
        expect(partsOf.reduce((sum, own) => sum + own.size, 0)).toBe(CELLS / PART);
        // Lanes of 3 or 4 parts, as many for a rank as can be.
        const most = 3 * Math.ceil(6 / world) * 4 * PART;
        for (const { asked } of ranks) expect(asked.length).toBeLessThanOrEqual(most);
        expect(ascending(ranks.flatMap(({ asked }) => asked))).toEqual(ascending(whole.asked));
      }
    },
  );

  it("of some cells have these counted first, each rank looking at the names of its own parts alone", async () => {
    // Of few cells all names are looked at.
    const many = () => {
      const partBounds = Float64Array.from({ length: 41 }, (_, part) => part * PART);
      return Object.assign(variedSource(40 * PART), { partBounds, storedCounts: () => undefined });
    };
    const heldOut = { kind: "fraction", fraction: 0.3, seed: 5 } as const;
    const selection = { split: { heldOut, side: "train" } } as const;
    const options = { ...plain, epochs: 2, selection };
    const expected = await collect(many(), options);
    const ranks = await together(3, async (peers) => {
      const { rank, world } = peers;
      const source = many();
      const named = new Set<number>();
      const cellIds = source.cellIds.bind(source);
      source.cellIds = async (rows) => {
        for (const row of rows) named.add(Math.floor(row / PART));
        return cellIds(rows);
      };
      const laneCells = await countLaneCells(source, selection, options, peers);
      expect(laneCells).toHaveLength(40);
      return { batches: await collect(source, { ...options, share: { rank, world }, laneCells }), named };
    });
    const parts = joined(ranks);
    expect(parts.map(({ batch, next }) => ({ batch, next }))).toEqual(
      expected.map(({ batch, next }) => ({ batch, next })),
    );
    expect(ranks.reduce((sum, { named }) => sum + named.size, 0)).toBe(40);
    expect(await countLaneCells(many(), {}, options, { ...alone, world: 3 })).toBe(undefined);
    expect(await countLaneCells(many(), selection, options, alone)).toBe(undefined);
  });

  it("have cells in every batch, each about its share, in another order each epoch", async () => {
    const batches = await collect(cells(), { ...plain, epochs: 2 });
    const rows = batches.map(({ batch }) => [...batch.cells]);
    const half = rows.length / 2;
    const [first, second] = [rows.slice(0, half), rows.slice(half)];
    const usable = [...rowRange(0, CELLS)].filter((row) => (row * 7) % 30 !== 0);
    expect(ascending(first!.flat())).toEqual(usable);
    expect(ascending(second!.flat())).toEqual(usable);
    expect(first).not.toEqual(second);
    const order = new LaneOrder(cells().partBounds, { lanes: 6, windowCells: 200, seed: 2 });
    const firstRow = Array.from({ length: 6 }, (_, lane) =>
      Math.min(
        ...Array.from({ length: order.windows }, (_, i) => order.piece(order.pieces(0, i, lane)[0]!).first),
      ),
    );
    for (const batch of first!) {
      for (const [lane, from] of firstRow.entries()) {
        const own = batch.filter((row) => row >= from && row < (firstRow[lane + 1] ?? CELLS));
        // 20 cells of 6 lanes, in which 1 of 30 has no gene.
        expect(own.length).toBeGreaterThanOrEqual(1);
        expect(own.length).toBeLessThanOrEqual(6);
      }
    }
  });

  it("go on where any number of other ranks stopped", async () => {
    await expectToGoOn(cells, plain, { mostRanks: 6, runs: 12 });
  });

  it("know the batches of a selection, too, and read data of one window once", async () => {
    const selection = {
      rows: Int32Array.from({ length: CELLS }, (_, row) => row).filter((row) => row % 10 < 7),
    };
    const options = { ...plain, windowCells: 1000, selection, epochs: 3 };
    const whole = recorded(cells());
    const expected = await collect(whole.source, options);
    expect(new Set(whole.asked).size).toBe(whole.asked.length);
    const ranks = await byRank(3, options, cells);
    expect(joined(ranks).map(({ batch }) => batch)).toEqual(expected.map(({ batch }) => batch));
    for (const { batch } of expected) expect(batch.cells.length).toBeLessThanOrEqual(20);
    const perEpoch = expected.length / 3;
    expect(ascending(expected.slice(0, perEpoch).flatMap(({ batch }) => [...batch.cells]))).toEqual(
      ascending(expected.slice(perEpoch, 2 * perEpoch).flatMap(({ batch }) => [...batch.cells])),
    );
    expect([...expected[0]!.batch.cells]).not.toEqual([...expected[perEpoch]!.batch.cells]);
  });

  it("are read by a worker thread, too", async () => {
    const options = { ...plain, epochs: 1, share: { rank: 1, world: 3 } };
    const source = () => variedSource(CELLS);
    const lanes = { ...options, lanes: 3, windowCells: 256 };
    expect(await collect(source(), { ...lanes, worker: true })).toEqual(await collect(source(), lanes));
  });

  it("are told of what they cannot be", async () => {
    const open = (more: Partial<BatchLoaderOptions>) => () =>
      new BatchLoader(cells(), tokenizerOf(cells()), { ...plain, ...more });
    expect(open({ share: { rank: 0, world: 7 } })).toThrow(
      /ARGUMENT_RANGE: expected at least 7 for lanes but received 6/,
    );
    expect(open({ lanes: 0 })).toThrow(/ARGUMENT_RANGE.*lanes/);
    expect(open({ limit: { kind: "tokens", tokens: 150 } })).toThrow(/ARGUMENT_CONFLICT.*tokens/);
    expect(open({ lengthBuckets: true })).toThrow(/ARGUMENT_CONFLICT.*lengthBuckets/);
    expect(open({ shard: { index: 0, count: 2 } })).toThrow(/ARGUMENT_CONFLICT.*shard/);
    await expect(collect(cells(), { ...plain, lanes: 21 })).rejects.toThrow(
      /ARGUMENT_RANGE: expected at most 20 for lanes but received 21/,
    );
  });
});

const shapes = fc
  .record({
    parts: fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 40 }),
    windowCells: fc.integer({ min: 1, max: 60 }),
    lanes: fc.integer({ min: 1, max: 12 }),
    seed: fc.nat(),
    epoch: fc.nat({ max: 3 }),
  })
  .filter(({ parts, windowCells, lanes }) => {
    const pieces = parts.reduce((sum, rows) => sum + Math.ceil(rows / windowCells), 0);
    return pieces >= lanes;
  });

describe("LaneOrder", () => {
  it("gives every row of a source to one lane and one window", () => {
    fc.assert(
      fc.property(shapes, ({ parts, epoch, ...options }) => {
        const order = new LaneOrder(boundsOf(parts), options);
        const rows: number[] = [];
        for (let lane = 0; lane < options.lanes; lane++) {
          const own: number[] = [];
          for (let window = 0; window < order.windows; window++) {
            const pieces = order.pieces(epoch, window, lane);
            expect(pieces.length).toBeGreaterThan(0);
            for (const piece of pieces) {
              const { first, end } = order.piece(piece);
              expect(end - first).toBeLessThanOrEqual(options.windowCells);
              own.push(...rowRange(first, end));
            }
          }
          // Neighbouring rows, whatever the epoch.
          rows.push(...ascending(own));
        }
        expect(rows).toEqual([...rowRange(0, rows.length)]);
        expect(rows).toHaveLength(parts.reduce((sum, each) => sum + each, 0));
      }),
    );
  });

  it("has the same order whether parts without rows lie between the others or not", () => {
    fc.assert(
      fc.property(shapes, ({ parts, epoch, ...options }) => {
        const [all, filled] = [parts, parts.filter((rows) => rows > 0)].map((each) => {
          const order = new LaneOrder(boundsOf(each), options);
          const windows = Array.from({ length: order.windows }, (_, window) => window);
          return Array.from({ length: options.lanes }, (_, lane) =>
            windows.map((window) => order.pieces(epoch, window, lane)),
          );
        });
        expect(all).toEqual(filled);
      }),
    );
  });

  it("divides rows about evenly, where parts allow it", () => {
    const order = new LaneOrder(boundsOf(new Array<number>(100).fill(10)), {
      lanes: 7,
      windowCells: 70,
      seed: 1,
    });
    for (let lane = 0; lane < 7; lane++) {
      let cells = 0;
      for (let window = 0; window < order.windows; window++)
        for (const piece of order.pieces(0, window, lane)) {
          const { first, end } = order.piece(piece);
          cells += end - first;
        }
      expect(Math.abs(cells - 1000 / 7)).toBeLessThanOrEqual(10);
    }
  });

  it("gives every lane to one rank", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300 }), (lanes, world) => {
        let next = 0;
        for (let rank = 0; rank < world; rank++) {
          const { first, end } = lanesOf(lanes, { rank, world });
          expect(first).toBe(next);
          if (world <= lanes) expect(end).toBeGreaterThan(first);
          next = end;
        }
        expect(next).toBe(lanes);
      }),
    );
  });
});

describe("spreadLanes", () => {
  it("gives every batch its share of each lane, to within a cell, and no batch too many", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 90 }), { minLength: 1, maxLength: 9 }),
        fc.integer({ min: 1, max: 40 }),
        (counts, batchCells) => {
          const spread = spreadLanes(counts, batchCells);
          const total = counts.reduce((sum, each) => sum + each, 0);
          expect(spread.map((lane) => lane.reduce((sum, each) => sum + each, 0))).toEqual(counts);
          const batches = Math.ceil(total / batchCells);
          for (const lane of spread) expect(lane).toHaveLength(batches);
          for (let batch = 0; batch < batches; batch++) {
            const size = spread.reduce((sum, lane) => sum + lane[batch]!, 0);
            expect(size).toBeLessThanOrEqual(batchCells);
            expect(size).toBeGreaterThanOrEqual(Math.floor(total / batches));
            for (const [lane, cells] of counts.entries()) {
              const share = (cells / total) * size;
              expect(Math.abs(spread[lane]![batch]! - share)).toBeLessThanOrEqual(2);
            }
          }
        },
      ),
    );
  });
});
