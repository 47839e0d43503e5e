import { describe, expect, it } from "vitest";
import { Comparisons, relativeError } from "../../scripts/parity/compare.js";

describe("relativeError", () => {
  it("is the norm of the difference over the norm of the answer", () => {
    expect(relativeError([3, 4.5], [3, 4])).toBeCloseTo(0.1, 12);
  });

  it("is the norm itself where the answer is zero", () => {
    expect(relativeError([0.3, 0.4], [0, 0])).toBeCloseTo(0.5, 12);
  });

  it("is infinite for another length and for values that are not finite", () => {
    expect(relativeError([1], [1, 2])).toBe(Number.POSITIVE_INFINITY);
    expect(relativeError([Number.NaN], [1])).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("Comparisons", () => {
  it("passes up to the tolerance of the compute type and kind, and fails beyond", () => {
    for (const [dtype, kind, tolerance] of [
      ["fp32", "output", 1e-5],
      ["fp32", "gradient", 1e-4],
      ["bf16", "output", 2e-2],
      ["bf16", "gradient", 5e-2],
    ] as const) {
      const comparisons = new Comparisons(dtype);
      comparisons.add("within", kind, [1 + 0.9 * tolerance], [1]);
      comparisons.add("beyond", kind, [1 + 1.1 * tolerance], [1]);
      expect(comparisons.list.map(({ passed }) => passed)).toEqual([true, false]);
    }
  });

  it("wants exact values equal, and tells the share that is not", () => {
    const comparisons = new Comparisons("fp32");
    comparisons.add("ranks", "exact", [1, 2, 3, 4], [1, 2, 3, 5]);
    expect(comparisons.list[0]).toMatchObject({ error: 0.25, passed: false });
  });
});
