import { describe, expect, it } from "vitest";
import { Purpose, RandomStream } from "../../../lib/base/random.js";
import { CellResamples, percentiles } from "../../../lib/evaluation/counts/bootstrap.js";
import { hideGenes } from "../../../lib/evaluation/counts/masked_cells.js";
import { predictHidden } from "../../../lib/evaluation/counts/masked_evaluation.js";
import { verdictOf } from "../../../lib/evaluation/counts/verdict.js";
import { misfit } from "../../statistics.js";
import { baseOf, cellsOf, gamma, knowing, twoTypes } from "./support.js";

describe("the bootstrap over cells", () => {
  it("covers the true ratio in some 95 of 100 samples", () => {
    let covered = 0;
    for (let sample = 0; sample < 200; sample++) {
      const stream = new RandomStream(sample, Purpose.simulate);
      const genes = Float64Array.from({ length: 80 }, () => 50 + stream.below(100));
      const nats = genes.map((each) => each * gamma(stream, 3));
      const { low, high } = new CellResamples(80, 400, sample).ratio(nats, genes)!;
      if (low <= 1 && high >= 1) covered++;
    }
    expect(covered).toBeGreaterThanOrEqual(178);
    expect(covered).toBeLessThanOrEqual(199);
  });

  it("pairs a difference: what two methods share has no part in its interval", () => {
    const stream = new RandomStream(1, Purpose.simulate);
    const genes = new Float64Array(60).fill(10);
    const noisy = genes.map(() => 100 * stream.uniform());
    const better = noisy.map((each) => each - 1);
    const resamples = new CellResamples(60, 500, 3);
    const difference = resamples.ratio(
      better.map((each, i) => each - noisy[i]!),
      genes,
    )!;
    expect(difference.low).toBeCloseTo(-0.1, 12);
    expect(difference.high).toBeCloseTo(-0.1, 12);
    const own = resamples.ratio(noisy, genes)!;
    expect(own.high - own.low).toBeGreaterThan(0.5);
  });

  it("gives a group of one cell its value, and a group without genes nothing", () => {
    const resamples = new CellResamples(5, 100, 0);
    const values = Float64Array.of(1, 2, 3, 4, 5);
    const ones = new Float64Array(5).fill(1);
    expect(resamples.ratio(values, ones, Int32Array.of(2))).toEqual({ value: 3, low: 3, high: 3 });
    expect(resamples.ratio(values, new Float64Array(5))).toBeUndefined();
  });

  it("is the same for a seed, another for another", () => {
    const [a, b, c] = [1, 1, 2].map((seed) => [...new CellResamples(30, 5, seed).times(4)]);
    expect(a).toEqual(b);
    expect(a).not.toEqual(c);
    expect(a!.reduce((sum, each) => sum + each, 0)).toBe(30);
  });

  it("takes percentiles between neighbours linearly", () => {
    const hundred = Array.from({ length: 101 }, (_, i) => 100 - i);
    expect(percentiles(hundred)).toEqual({ low: 2.5, high: 97.5 });
  });
});

describe("PIT values", () => {
  const truth = twoTypes(200, 40, 11);
  const cells = cellsOf(truth.dense);
  const base = baseOf(truth.dense);
  const hidden = hideGenes(cells, 0.5, 1);
  const calibrate = async (tilt: number) => {
    const methods = new Map([["model", knowing(truth, base, tilt)]]);
    const details = new CellResamples(200, 100, 0);
    const totals = await predictHidden(methods, cells, hidden, base, {
      seed: 4,
      details,
      pause: async () => {},
    });
    return totals.get("model")!.calibration!;
  };
  const chiSquare = (histogram: readonly number[], queries: number) =>
    misfit(
      histogram.map((share) => share * queries),
      histogram.map(() => 1 / histogram.length),
    );

  it("are uniform where the counts come from the model, in every stratum of expected count", async () => {
    const { pit, strata, expressed } = await calibrate(1);
    expect(pit.queries).toBe(hidden.genes.length);
    expect(chiSquare(pit.histogram, pit.queries)).toBeLessThan(1);
    const full = strata.filter(({ queries }) => queries > 300);
    expect(full.length).toBeGreaterThanOrEqual(3);
    for (const { histogram, queries, inside } of full) {
      expect(chiSquare(histogram, queries)).toBeLessThan(1);
      expect(inside.value).toBeGreaterThan(0.87);
      expect(inside.value).toBeLessThan(0.93);
    }
    const close = expressed.filter(({ queries }) => queries > 100);
    for (const { predicted, observed } of close) {
      expect(predicted).toBeGreaterThan(observed.low - 0.05);
      expect(predicted).toBeLessThan(observed.high + 0.05);
    }
  });

  it("are not uniform where the model's means are half of the true ones", async () => {
    const { pit } = await calibrate(0.5);
    expect(chiSquare(pit.histogram, pit.queries)).toBeGreaterThan(5);
  });
});

describe("the verdict", () => {
  const of = (value: number, low: number, high: number) =>
    ({ best: "knn", difference: { value, low, high } }) as const;

  it("says by how much the model beats the best baseline, and who that is", () => {
    const verdict = verdictOf("0.5", of(-0.012, -0.015, -0.01), of(-0.2, -0.3, -0.1));
    expect(verdict.beaten).toBe(true);
    expect(verdict.mcv?.beaten).toBe(true);
    expect(verdict.sentence).toBe(
      "With 50% of the genes hidden the model beats the best baseline, kNN smoothing, by 0.01200 nats a hidden gene (95% 0.01000 to 0.01500); in molecular cross-validation it beats the best one, kNN smoothing, by 0.200 of Poisson deviance a gene (95% 0.100 to 0.300).",
    );
  });

  it("says so where the model is worse", () => {
    const verdict = verdictOf("0.5", of(0.012, 0.01, 0.015));
    expect(verdict.beaten).toBe(false);
    expect(verdict.mcv).toBeUndefined();
    expect(verdict.sentence).toBe(
      "With 50% of the genes hidden the model does not beat the best baseline, kNN smoothing: it is worse by 0.01200 nats a hidden gene (95% 0.01000 to 0.01500).",
    );
  });

  it("claims nothing where the interval holds 0, however good the difference looks", () => {
    const verdict = verdictOf("0.5", of(-0.012, -0.03, 0.001), of(0.01, -0.01, 0.02));
    expect(verdict.beaten).toBe(false);
    expect(verdict.sentence).toBe(
      "With 50% of the genes hidden the model does not beat the best baseline, kNN smoothing: the difference of -0.01200 nats a hidden gene (95% -0.03000 to 0.00100) may be none; in molecular cross-validation it does not beat the best one, kNN smoothing: the difference of 0.01000 of Poisson deviance a gene (95% -0.01000 to 0.02000) may be none.",
    );
  });
});
