import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { binFeatures } from "../../lib/comparison/features.js";
import { forestScores } from "../../lib/comparison/random_forest.js";
import { featuresFrom, normals, streamOf } from "./support.js";

const options = { trees: 30, seed: 1, number: 0, signal: undefined };
const range = (first: number, end: number) => Int32Array.from({ length: end - first }, (_, i) => first + i);

describe("random forest", () => {
  it("learns what no single feature tells: whether two are on the same side", async () => {
    const dense = normals(600, 2, 3).map((row) => row.map((x) => x + 10));
    const labels = Uint8Array.from(dense, ([x, y]) => (x! > 10 === y! > 10 ? 1 : 0));
    const scores = await forestScores(
      await binFeatures(featuresFrom(dense), undefined),
      labels,
      range(0, 400),
      range(400, 600),
      options,
    );
    const right = scores.filter((score, i) => score > 0.5 === (labels[400 + i] === 1)).length;
    expect(right).toBeGreaterThan(180);
  });

  it("splits between two values halfway, so that a new value goes to the nearer side", async () => {
    // Two groups at 1 and 9; 4 and 6 are values of cells to predict alone.
    const dense = [...Array.from({ length: 20 }, (_, i) => [i % 2 === 0 ? 1 : 9]), [2], [4], [6], [8]];
    const labels = Uint8Array.from(dense, ([x]) => (x === 9 ? 1 : 0));
    const scores = await forestScores(
      await binFeatures(featuresFrom(dense), undefined),
      labels,
      range(0, 20),
      range(20, 24),
      options,
    );
    // Bins are of the values that there are: 1, 2, 4, 6, 8, 9.
    expect([...scores]).toEqual([0, 0, 1, 1]);
  });

  it("scores with shares of training cells where features say nothing", async () => {
    const dense = Array.from({ length: 100 }, () => [1, 0]);
    const labels = Uint8Array.from({ length: 100 }, (_, i) => (i % 4 === 0 ? 1 : 0));
    const scores = await forestScores(
      await binFeatures(featuresFrom(dense), undefined),
      labels,
      range(0, 100),
      range(0, 100),
      options,
    );
    expect(new Set(scores).size).toBe(1);
    expect(scores[0]).toBeGreaterThan(0.2);
    expect(scores[0]).toBeLessThan(0.3);
  });

  it("is a function of the seed", async () => {
    const dense = normals(80, 6, 4).map((row) => row.map((x) => x + 10));
    const labels = Uint8Array.from({ length: 80 }, (_, i) => i % 2);
    const run = async (seed: number) =>
      forestScores(await binFeatures(featuresFrom(dense), undefined), labels, range(0, 60), range(60, 80), {
        ...options,
        seed,
      });
    expect(await run(5)).toEqual(await run(5));
    expect(await run(5)).not.toEqual(await run(6));
  });
});

describe("bins of features", () => {
  it("keep the order of up to 256 values, ties included, and leave out constant features", async () => {
    const values = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 2, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(values, async (column) => {
        const { bins, width } = await binFeatures(featuresFrom(column.map((value) => [value, 5])), undefined);
        expect(width).toBe(new Set(column).size > 1 ? 1 : 0);
        const sorted = [...new Set(column)].sort((a, b) => a - b);
        if (width === 1) expect([...bins]).toEqual(column.map((value) => sorted.indexOf(value)));
      }),
    );
  });

  it("of more values hold equally many cells", async () => {
    const stream = streamOf(5);
    const column = Array.from({ length: 2560 }, () => [stream.uniform()]);
    const { bins } = await binFeatures(featuresFrom(column), undefined);
    const sizes = new Int32Array(256);
    for (const bin of bins) sizes[bin] = sizes[bin]! + 1;
    expect([...sizes].every((size) => size === 10)).toBe(true);
  });

  it("of more values put zeros below all others", async () => {
    const stream = streamOf(6);
    const column = Array.from({ length: 1000 }, (_, i) => [i % 2 === 0 ? 0 : 1 + stream.uniform()]);
    const { bins } = await binFeatures(featuresFrom(column), undefined);
    expect(Math.max(...bins.filter((_, i) => i % 2 === 0))).toBe(0);
    expect(Math.min(...bins.filter((_, i) => i % 2 === 1))).toBe(1);
    expect(new Set(bins).size).toBeGreaterThan(120);
  });
});
