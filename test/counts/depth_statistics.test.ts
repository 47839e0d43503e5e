import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RandomStream } from "../../lib/base/random.js";
import { concatenateBatches, splitBatch } from "../../lib/batching/index.js";
import { CountBase } from "../../lib/counts/count_base.js";
import { DepthStatistics } from "../../lib/counts/depth_statistics.js";
import { thinCounts } from "../../lib/counts/thin_counts.js";
import type { RaggedBatch } from "../../lib/tokenizer/ragged_batch.js";
import { ranksInProcess } from "../cluster/in_process.js";
import { largestDifference, readFixture } from "./reference.js";

/** Cells of [gene id, count], zeros left out; cls first. */
function batchOf(cells: readonly (readonly (readonly [number, number])[])[], panels: number[]): RaggedBatch {
  const offsets = [0];
  const tokens: (readonly [number, number])[] = [];
  for (const cell of cells) {
    tokens.push([1, 0], ...cell.filter(([, count]) => count > 0));
    offsets.push(tokens.length);
  }
  return {
    offsets: Int32Array.from(offsets),
    genes: Int32Array.from(tokens, ([gene]) => gene),
    tokens: Int32Array.from(tokens, ([, count]) => (count === 0 ? 0 : 2 + Math.min(count, 63))),
    counts: Int32Array.from(tokens, ([, count]) => count),
    cells: Float64Array.from(cells.keys()),
    panels: Int32Array.from(panels),
  };
}

function fixtureBatch(name: string) {
  const tensor = readFixture(name);
  const genes = tensor("out.share").length - 3;
  const counts = tensor("in.train_counts");
  const cells = Array.from({ length: counts.length / genes }, (_, cell) =>
    Array.from({ length: genes }, (_, gene) => [gene + 3, counts[cell * genes + gene]!] as const),
  );
  return { tensor, genes, cells, panel: Int32Array.from({ length: genes }, (_, gene) => gene + 3) };
}

describe("statistics of depth", () => {
  for (const name of ["counts", "counts_deep"]) {
    it(`are the reference's, however the cells are batched: ${name}`, () => {
      const { tensor, genes, cells, panel } = fixtureBatch(name);
      const batch = batchOf(
        cells,
        cells.map(() => 0),
      );
      const statistics = new DepthStatistics(genes + 3, [panel]);
      for (const part of splitBatch(batch, { kind: "cells", cells: 7 })) statistics.add(part);
      const base = statistics.base();
      expect(statistics.cells).toBe(cells.length);
      expect(largestDifference(base.share, tensor("out.share"))).toBeLessThan(1e-12);
      expect(largestDifference(base.size, tensor("out.size"))).toBeLessThan(1e-12);
      // The file has these two as float32.
      expect(Math.fround(base.meanDepth)).toBe(tensor("out.mean_depth")[0]);
      expect(largestDifference([base.spread], tensor("out.a"))).toBeLessThan(1e-7);
    });
  }

  it("of equal panels under several numbers are those of one", () => {
    const { genes, cells, panel } = fixtureBatch("counts");
    const one = new DepthStatistics(genes + 3, [panel]);
    one.add(
      batchOf(
        cells,
        cells.map(() => 0),
      ),
    );
    const two = new DepthStatistics(genes + 3, [panel, panel.slice()]);
    two.add(
      batchOf(
        cells,
        cells.map((_, cell) => cell % 2),
      ),
    );
    const [a, b] = [one.base(), two.base()];
    expect(largestDifference(b.share, a.share)).toBeLessThan(1e-12);
    expect(largestDifference(b.size, a.size)).toBeLessThan(1e-9);
    expect(b.meanDepth).toBeCloseTo(a.meanDepth, 9);
    expect(b.spread).toBeCloseTo(a.spread, 9);
  });

  it("find the shares behind cells of overlapping panels, and depths as if every gene were measured", () => {
    const random = new RandomStream(3, 9);
    const weights = Array.from({ length: 30 }, (_, gene) => 1 + (gene % 7) ** 2);
    const sum = weights.reduce((a, b) => a + b, 0);
    const truth = weights.map((weight) => weight / sum);
    const panels = [
      [0, 18],
      [12, 27],
      [5, 30],
    ].map(([first, end]) => Int32Array.from({ length: end! - first! }, (_, i) => first! + i + 3));
    const depth = 40_000;
    const numbers = Array.from({ length: 600 }, (_, cell) => cell % 3);
    const cells = numbers.map((number) =>
      Array.from(panels[number]!, (gene) => {
        // Poisson by its normal limit is exact enough here: what is tested is panels, not noise.
        const mean = depth * truth[gene - 3]!;
        return [gene, Math.max(0, Math.round(mean + Math.sqrt(mean) * random.normal()))] as const;
      }),
    );
    const statistics = new DepthStatistics(34, panels);
    statistics.add(batchOf(cells, numbers));
    const base = statistics.base();
    expect(largestDifference(base.share.slice(3, 33), truth)).toBeLessThan(0.02);
    expect(base.share.slice(3, 33).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
    expect(base.meanDepth / depth).toBeCloseTo(1, 2);
    // Nobody measures gene 33: the share of a gene that all measure and none expresses.
    expect(base.share[33]).toBeGreaterThan(0);
    expect(base.share[33]).toBeLessThan(1e-7);
    expect(base.size[33]).toBe(100);
    expect([...base.share.slice(0, 3)]).toEqual([0, 0, 0]);
    expect([...base.size.slice(0, 3)]).toEqual([1, 1, 1]);
  });

  it("of cells that several processes count are those of one, to the last bit", async () => {
    const { genes, cells, panel } = fixtureBatch("counts");
    // Panels of all genes, of the first half, and of which no cell is.
    const half = panel.slice(0, panel.length / 2);
    const panels = [panel, half, panel.slice(1)];
    const numbers = cells.map((_, cell) => (cell % 3 === 0 ? 1 : 0));
    const own = cells.map((cell, i) =>
      numbers[i] === 1 ? cell.filter(([gene]) => half.includes(gene)) : cell,
    );
    const one = new DepthStatistics(genes + 3, panels);
    one.add(batchOf(own, numbers));
    const bases = await Promise.all(
      ranksInProcess(3).map(async (cluster) => {
        // The last of them has no cell.
        const isOwn = (_: unknown, cell: number) => cluster.rank === (cell % 5 < 2 ? 0 : 1);
        const statistics = new DepthStatistics(genes + 3, panels);
        statistics.add(batchOf(own.filter(isOwn), numbers.filter(isOwn)));
        await statistics.addUp((values) => cluster.sum(values));
        expect(statistics.cells).toBe(cells.length);
        return statistics.base();
      }),
    );
    for (const base of bases) expect(base).toEqual(one.base());
  });

  it("say that there is nothing to count", () => {
    const statistics = new DepthStatistics(5, [Int32Array.of(3, 4)]);
    statistics.add(batchOf([[], []], [0, 0]));
    expect(() => statistics.base()).toThrow(/DATA_NO_COUNTS.*2 cells/);
    expect(() => statistics.add(batchOf([[[3, 1]]], [1]))).toThrow(/BATCH_INVALID.*panel 1/);
  });
});

describe("the base of counts", () => {
  const base = new CountBase({
    share: Float64Array.of(0, 0, 0, 0.1 + 0.2, 0.7),
    size: Float64Array.of(1, 1, 1, 1 / 3, 100),
    meanDepth: 1234.5,
    spread: 2 / 3,
  });

  it("is read from JSON as it was written, to the last bit", () => {
    expect(CountBase.fromJSON(JSON.parse(JSON.stringify(base)))).toEqual(base);
  });

  it("refuses JSON that describes none", () => {
    const good = base.toJSON();
    for (const [bad, problem] of [
      [undefined, "lists of numbers"],
      [{ ...good, share: "x" }, "lists of numbers"],
      [{ ...good, share: [0.5, null] }, "lists of numbers"],
      [{ ...good, size: [1] }, "5 shares but 1 sizes"],
      [{ ...good, share: [0, 0, 0, -1, 0] }, "gene id 3 is -1"],
      [{ ...good, size: [1, 1, 1, 1, 0] }, "gene id 4 is 0"],
      [{ ...good, meanDepth: 0 }, "meanDepth is 0"],
      [{ ...good, spread: null }, "numbers"],
    ] as const) {
      expect(() => CountBase.fromJSON(bad, "a/config.json")).toThrow(
        new RegExp(`CHECKPOINT_CONFIG.*a/config.json.*${problem}`),
      );
    }
  });

  it("estimates depth: the mean where nothing is visible, V / S where all is", () => {
    expect(base.estimateDepth(0, 0)).toBeCloseTo(base.meanDepth, 9);
    expect(base.estimateDepth(1e9, 1)).toBeCloseTo((1e9 + 2 / 3) / (1 + 2 / 3 / 1234.5), 4);
    expect(base.remainingDepth(1000, 400, 0.25)).toBe(800);
    expect(base.remainingDepth(1000, 400, 0.25, 0.5)).toBe(1200);
    expect(base.remainingDepth(10, 400, 0.5)).toBe(1);
  });
});

describe("molecules in two batches", () => {
  const cell = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 40 });

  it("are all there, once, in the same cells", async () => {
    const property = fc.asyncProperty(
      fc.array(cell, { minLength: 1, maxLength: 5 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      async (cells, keep) => {
        const batch = batchOf(
          cells.map((counts) => counts.map((count, i) => [i + 3, count] as const)),
          cells.map(() => 0),
        );
        const { kept, given } = await thinCounts(batch, keep, 7);
        const sums = new Map<string, number>();
        for (const part of [kept, given]) {
          expect([...part.cells]).toEqual([...batch.cells]);
          expect(part.panels).toEqual(batch.panels);
          expect(part.tokens.length).toBe(part.counts!.length);
          for (let i = 0; i < cells.length; i++) {
            for (let token = part.offsets[i]!; token < part.offsets[i + 1]!; token++) {
              const gene = part.genes[token]!;
              const count = part.counts![token]!;
              expect(count > 0).toBe(gene !== 1);
              sums.set(`${i} ${gene}`, (sums.get(`${i} ${gene}`) ?? 0) + count);
            }
          }
        }
        const expected = new Map<string, number>();
        for (const [i, counts] of cells.entries()) {
          expected.set(`${i} 1`, 0);
          for (const [gene, count] of counts.entries())
            if (count > 0) expected.set(`${i} ${gene + 3}`, count);
        }
        expect([...sums].sort()).toEqual([...expected].sort());
      },
    );
    await fc.assert(property, { numRuns: 50 });
  });

  it("are split at the chance asked for, in the same way whatever the batch", async () => {
    const cells = Array.from({ length: 50 }, () => [[3, 1000] as const, [4, 1000] as const]);
    const batch = batchOf(
      cells,
      cells.map(() => 0),
    );
    const { kept, given } = await thinCounts(batch, 0.9, 11);
    const share = kept.counts!.reduce((a, b) => a + b, 0) / 100_000;
    expect(Math.abs(share - 0.9)).toBeLessThan(5 * Math.sqrt((0.9 * 0.1) / 100_000));
    const parts = await Promise.all(
      splitBatch(batch, { kind: "cells", cells: 7 }).map((part) => thinCounts(part, 0.9, 11)),
    );
    expect(concatenateBatches(parts.map((part) => part.kept))).toEqual(kept);
    expect(concatenateBatches(parts.map((part) => part.given))).toEqual(given);
    expect((await thinCounts(batch, 0.9, 12)).kept.counts).not.toEqual(kept.counts);
  });

  it("need counts", async () => {
    const { counts: _, ...ranks } = batchOf([[[3, 1]]], [0]);
    await expect(thinCounts(ranks, 0.5, 1)).rejects.toThrow("BATCH_INVALID");
    await expect(thinCounts(batchOf([[[3, 1]]], [0]), 1.5, 1)).rejects.toThrow(/ARGUMENT_RANGE.*keep/);
  });
});
