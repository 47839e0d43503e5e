import { describe, expect, it } from "vitest";
import { CellResamples } from "../../../lib/evaluation/counts/bootstrap.js";
import { answersOf, hideGenes, maskCells } from "../../../lib/evaluation/counts/masked_cells.js";
import { predictHidden } from "../../../lib/evaluation/counts/masked_evaluation.js";
import {
  chooseByMcv,
  crossValidate,
  type McvMethod,
  poissonDeviance,
} from "../../../lib/evaluation/counts/molecular_cross_validation.js";
import { thinCells } from "../../../lib/evaluation/counts/thinning.js";
import { baseOf, cellsOf, denseOf, FIRST_GENE, knowing, twoTypes } from "./support.js";

const GENES = 12;
const truth = twoTypes(90, GENES, 31);
const cells = cellsOf(truth.dense);
const base = baseOf(truth.dense);
const sum = (values: readonly number[]) => values.reduce((total, each) => total + each, 0);
const pause = async () => {};
const thinned = await thinCells(cells, 0.1, 2);

describe("molecular cross-validation", () => {
  const [kept, test] = [denseOf(thinned.kept), denseOf(thinned.test)];
  /** A method whose means are 2 in every gene and 0.5 in setting 1. */
  const flat: McvMethod = {
    settings: ["two", "half"],
    takesOwnCount: true,
    means: async ({ masked }, settings) =>
      settings.map((setting) => new Float64Array(masked.queries.genes.length).fill(setting === 0 ? 2 : 0.5)),
  };
  const meanOf = (cell: number, gene: number, mean: number, sizeFactor: number, weight: number) => {
    const { share, size, spread, meanDepth } = base;
    const r = sizeFactor * size[gene + FIRST_GENE]!;
    const own =
      sizeFactor === Number.POSITIVE_INFINITY ? mean : (mean * (r + kept[cell]![gene]!)) / (r + mean);
    const depth = (sum(kept[cell]!) + spread) / (1 + spread / meanDepth);
    return (1 - weight) * own + weight * depth * share[gene + FIRST_GENE]!;
  };
  const devianceOf = (mean: number, sizeFactor: number, weight: number) =>
    test.map((row, cell) =>
      sum(
        row.map((x, gene) => poissonDeviance(x, (meanOf(cell, gene, mean, sizeFactor, weight) * 0.1) / 0.9)),
      ),
    );

  it("has the deviance and the squared errors of their definitions, test molecules against scaled predictions", async () => {
    const choice = { setting: 1, sizeFactor: 2, weight: 0.3 };
    const totals = await crossValidate(new Map([["flat", { method: flat, choice }]]), thinned, base, 0.1, {
      pause,
    });
    const { deviance, squares, genes } = totals.get("flat")!;
    const expected = devianceOf(0.5, 2, 0.3);
    test.forEach((row, cell) => {
      expect(deviance[cell]).toBeCloseTo(expected[cell]!, 9);
      expect(genes[cell]).toBe(GENES);
      const means = row.map((_, gene) => meanOf(cell, gene, 0.5, 2, 0.3));
      const cp10k = (values: readonly number[]) =>
        values.map((x) => Math.log1p((1e4 * x) / (sum(values) || 1)));
      const [a, b] = [cp10k(row), cp10k(means)];
      expect(squares[cell]).toBeCloseTo(sum(a.map((x, gene) => (x - b[gene]!) ** 2)), 8);
    });
  });

  it("chooses what has the least deviance", async () => {
    const places = Int32Array.from({ length: 90 }, (_, cell) => cell);
    const found = await chooseByMcv(flat, thinned, places, base, 0.1, { pause });
    const own = sum(devianceOf(found.setting === 0 ? 2 : 0.5, found.sizeFactor, found.weight));
    for (const mean of [2, 0.5]) {
      for (const sizeFactor of [0.5, 1, 2, 4, 8, 16, Number.POSITIVE_INFINITY]) {
        for (const weight of [0.001, 0.03, 0.2, 0.5, 0.9, 1]) {
          expect(own).toBeLessThan(sum(devianceOf(mean, sizeFactor, weight)) + 1e-9);
        }
      }
    }
  });
});

it("hidden entries have the MSE and the medians of correlations of their definitions", async () => {
  const hidden = hideGenes(cells, 0.5, 1);
  const model = knowing(truth, base);
  const details = new CellResamples(90, 50, 0);
  const totals = await predictHidden(new Map([["model", model]]), cells, hidden, base, {
    seed: 0,
    details,
    pause,
  });
  const { hidden: scores, nats, expressedNats } = totals.get("model")!;
  const masked = maskCells(cells, hidden, 0, 90, base);
  const answers = answersOf(cells, masked);
  const { mean, logProbability } = await model.predict(masked, answers);
  const byGene = new Map<number, [number, number][]>();
  let squares = 0;
  const nll = [0, 0];
  for (let cell = 0; cell < 90; cell++) {
    const scale = 1e4 / sum(truth.dense[cell]!);
    for (let query = hidden.offsets[cell]!; query < hidden.offsets[cell + 1]!; query++) {
      const pair: [number, number] = [Math.log1p(answers[query]! * scale), Math.log1p(mean[query]! * scale)];
      squares += (pair[0] - pair[1]) ** 2;
      nll[0]! -= logProbability[query]!;
      if (answers[query]! > 0) nll[1]! -= logProbability[query]!;
      const known = byGene.get(hidden.genes[query]!);
      if (known === undefined) byGene.set(hidden.genes[query]!, [pair]);
      else known.push(pair);
    }
  }
  const pearson = (pairs: readonly (readonly [number, number])[]) => {
    const mean = (k: 0 | 1) => sum(pairs.map((pair) => pair[k])) / pairs.length;
    const moment = (j: 0 | 1, k: 0 | 1) =>
      sum(pairs.map((pair) => (pair[j] - mean(j)) * (pair[k] - mean(k))));
    return moment(0, 1) / Math.sqrt(moment(0, 0) * moment(1, 1));
  };
  const ranked = (pairs: readonly (readonly [number, number])[]) => {
    const rank = (k: 0 | 1, value: number) =>
      pairs.filter((pair) => pair[k] < value - 1e-6).length +
      (pairs.filter((pair) => Math.abs(pair[k] - value) <= 1e-6).length - 1) / 2;
    return pairs.map(([x, y]) => [rank(0, x), rank(1, y)] as const);
  };
  const kept = [...byGene.values()].filter((pairs) => pairs.filter(([x]) => x > 0).length >= 10);
  const middle = (values: number[]) => {
    const sorted = values.sort((a, b) => a - b);
    return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
  };
  expect(scores!.genes).toBe(kept.length);
  expect(scores!.mse.value).toBeCloseTo(squares / answers.length, 10);
  expect(scores!.pearson.value).toBeCloseTo(middle(kept.map(pearson)), 4);
  expect(scores!.spearman.value).toBeCloseTo(middle(kept.map((pairs) => pearson(ranked(pairs)))), 4);
  expect(sum([...nats])).toBeCloseTo(nll[0]!, 8);
  expect(sum([...expressedNats])).toBeCloseTo(nll[1]!, 8);
});
