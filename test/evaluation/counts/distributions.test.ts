import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  belowNegativeBinomial,
  logGamma,
  logNegativeBinomial,
} from "../../../lib/counts/negative_binomial.js";
import { GeneMarginal } from "../../../lib/evaluation/counts/baselines/gene_marginal.js";
import { answersOf, askAll } from "../../../lib/evaluation/counts/masked_cells.js";
import { poissonDeviance } from "../../../lib/evaluation/counts/molecular_cross_validation.js";
import { OpenProblemsTotals } from "../../../lib/evaluation/counts/open_problems.js";
import { thinCells } from "../../../lib/evaluation/counts/thinning.js";
import { misfit } from "../../statistics.js";
import { baseOf, cellsOf, denseOf, twoTypes } from "./support.js";

describe("the negative binomial", () => {
  it("has the logarithm of the gamma function at whole and half numbers", () => {
    let factorial = 0;
    for (let n = 1; n < 200; n++) {
      expect(logGamma(n)).toBeCloseTo(factorial, 10);
      factorial += Math.log(n);
    }
    expect(logGamma(0.5)).toBeCloseTo(Math.log(Math.PI) / 2, 13);
    expect(logGamma(0.01)).toBeCloseTo(4.599479878042022, 12);
  });

  it("is p(0) times its ratios (k + r) / (k + 1) m / (m + r), and below is their sum", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 300 }),
        fc.double({ min: 1e-3, max: 200, noNaN: true }),
        fc.double({ min: 0.05, max: 100, noNaN: true }),
        (count, mean, size) => {
          let log = -size * Math.log1p(mean / size);
          let below = 0;
          for (let k = 0; k < count; k++) {
            below += Math.exp(log);
            log += Math.log((k + size) / (k + 1)) + Math.log(mean / (mean + size));
          }
          expect(Math.abs(logNegativeBinomial(count, mean, size) - log)).toBeLessThan(
            1e-8 * (1 + Math.abs(log)),
          );
          const at = Math.exp(logNegativeBinomial(count, mean, size));
          if (at > 1e-290) expect(belowNegativeBinomial(count, mean, size, at)).toBeCloseTo(below, 8);
        },
      ),
    );
  });

  it("has a count far in a tail below or above everything", () => {
    expect(belowNegativeBinomial(100_000, 1, 1, 0)).toBe(1);
    expect(belowNegativeBinomial(1, 100_000, 1e6, 0)).toBe(0);
  });
});

it("the gene marginal is counts over cells, smoothed by a negative binomial of the same moments", async () => {
  const dense = [
    [0, 3],
    [1, 3],
    [1, 0],
    [7, 0],
  ];
  const cells = cellsOf(dense);
  const base = baseOf(dense);
  const masked = askAll(cells, 0, 4, base);
  const predictions = await new GeneMarginal(cells, base, 2).predict(masked, answersOf(cells, masked));
  const q = (count: number, column: number) => {
    const values = dense.map((row) => row[column]!);
    const sum = values.reduce((total, each) => total + each, 0);
    const mean = (sum + 0.5) / 4.5;
    const variance = values.reduce((total, each) => total + each * each, 0) / 4 - (sum / 4) ** 2;
    const size = variance > mean ? mean ** 2 / (variance - mean) : 100;
    return Math.exp(logNegativeBinomial(count, mean, Math.min(100, size)));
  };
  dense.forEach((row, cell) => {
    row.forEach((count, column) => {
      const place = 2 * cell + column;
      const values = dense.map((each) => each[column]!);
      const at = (values.filter((each) => each === count).length + 2 * q(count, column)) / 6;
      let below = values.filter((each) => each < count).length;
      for (let k = 0; k < count; k++) below += 2 * q(k, column);
      const zero = (values.filter((each) => each === 0).length + 2 * q(0, column)) / 6;
      expect(predictions.at[place]).toBeCloseTo(at, 12);
      expect(predictions.logProbability[place]).toBeCloseTo(Math.log(at), 12);
      expect(predictions.below[place]).toBeCloseTo(below / 6, 12);
      expect(predictions.expressed[place]).toBeCloseTo(1 - zero, 12);
    });
  });
});

describe("Poisson deviance", () => {
  it("takes what is observed first and what is expected second", () => {
    expect(poissonDeviance(3, 1)).toBeCloseTo(2 * (3 * Math.log(3) - 2), 12);
    expect(poissonDeviance(0, 2)).toBe(4);
    expect(poissonDeviance(1, 3)).not.toBeCloseTo(poissonDeviance(3, 1), 2);
  });

  it("is least where the expectation is the mean of what is observed", () => {
    const observed = [0, 0, 1, 5];
    const at = (mean: number) => observed.reduce((sum, each) => sum + poissonDeviance(each, mean), 0);
    expect(at(1.5)).toBeLessThan(at(1.4));
    expect(at(1.5)).toBeLessThan(at(1.6));
  });
});

it("the two numbers of Open Problems are those of its definitions in numpy, to 1e-9", () => {
  const path = new URL("./open_problems.json", import.meta.url);
  const reference: {
    test: number[][];
    denoised: number[][];
    trainTotals: number[];
    mse: number;
    poisson: number;
  } = JSON.parse(readFileSync(path, "utf8"));
  const totals = new OpenProblemsTotals(reference.test.length);
  reference.test.forEach((row, cell) => {
    totals.add(cell, row, reference.denoised[cell]!, reference.trainTotals[cell]!);
  });
  const { mse, poisson } = totals.scores();
  expect(Math.abs(mse - reference.mse)).toBeLessThan(1e-9);
  expect(Math.abs(poisson - reference.poisson)).toBeLessThan(1e-9);
});

describe("thinning", () => {
  const { dense } = twoTypes(300, 20, 1);
  const cells = cellsOf(dense);

  it("loses no molecule, and sends each to the test with the chance asked for", async () => {
    const { kept, test } = await thinCells(cells, 0.1, 5);
    const [a, b] = [denseOf(kept), denseOf(test)];
    const ofTwo = [0, 0, 0];
    dense.forEach((row, cell) => {
      row.forEach((count, column) => {
        expect(a[cell]![column]! + b[cell]![column]!).toBe(count);
        if (count === 2) ofTwo[b[cell]![column]!]!++;
      });
    });
    expect(misfit(ofTwo, [0.81, 0.18, 0.01])).toBeLessThan(1);
  });

  it("is decided by the seed and the cell's place", async () => {
    const one = await thinCells(cells, 0.1, 5);
    expect(await thinCells(cells, 0.1, 5)).toEqual(one);
    expect(await thinCells(cells, 0.1, 6)).not.toEqual(one);
  });
});
