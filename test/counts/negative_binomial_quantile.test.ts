import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chanceAboveZero, negativeBinomialQuantile } from "../../lib/counts/negative_binomial_quantile.js";

/**
 * P(X <= 0), P(X <= 1), ... up to the first that is at least `least`: probabilities by recurrence, as logarithms that are added up with
 * compensation (Neumaier), so that errors stay some 1e-16 of each however many there are.
 */
function cumulative(
  mean: number,
  size: number,
  least: number,
): { before: number; at: number; count: number } {
  const logRatio = -Math.log1p(size / mean);
  let [log, lost] = [-size * Math.log1p(mean / size), 0];
  let [sum, sumLost] = [0, 0];
  let before = 0;
  for (let count = 0; ; count++) {
    const term = Math.exp(log + lost);
    const next = sum + term;
    sumLost += sum >= term ? sum - next + term : term - next + sum;
    sum = next;
    if (sum + sumLost >= least) return { before, at: sum + sumLost, count };
    before = sum + sumLost;
    const step = Math.log((size + count) / (count + 1)) + logRatio;
    const nextLog = log + step;
    lost += Math.abs(log) >= Math.abs(step) ? log - nextLog + step : step - nextLog + log;
    log = nextLog;
  }
}

describe("quantiles of a negative binomial", () => {
  const means = [1e-30, 1e-9, 1e-3, 0.049, 0.0513, 0.3, 1, 2.5, 17, 120, 499, 501, 3e3, 1e5];
  const sizes = [0.01, 0.1, 0.7, 1, 3, 50, 1e3, 1e6];
  it.each(means)("are those of the probabilities added up one by one: mean %d", (mean) => {
    for (const size of sizes) {
      for (const p of [0.05, 0.5, 0.95]) {
        const { before, at, count } = cumulative(mean, size, p);
        const found = negativeBinomialQuantile(p, mean, size);
        // Neighbours only where the probability itself is p up to rounding.
        const isTie = Math.min(Math.abs(before - p), Math.abs(at - p)) < 1e-9;
        if (isTie) expect(Math.abs(found - count)).toBeLessThanOrEqual(1);
        else expect({ mean, size, p, found }).toEqual({ mean, size, p, found: count });
      }
    }
  });

  it("of any mean, size and p are those of the probabilities added up", () => {
    const exponent = (least: number, most: number) => fc.double({ min: least, max: most, noNaN: true });
    fc.assert(
      fc.property(
        exponent(-6, 4),
        exponent(-2, 6),
        fc.constantFrom(0.01, 0.05, 0.3, 0.95, 0.99),
        (m, s, p) => {
          const [mean, size] = [10 ** m, 10 ** s];
          const { before, at, count } = cumulative(mean, size, p);
          fc.pre(Math.min(Math.abs(before - p), Math.abs(at - p)) > 1e-9);
          expect(negativeBinomialQuantile(p, mean, size)).toBe(count);
        },
      ),
      { numRuns: 150, seed: 4 },
    );
  });

  it("are the known ones of a Poisson distribution where the size is large, and of a geometric one where it is 1", () => {
    // R: qpois(c(.05, .95), 10), qpois(c(.05, .95), 1000)
    expect([0.05, 0.95].map((p) => negativeBinomialQuantile(p, 10, 1e12))).toEqual([5, 15]);
    expect([0.05, 0.95].map((p) => negativeBinomialQuantile(p, 1000, 1e12))).toEqual([948, 1052]);
    // P(X > k) = (m / (1 + m))^(k + 1)
    const quantile = (p: number, mean: number) =>
      Math.ceil(Math.log(1 - p) / Math.log(mean / (1 + mean)) - 1);
    for (const mean of [0.2, 3, 77, 5000])
      expect(negativeBinomialQuantile(0.95, mean, 1)).toBe(Math.max(0, quantile(0.95, mean)));
  });

  it("are at most the largest count there is", () => {
    expect(negativeBinomialQuantile(0.999_999, 1e12, 0.01)).toBe(2 ** 31 - 1);
  });

  it("of a wrong argument are refused", () => {
    for (const [p, mean, size] of [
      [0, 1, 1],
      [1, 1, 1],
      [0.5, -1, 1],
      [0.5, 1, 0],
      [0.5, Number.NaN, 1],
    ] as const)
      expect(() => negativeBinomialQuantile(p, mean, size)).toThrow("ARGUMENT_RANGE");
    expect(negativeBinomialQuantile(0.95, 0, 1)).toBe(0);
  });
});

describe("the chance of a count above 0", () => {
  it.each([
    [1e-20, 0.5, 1e-20],
    [2, 1, 2 / 3],
    [1, 1e12, 1 - Math.exp(-1)],
    [0, 1, 0],
  ])("of mean %d and size %d is %d", (mean, size, expected) => {
    if (expected === 0) expect(chanceAboveZero(mean, size)).toBe(0);
    else expect(chanceAboveZero(mean, size) / expected).toBeCloseTo(1, 10);
  });
});
