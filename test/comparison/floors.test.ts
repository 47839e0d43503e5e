import { describe, expect, it } from "vitest";
import { negativeBinomialOfSize } from "../../lib/base/count_draws.js";
import { drawNegativeBinomial, permuteWithinTypes } from "../../lib/comparison/floors.js";
import { geneSums } from "../../lib/comparison/marginals.js";
import { pearson } from "../../lib/comparison/statistics.js";
import { twoTypes } from "../evaluation/counts/support.js";
import { misfit } from "../statistics.js";
import { denseFrom, rowsFrom, streamOf } from "./support.js";

describe("cells with permuted genes", () => {
  const { dense, labels } = twoTypes(60, 8, 1);
  const cells = rowsFrom(dense, labels);

  it("keep each gene's counts within each type, and the cells' types", async () => {
    const permuted = await permuteWithinTypes(cells, 3, undefined);
    expect(permuted.labels).toEqual(labels);
    const other = denseFrom(permuted);
    expect(other).not.toEqual(dense);
    for (const type of ["even", "odd"]) {
      for (let gene = 0; gene < 8; gene++) {
        const of = (rows: number[][]) => rows.filter((_, i) => labels[i] === type).map((row) => row[gene]!);
        expect(of(other).sort()).toEqual(of(dense).sort());
      }
    }
  });

  it("put each count in each cell equally often", async () => {
    const few = rowsFrom([[7], [0], [5], [0]]);
    const places = new Map<string, number>();
    for (let seed = 0; seed < 600; seed++) {
      const key = denseFrom(await permuteWithinTypes(few, seed, undefined)).join(" ");
      places.set(key, (places.get(key) ?? 0) + 1);
    }
    expect(places.size).toBe(12);
    expect(misfit([...places.values()], Array(12).fill(1 / 12))).toBeLessThan(1);
  });

  it("have no correlations left", async () => {
    const stream = streamOf(1);
    const both = Array.from({ length: 500 }, () => {
      const count = stream.below(10);
      return [count, count];
    });
    const [x, y] = [0, 1].map((gene) => (rows: number[][]) => rows.map((row) => row[gene]!));
    const permuted = denseFrom(await permuteWithinTypes(rowsFrom(both), 1, undefined));
    expect(Math.abs(pearson(x!(permuted), y!(permuted))!)).toBeLessThan(0.15);
  });
});

describe("cells from negative binomials", () => {
  it("have the means of their type at the depth of their templates, and the genes' dispersion", async () => {
    const stream = streamOf(2);
    // Depth 100 a cell, variance = mean + mean^2 / 2 for the first gene, Poisson for the second; the third fills up.
    const dense = Array.from({ length: 3000 }, (_, cell) => [
      negativeBinomialOfSize(stream, cell % 2 === 0 ? 10 : 20, 2),
      negativeBinomialOfSize(stream, 5, 1e6),
      300,
    ]);
    const labels = dense.map((_, cell) => (cell % 2 === 0 ? "low" : "high"));
    const training = rowsFrom(dense, labels);
    const templates = Int32Array.from(dense.keys());
    const drawn = await drawNegativeBinomial(training, templates, 4, undefined);
    expect(drawn.labels).toEqual(labels);
    for (const type of ["low", "high"]) {
      const own = denseFrom(drawn).filter((_, i) => labels[i] === type);
      const real = dense.filter((_, i) => labels[i] === type);
      const [ofOwn, ofReal] = [geneSums(rowsFrom(own)), geneSums(rowsFrom(real))];
      for (const gene of [0, 1]) {
        expect(ofOwn.means[gene]! / ofReal.means[gene]!).toBeCloseTo(1, 1);
        expect(Math.abs(ofOwn.variances[gene]! / ofReal.variances[gene]! - 1)).toBeLessThan(0.25);
      }
    }
  });

  it("express nothing that their type does not, and cells without counts stay so", async () => {
    const training = rowsFrom(
      [
        [3, 0, 4],
        [0, 0, 0],
        [0, 5, 1],
      ],
      ["a", "a", "b"],
    );
    const drawn = denseFrom(await drawNegativeBinomial(training, Int32Array.of(0, 1, 2), 0, undefined));
    expect(drawn[0]![1]).toBe(0);
    expect(drawn[1]).toEqual([0, 0, 0]);
    expect(drawn[2]![0]).toBe(0);
  });
});

describe("draws of negative binomials by size", () => {
  it.each([
    [0.3, 0.5],
    [4, 2],
    [4, 100],
    [45, 3],
  ])("have the probabilities of mean %f and size %f", (mean, size) => {
    const stream = streamOf(9);
    const counts = new Array<number>(60).fill(0);
    const draws = 20_000;
    for (let i = 0; i < draws; i++) {
      const place = Math.min(59, negativeBinomialOfSize(stream, mean, size));
      counts[place] = counts[place]! + 1;
    }
    const probabilities = [(size / (size + mean)) ** size];
    for (let count = 0; count < 58; count++) {
      probabilities.push((probabilities[count]! * ((count + size) / (count + 1)) * mean) / (size + mean));
    }
    probabilities.push(1 - probabilities.reduce((sum, each) => sum + each, 0));
    // Rare counts together.
    const rare = probabilities.map((each) => each * draws < 5);
    const grouped = (values: readonly number[]) => [
      ...values.filter((_, i) => !rare[i]),
      values.filter((_, i) => rare[i]).reduce((sum, each) => sum + each, 0),
    ];
    expect(misfit(grouped(counts), grouped(probabilities).map(Math.abs))).toBeLessThan(1);
  });
});
