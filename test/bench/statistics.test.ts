import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { median, quantile, rounded } from "../../bench/statistics.js";

const numbers = fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 30 });

describe("the median", () => {
  it("has as many numbers below as above, whatever their order", () => {
    fc.assert(
      fc.property(numbers, (values) => {
        const middle = median(values);
        const below = values.filter((value) => value < middle).length;
        const above = values.filter((value) => value > middle).length;
        expect(below).toBeLessThanOrEqual(values.length / 2);
        expect(above).toBeLessThanOrEqual(values.length / 2);
        expect(median([...values].reverse())).toBe(middle);
      }),
    );
    expect(median([])).toBeNaN();
  });

  it("is half-way between the two in the middle of an even count", () => {
    expect(median([4, 1, 3, 10])).toBe(3.5);
  });
});

describe("a quantile", () => {
  it("is the median at one half, and the ends at 0 and 1", () => {
    fc.assert(
      fc.property(numbers, (values) => {
        const ascending = [...values].sort((a, b) => a - b);
        expect(quantile(ascending, 0.5)).toBeCloseTo(median(values), 9);
        expect(quantile(ascending, 0)).toBe(Math.min(...values));
        expect(quantile(ascending, 1)).toBe(Math.max(...values));
      }),
    );
  });
});

it("rounds to digits after the point", () => {
  expect(rounded(1.23456, 2)).toBe(1.23);
});
