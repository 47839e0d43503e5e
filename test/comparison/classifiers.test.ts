import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { classify, dealFolds, FoldedAuc } from "../../lib/comparison/classifiers.js";
import { CellResamples } from "../../lib/evaluation/counts/bootstrap.js";
import { poisson } from "../evaluation/counts/support.js";
import { rowsFrom, streamOf } from "./support.js";

/** Cells of independent Poisson counts. */
function poissonCells(cells: number, means: readonly number[], seed: number) {
  const stream = streamOf(seed);
  return rowsFrom(Array.from({ length: cells }, () => means.map((mean) => poisson(stream, mean))));
}

function resamplesOf(cells: number) {
  return { real: new CellResamples(cells, 200, 0), generated: new CellResamples(cells, 200, 1) };
}

/** AUC of the best possible test of Poisson counts of one mean against another's. */
function bestAuc(low: number, high: number): number {
  const probabilities = (mean: number) => {
    const all = [Math.exp(-mean)];
    for (let count = 1; count < 200; count++) all.push((all[count - 1]! * mean) / count);
    return all;
  };
  const [a, b] = [probabilities(low), probabilities(high)];
  let [auc, below] = [0, 0];
  for (let count = 0; count < 200; count++) {
    auc += b[count]! * (below + a[count]! / 2);
    below += a[count]!;
  }
  return auc;
}

describe("the AUC of classifiers", () => {
  it("is 1 for cells that differ in one gene without overlap", async () => {
    const means = [5, 5, 5, 5];
    const real = poissonCells(100, means, 1);
    const generated = poissonCells(100, [60, 5, 5, 5], 2);
    const scores = await classify(real, generated, resamplesOf(100), 0, undefined);
    expect(scores).toMatchObject({ value: 1, low: 1, high: 1, logistic: 1, forest: 1 });
  });

  it("is near 0.5, within its interval, for cells of one distribution", async () => {
    const means = Array.from({ length: 20 }, (_, gene) => 1 + (gene % 3));
    const scores = await classify(
      poissonCells(300, means, 3),
      poissonCells(300, means, 4),
      resamplesOf(300),
      0,
      undefined,
    );
    expect(scores.logistic).toBeGreaterThan(0.44);
    expect(scores.logistic).toBeLessThan(0.56);
    expect(scores.forest).toBeGreaterThan(0.44);
    expect(scores.forest).toBeLessThan(0.56);
    expect(scores.value).toBe(Math.max(0.5, scores.logistic, scores.forest));
    expect(scores.low).toBeLessThan(0.53);
  });

  it("comes near that of the best test where one gene's mean is higher", async () => {
    const cells = 1000;
    const scores = await classify(
      poissonCells(cells, [20, 3], 5),
      poissonCells(cells, [25, 3], 6),
      resamplesOf(cells),
      0,
      undefined,
    );
    const best = bestAuc(20, 25);
    expect(best).toBeCloseTo(0.772, 2);
    expect(Math.abs(scores.logistic - best)).toBeLessThan(0.025);
    expect(scores.forest).toBeGreaterThan(0.6);
    expect(scores.low).toBeLessThan(scores.value);
    expect(scores.high).toBeGreaterThan(scores.value);
    expect(scores.high - scores.low).toBeLessThan(0.06);
  });
});

describe("the AUC within folds", () => {
  const cell = fc.record({
    score: fc.integer({ min: 0, max: 5 }),
    isPositive: fc.integer({ min: 0, max: 1 }),
    fold: fc.integer({ min: 0, max: 2 }),
    times: fc.integer({ min: 0, max: 3 }),
  });

  it("is the share of pairs of a fold that are in order, ties counting half, cells as often as they are drawn", () => {
    fc.assert(
      fc.property(fc.array(cell, { maxLength: 30 }), (cells) => {
        let [won, pairs] = [0, 0];
        for (const a of cells) {
          for (const b of cells) {
            if (a.fold !== b.fold || a.isPositive === 1 || b.isPositive === 0) continue;
            pairs += a.times * b.times;
            won += a.times * b.times * (b.score > a.score ? 1 : b.score === a.score ? 0.5 : 0);
          }
        }
        const auc = new FoldedAuc({
          scores: Float64Array.from(cells, ({ score }) => score),
          isPositive: Uint8Array.from(cells, ({ isPositive }) => isPositive),
          folds: Uint8Array.from(cells, ({ fold }) => fold),
        });
        const value = auc.value(Uint8Array.from(cells, ({ times }) => times));
        if (pairs === 0) expect(value).toBeNaN();
        else expect(value).toBeCloseTo(won / pairs, 10);
      }),
    );
  });

  it("has equal shares of each kind in each fold", () => {
    const folds = dealFolds(
      Uint8Array.from({ length: 40 }, (_, i) => (i < 15 ? 0 : 1)),
      3,
    );
    for (let fold = 0; fold < 5; fold++) {
      expect(folds.subarray(0, 15).filter((each) => each === fold)).toHaveLength(3);
      expect(folds.subarray(15).filter((each) => each === fold)).toHaveLength(5);
    }
  });
});
