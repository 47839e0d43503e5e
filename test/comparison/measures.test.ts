import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CellRows } from "../../lib/comparison/cell_rows.js";
import {
  compareCorrelationSets,
  compareCorrelations,
  correlatedGenes,
  correlations,
} from "../../lib/comparison/correlations.js";
import { meanDistance, nearestDistances } from "../../lib/comparison/distances.js";
import {
  compareGeneZeros,
  compareMoments,
  compareTotals,
  compareZeros,
  geneSums,
  zeroShares,
} from "../../lib/comparison/marginals.js";
import { compareNearest, ResampledMedian } from "../../lib/comparison/memorisation.js";
import { CellResamples, resampledMeans } from "../../lib/evaluation/counts/bootstrap.js";
import { rowsFrom, streamOf } from "./support.js";

const dense = fc.array(fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 4, maxLength: 4 }), {
  minLength: 2,
  maxLength: 20,
});
const distance = (a: readonly number[], b: readonly number[]) =>
  Math.sqrt(a.reduce((sum, count, i) => sum + (Math.log1p(count) - Math.log1p(b[i]!)) ** 2, 0));
const resamplesOf = (cells: number) => ({
  real: new CellResamples(cells, 400, 0),
  generated: new CellResamples(cells, 400, 1),
});
const zerosOf = async (real: readonly CellRows[], generated: readonly CellRows[]) =>
  compareZeros(await zeroShares(real, 400, 0, undefined), await zeroShares(generated, 400, 1, undefined));
const average = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe("distances", () => {
  it("are those of dense cells: means over pairs, and to the nearest other cell", async () => {
    await fc.assert(
      fc.asyncProperty(dense, dense, async (a, b) => {
        const [x, y] = [rowsFrom(a), rowsFrom(b)];
        const between = a.flatMap((row) => b.map((other) => distance(row, other)));
        const within = a.flatMap((row, i) =>
          a.filter((_, j) => j !== i).map((other) => distance(row, other)),
        );
        expect(await meanDistance(x, y, undefined)).toBeCloseTo(average(between), 5);
        expect(await meanDistance(x, undefined, undefined)).toBeCloseTo(average(within), 5);
        const nearest = await nearestDistances(x, y, undefined);
        for (const [i, row] of a.entries()) {
          expect(nearest[i]).toBeCloseTo(Math.min(...b.map((other) => distance(row, other))), 5);
        }
        const own = await nearestDistances(x, x, undefined, Int32Array.from(a.keys()));
        for (const [i, row] of a.entries()) {
          const others = a.filter((_, j) => j !== i).map((other) => distance(row, other));
          expect(own[i]).toBeCloseTo(Math.min(...others), 5);
        }
      }),
      { numRuns: 30 },
    );
  });

  it("of equal cells are 0 to the last bit", async () => {
    const cells = Array.from({ length: 40 }, (_, i) =>
      Array.from({ length: 50 }, (_, gene) => (i * gene) % 13),
    );
    expect(Math.max(...(await nearestDistances(rowsFrom(cells), rowsFrom(cells), undefined)))).toBe(0);
  });
});

describe("marginals", () => {
  const real = [
    [0, 2, 4],
    [2, 0, 1],
    [0, 0, 3],
    [4, 0, 8],
  ];
  const generated = [
    [1, 1, 2],
    [1, 0, 2],
    [0, 0, 2],
    [1, 0, 2],
  ];
  const [x, y] = [rowsFrom(real), rowsFrom(generated)];
  const sums = { real: geneSums(x), generated: geneSums(y) };

  it("count zeros over all entries and by gene", async () => {
    const scores = await zerosOf([x], [y]);
    const byGene = compareGeneZeros(sums.real, sums.generated);
    expect(scores.real).toBeCloseTo(5 / 12, 12);
    expect(scores.generated).toBeCloseTo(4 / 12, 12);
    expect(scores.difference.value).toBeCloseTo(-1 / 12, 12);
    expect(scores.difference.low).toBeLessThan(-1 / 12);
    expect(scores.difference.high).toBeGreaterThan(-1 / 12);
    // Zeros by gene: 2/4, 3/4, 0 and 1/4, 3/4, 0.
    expect(byGene.rms).toBeCloseTo(Math.sqrt(1 / 16 / 3), 12);
    expect(byGene.largest).toBeCloseTo(1 / 4, 12);
    expect(byGene.pearson).toBeCloseTo(13 / 14, 12);
  });

  it("have the quartiles of totals, and how they differ", () => {
    // Totals 6, 3, 3, 12 and 4, 3, 2, 3.
    expect(compareTotals([x], [y])).toEqual({
      real: { q1: 3, median: 4.5, q3: 7.5 },
      generated: { q1: 2.75, median: 3, q3: 3.25 },
      relative: { q1: 2.75 / 3 - 1, median: 3 / 4.5 - 1, q3: 3.25 / 7.5 - 1 },
    });
  });

  it("take the cells of several sets as those of one", async () => {
    const sets = (rows: number[][]) => [rowsFrom(rows.slice(0, 1)), rowsFrom(rows.slice(1))];
    expect(await zerosOf(sets(real), sets(generated))).toEqual(await zerosOf([x], [y]));
    expect(compareTotals(sets(real), sets(generated))).toEqual(compareTotals([x], [y]));
  });

  it("are resampled as by a table of all draws", async () => {
    const values = Float64Array.of(1, 5, 2, 8, 4);
    const resamples = new CellResamples(5, 30, 3);
    const means = await resampledMeans(values, 30, 3, undefined);
    for (const [i, mean] of means.entries()) {
      const times = resamples.times(i);
      expect(mean).toBeCloseTo(values.reduce((sum, value, cell) => sum + value * times[cell]!, 0) / 5, 12);
    }
  });

  it("compare logs of means and variances over genes that vary in both", () => {
    // The third gene is constant among the generated cells.
    const { genes, mean, variance } = compareMoments(sums.real, sums.generated);
    expect(genes).toBe(2);
    // Counts 0, 2, 0, 4, over three.
    expect(sums.real.variances[0]).toBeCloseTo(11 / 3, 12);
    const means = [Math.log(1.5 / 0.75), Math.log(0.5 / 0.25)];
    expect(mean.rms).toBeCloseTo(Math.sqrt(average(means.map((each) => each ** 2))), 12);
    const variances = [Math.log(11 / 3 / 0.25), Math.log(1 / 0.25)];
    expect(variance.rms).toBeCloseTo(Math.sqrt(average(variances.map((each) => each ** 2))), 12);
    expect(mean.pearson).toBeCloseTo(1, 12);
  });

  it("agree fully with themselves", () => {
    expect(compareGeneZeros(sums.real, sums.real)).toMatchObject({ rms: 0, largest: 0 });
    expect(compareMoments(sums.real, sums.real).variance.rms).toBe(0);
  });
});

describe("the structure of correlations", () => {
  it("is compared by the upper triangles of the matrices", async () => {
    await fc.assert(
      fc.asyncProperty(dense, dense, async (a, b) => {
        const logs = (rows: number[][], gene: number) => rows.map((row) => Math.log1p(row[gene]!));
        const varies = (rows: number[][], gene: number) => new Set(rows.map((row) => row[gene])).size > 1;
        const genes = [0, 1, 2, 3].filter((gene) => varies(a, gene) && varies(b, gene));
        const pairs = genes.flatMap((i) => genes.filter((j) => j > i).map((j) => [i, j] as const));
        const [x, y] = [a, b].map((rows) => pairs.map(([i, j]) => correlation(logs(rows, i), logs(rows, j))));
        const found = await compareCorrelations(rowsFrom(a), rowsFrom(b), undefined);
        if (genes.length < 3) expect(found).toBeNull();
        // Where all correlations of a matrix are the same but for rounding, nothing is to be said.
        else if (Math.min(spreadOf(x!), spreadOf(y!)) > 1e-6)
          expect(found).toBeCloseTo(correlation(x!, y!), 4);
      }),
      { numRuns: 50 },
    );
  });

  it("is of genes by descending count, row by row, where it is asked for by itself", async () => {
    const noise = streamOf(3);
    const rows = Array.from({ length: 40 }, (_, cell) => [1, noise.below(4), 3 * noise.below(9), cell % 2]);
    const cells = rowsFrom(rows);
    const genes = correlatedGenes(cells, cells, 2);
    // Gene 0 is constant.
    expect([...genes]).toEqual([2, 1]);
    const logs = (gene: number) => rows.map((row) => Math.log1p(row[gene]!));
    const found = await correlations(cells, Int32Array.of(2, 1, 3), undefined);
    const pairs = [
      [2, 1],
      [2, 3],
      [1, 3],
    ] as const;
    for (const [i, [a, b]] of pairs.entries()) expect(found[i]).toBeCloseTo(correlation(logs(a), logs(b)), 6);
  });

  function correlation(x: readonly number[], y: readonly number[]): number {
    const [a, b] = [x.map((value) => value - average(x)), y.map((value) => value - average(y))];
    const products = (p: readonly number[], q: readonly number[]) =>
      average(p.map((value, i) => value * q[i]!));
    return products(a, b) / Math.sqrt(products(a, a) * products(b, b));
  }

  function spreadOf(values: readonly number[]): number {
    return Math.max(...values) - Math.min(...values);
  }

  it("takes the 200 genes of most counts among the real cells", async () => {
    const structured = (gene: number, cell: number) => ((cell * ((gene % 4) + 1)) % 5) + 20;
    const cells = (seed: number) => {
      const noise = streamOf(seed);
      return rowsFrom(
        Array.from({ length: 30 }, (_, cell) =>
          Array.from({ length: 250 }, (_, gene) => (gene < 200 ? structured(gene, cell) : noise.below(3))),
        ),
      );
    };
    expect(await compareCorrelations(cells(0), cells(5), undefined)).toBeCloseTo(1, 6);
  });

  it("of several sets is the mean of what can be said of each, with its standard deviation", async () => {
    const cells = (seed: number) => {
      const noise = streamOf(seed);
      return rowsFrom(Array.from({ length: 30 }, () => Array.from({ length: 6 }, () => noise.below(4))));
    };
    const constant = rowsFrom(Array.from({ length: 30 }, () => [1, 1, 1, 1, 1, 1]));
    const [a, b] = [
      (await compareCorrelations(cells(0), cells(1), undefined))!,
      (await compareCorrelations(cells(0), cells(2), undefined))!,
    ];
    const both = await compareCorrelationSets(cells(0), [cells(1), constant, cells(2)], undefined);
    expect(both.correlationStructure).toBeCloseTo((a + b) / 2, 12);
    expect(both.correlationSets.count).toBe(2);
    expect(both.correlationSets.deviation).toBeCloseTo(Math.abs(a - b) / Math.SQRT2, 12);
    const none = await compareCorrelationSets(cells(0), [constant], undefined);
    expect(none).toEqual({ correlationStructure: null, correlationSets: { count: 0, deviation: null } });
  });
});

describe("memorisation", () => {
  it("is the ratio of median distances to the nearest training cell, with copies counted", () => {
    const real = Float64Array.from({ length: 100 }, (_, i) => 2 + i / 100);
    const generated = real.map((value, i) => (i < 25 ? 0 : value / 2));
    const scores = compareNearest({ real, generated }, resamplesOf(100));
    expect(scores.heldOut).toBeCloseTo(2.495, 12);
    expect(scores.generated).toBeCloseTo(1.2475, 12);
    expect(scores.ratio).toBeCloseTo(0.5, 12);
    expect(scores.low!).toBeLessThan(0.5);
    expect(scores.high!).toBeLessThan(0.6);
    expect(scores).toMatchObject({ copies: 0.25, heldOutCopies: 0 });
  });

  it("takes the median of a resample from cells as often as they are drawn", () => {
    const three = new ResampledMedian(Float64Array.of(5, 1, 9));
    expect(
      [
        [1, 1, 1],
        [0, 2, 1],
        [1, 0, 2],
      ].map((times) => three.value(Uint8Array.from(times))),
    ).toEqual([5, 1, 9]);
    const four = new ResampledMedian(Float64Array.of(3, 1, 2, 8));
    expect(
      [
        [1, 1, 1, 1],
        [2, 0, 0, 2],
      ].map((times) => four.value(Uint8Array.from(times))),
    ).toEqual([2.5, 5.5]);
  });

  it("says nothing where real cells are copies themselves", () => {
    const zeros = new Float64Array(10);
    const scores = compareNearest({ real: zeros, generated: zeros }, resamplesOf(10));
    expect(scores).toMatchObject({ ratio: null, low: null, high: null, copies: 1, heldOutCopies: 1 });
  });
});
