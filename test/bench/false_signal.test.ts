import { describe, expect, it } from "vitest";
import {
  callsOf,
  type Dense,
  discoveries,
  logNormalised,
  meanCorrelation,
  nullStudy,
  rankSumTest,
  shuffledGenes,
  totalsOf,
  upperTail,
} from "../../bench/false_signal_statistics.js";

describe("the statistics of false signals", () => {
  it("test sums of ranks as R does", () => {
    // wilcox.test(c(1.1, 2.2, 2.2, 5), c(0.3, 1.1, 2.2, 0.7, 0.9), exact = FALSE)$p.value, by hand: ranks sum to 27.5,
    // ties of 2 and 3, variance 4 * 5 / 12 * (10 - 30 / 72) = 15.97222
    const z = (27.5 - 20 - 0.5) / Math.sqrt(15.972_222_222);
    expect(rankSumTest([1.1, 2.2, 2.2, 5], [0.3, 1.1, 2.2, 0.7, 0.9])).toBeCloseTo(2 * upperTail(z), 9);
    expect(rankSumTest([1, 1], [1, 1])).toBe(1);
    expect(upperTail(0)).toBeCloseTo(0.5, 12);
    expect(upperTail(1.959_963_984_540_054)).toBeCloseTo(0.025, 12);
    expect(upperTail(6) / 9.865_876_450_376_98e-10).toBeCloseTo(1, 9);
  });

  it("call p-values by Benjamini and Hochberg's line", () => {
    // 0.04 lies above 0.05 * 3 / 5 but below 0.05 * 4 / 5, where 0.039 does: all four are called.
    expect(discoveries([0.9, 0.04, 0.001, 0.039, 0.02], 0.05)).toEqual([false, true, true, true, true]);
    expect(discoveries([0.5, 0.06], 0.05)).toEqual([false, false]);
  });

  it("are of types with equal totals, so that scaling makes no differences", () => {
    const { counts, types } = nullStudy(4000, 60, 0);
    const totals = totalsOf(counts);
    const sums = [0, 0];
    const cells = [0, 0];
    for (const [cell, type] of types.entries()) {
      sums[type]! += totals[cell]!;
      cells[type]! += 1;
    }
    // Without the mean fold they differ by 11% here; the standard error is 1.5%.
    expect(sums[1]! / cells[1]! / (sums[0]! / cells[0]!)).toBeGreaterThan(0.94);
    expect(sums[1]! / cells[1]! / (sums[0]! / cells[0]!)).toBeLessThan(1.06);
  });

  it("find what differs in counts and little else, and no correlation once genes are shuffled", () => {
    const study = nullStudy(300, 60, 1);
    const totals = totalsOf(study.counts);
    const calls = callsOf(logNormalised(study.counts, totals), study);
    expect(calls.nullsCalled).toBeLessThan(0.1);
    expect(calls.found).toBeGreaterThan(0.4);
    const shuffled = shuffledGenes(study.counts, 1);
    const sorted = ({ cells, genes, values }: Dense) =>
      Array.from({ length: cells }, (_, cell) => values[cell * genes + 7]!).sort((a, b) => a - b);
    expect(sorted(shuffled)).toEqual(sorted(study.counts));
    // E|r| of independent columns of n is sqrt(2 / (pi n)).
    expect(meanCorrelation(shuffled) / Math.sqrt(2 / Math.PI / 300)).toBeCloseTo(1, 0.7);
    expect(meanCorrelation(study.counts)).toBeGreaterThan(meanCorrelation(shuffled));
  });
});
