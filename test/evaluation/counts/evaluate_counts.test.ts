import { beforeAll, describe, expect, it } from "vitest";
import type { CountCells } from "../../../lib/evaluation/counts/count_cells.js";
import type { EvaluateCountsOptions } from "../../../lib/evaluation/counts/count_options.js";
import { renderCountTable } from "../../../lib/evaluation/counts/count_table.js";
import { evaluateCounts } from "../../../lib/evaluation/counts/evaluate_counts.js";
import { hideGenes } from "../../../lib/evaluation/counts/masked_cells.js";
import type { CountDenoiser, CountPredictor } from "../../../lib/evaluation/counts/predictor.js";
import type { CountEvaluation } from "../../../lib/evaluation/counts/scores.js";
import { together } from "../../cluster/in_process.js";
import { failure } from "../../data/support.js";
import { baseOf, cellsOf, knowing, twoTypes } from "./support.js";

const GENES = 40;
const trainingTruth = twoTypes(400, GENES, 21);
const heldOutTruth = twoTypes(80, GENES, 22);
const training = cellsOf(trainingTruth.dense, trainingTruth.labels);
const heldOut = cellsOf(heldOutTruth.dense, heldOutTruth.labels);
const base = baseOf(trainingTruth.dense);
const model = knowing(heldOutTruth, base);
const masks = { "0.5": hideGenes(heldOut, 0.5, 1), "0.2": hideGenes(heldOut, 0.2, 1) };
const options: EvaluateCountsOptions = {
  model,
  denoiser: model,
  heldOut,
  training,
  base,
  masks,
  openProblems: true,
  groups: heldOutTruth.labels.map((label, cell) => (cell < 5 ? "few" : cell === 5 ? undefined : label)),
  resamples: 200,
};

describe("evaluateCounts", () => {
  let result: CountEvaluation;
  beforeAll(async () => {
    result = await evaluateCounts(options);
  });

  it("says that a model which knows the truth beats every baseline", () => {
    expect(result.verdict.beaten).toBe(true);
    expect(result.verdict.best).toBe("typeMean");
    for (const [name, { difference, likelihood }] of Object.entries(result.baselines)) {
      if (likelihood !== undefined) expect(difference.likelihood!["0.5"]!.all.high, name).toBeLessThan(0);
      // Of 80 shallow cells, a tenth of the molecules: the nearest baseline is not told apart by its interval.
      if (difference.mcv !== undefined) expect(difference.mcv.poisson.value, name).toBeLessThan(0);
    }
    for (const name of ["none", "geneMean", "negativeBinomial"] as const) {
      expect(result.baselines[name]!.difference.mcv!.poisson.high, name).toBeLessThan(0);
    }
  });

  it("orders the baselines as two types of cells must: what finds the type beats what does not", () => {
    const nats = (name: keyof CountEvaluation["baselines"]) =>
      result.baselines[name]!.likelihood!["0.5"]!.all.nats;
    for (const name of ["knn", "svd", "ridge", "typeMean"] as const) {
      expect(nats(name)).toBeLessThan(nats("negativeBinomial") - 0.02);
    }
    expect(nats("negativeBinomial")).toBeLessThan(nats("geneMarginal"));
    const deviance = (name: keyof CountEvaluation["baselines"]) => result.baselines[name]!.mcv!.poisson.value;
    for (const name of ["knn", "svd", "ridge", "typeMean"] as const) {
      expect(deviance(name)).toBeLessThan(deviance("none"));
      expect(deviance(name)).toBeLessThan(deviance("geneMean"));
    }
  });

  it("gives a difference that is the model's value less the baseline's", () => {
    const { knn } = result.baselines;
    const difference = knn!.difference.likelihood!["0.2"]!.expressed!.nats;
    const own = result.likelihood["0.2"]!.expressed!.nats;
    expect(difference).toBeCloseTo(own - knn!.likelihood!["0.2"]!.expressed!.nats, 10);
    expect(knn!.difference.hidden!.mse.value).toBeCloseTo(
      result.hidden!.mse.value - knn!.hidden!.mse.value,
      10,
    );
  });

  it("has the fields that are documented, and is the same after JSON", () => {
    expect(Object.keys(result)).toEqual([
      "cells",
      "genes",
      "hiddenRatios",
      "likelihood",
      "mcv",
      "hidden",
      "calibration",
      "openProblems",
      "chosen",
      "baselines",
      "groups",
      "verdict",
    ]);
    expect(result.hiddenRatios).toEqual([0.2, 0.5]);
    expect(Object.keys(result.likelihood["0.5"]!.all)).toEqual(["nats", "low", "high"]);
    expect(Object.keys(result.mcv!.poisson)).toEqual(["value", "low", "high"]);
    expect(Object.keys(result.hidden!)).toEqual(["mse", "pearson", "spearman", "genes"]);
    expect(Object.keys(result.calibration!)).toEqual(["pit", "strata", "expressed"]);
    expect(Object.keys(result.baselines)).toEqual([
      "geneMarginal",
      "negativeBinomial",
      "knn",
      "svd",
      "ridge",
      "typeMean",
      "none",
      "geneMean",
    ]);
    expect(result.baselines.geneMarginal!.mcv).toBeUndefined();
    expect(result.baselines.none!.likelihood).toBeUndefined();
    expect(Object.keys(result.verdict)).toEqual([
      "best",
      "difference",
      "low",
      "high",
      "beaten",
      "mcv",
      "sentence",
    ]);
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
  });

  it("scores groups, baselines too, and marks one of fewer than 20 cells", () => {
    expect(Object.keys(result.groups!).sort()).toEqual(["even", "few", "odd"]);
    const { even, odd, few } = result.groups!;
    expect(few!.cells).toBe(5);
    expect(few!.few).toBe(true);
    expect(even!.few).toBe(false);
    expect(even!.cells + odd!.cells + 5).toBe(79);
    expect(odd!.baselines.svd!.likelihood!["0.5"]!.all.nats).toBeGreaterThan(
      odd!.likelihood["0.5"]!.all.nats,
    );
    expect(odd!.baselines.none!.mcv!.poisson.value).toBeGreaterThan(odd!.mcv!.poisson.value);
  });

  it("renders as a table that names every method, marks few cells and ends with the verdict", () => {
    const text = renderCountTable(result, "type");
    for (const name of [
      "model",
      "kNN smoothing",
      "truncated SVD",
      "no denoising",
      "gene mean",
      "type mean",
    ]) {
      expect(text).toContain(`\n${name} `);
    }
    expect(text).toMatch(/^few +5 !/m);
    expect(text).toContain("rewards not denoising");
    expect(text.split("\n").at(-1)).toBe(result.verdict.sentence);
    expect(
      Math.max(
        ...text
          .split("\n")
          .slice(0, -1)
          .map((line) => line.length),
      ),
    ).toBeLessThan(150);
  });

  it.each([2, 7])("is the same to the bit on each of %i ranks, which share the cells", async (world) => {
    const asked = new Array<number>(world).fill(0);
    const all = await together(world, (cluster) => {
      const counting: CountPredictor & CountDenoiser = {
        ...{ name: model.name, denoise: (...given) => model.denoise(...given) },
        predict: (masked, ...given) => {
          asked[cluster.rank] = asked[cluster.rank]! + masked.cells.length;
          return model.predict(masked, ...given);
        },
      };
      return evaluateCounts({ ...options, model: counting, denoiser: counting, cluster });
    });
    for (const each of all) expect(JSON.stringify(each)).toBe(JSON.stringify(result));
    // 80 cells at two shares hidden: each is asked about once, by one rank.
    expect(asked.reduce((sum, cells) => sum + cells, 0)).toBe(2 * 80);
    expect(Math.max(...asked)).toBeLessThanOrEqual(2 * Math.ceil(80 / world));
  });

  it("refuses ranks that have other cells", async () => {
    const found = await together(2, (cluster) => {
      const other = hideGenes(heldOut, 0.5, 2);
      const own = cluster.rank === 0 ? options : { ...options, masks: { ...masks, "0.5": other } };
      return failure(() => evaluateCounts({ ...own, cluster }));
    });
    for (const error of found) {
      expect(error).toMatchObject({ code: "CLUSTER_MISMATCH" });
      expect(error.message).toContain("rank 1 scores other cells than rank 0");
    }
  });

  it("is the same for a seed", async () => {
    expect(await evaluateCounts(options)).toEqual(result);
  });

  it("says that a model which guesses depth times share does not beat the best baseline", async () => {
    const { groups, openProblems, ...rest } = options;
    const wrong = knowing(heldOutTruth, base, 0.4);
    const { verdict, mcv } = await evaluateCounts({
      ...rest,
      model: wrong,
      denoiser: wrong,
      masks: { "0.5": masks["0.5"] },
    });
    expect(verdict.beaten).toBe(false);
    expect(verdict.low).toBeGreaterThan(0);
    expect(verdict.sentence).toContain("does not beat the best baseline");
    expect(mcv!.poisson.value).toBeGreaterThan(result.mcv!.poisson.value);
  });

  it("leaves out what was not asked for or cannot be had", async () => {
    const { labels, ...unlabelled } = training;
    const { denoiser, groups, openProblems, ...rest } = options;
    const { mcv, baselines, verdict, withoutConditions } = await evaluateCounts({
      ...rest,
      training: unlabelled,
      thin: null,
      withoutConditions: knowing(heldOutTruth, base, 0.9),
    });
    expect(mcv).toBeUndefined();
    expect(Object.keys(baselines)).toEqual(["geneMarginal", "negativeBinomial", "knn", "svd", "ridge"]);
    expect(verdict.mcv).toBeUndefined();
    expect(withoutConditions!.likelihood["0.5"]!.all.nats).toBeGreaterThan(
      result.likelihood["0.5"]!.all.nats,
    );
  });
});

it("cells of two panels are scored over what each was measured for", async () => {
  const withPanels = (cells: CountCells): CountCells => {
    const all = cells.panelGenes[0]!;
    const small = all.subarray(0, 25);
    const panels = cells.panels.map((_, cell) => cell % 2);
    const kept = Array.from(cells.genes).map((gene, i) => {
      const cell = cells.offsets.findLastIndex((offset) => offset <= i);
      return panels[cell] === 0 || gene <= small.at(-1)!;
    });
    const offsets = cells.offsets.map((offset) => kept.slice(0, offset).filter(Boolean).length);
    const chosen = (values: Int32Array) => values.filter((_, i) => kept[i]);
    return {
      ...cells,
      offsets,
      genes: chosen(cells.genes),
      counts: chosen(cells.counts),
      panels,
      panelGenes: [all, small],
    };
  };
  const [own, others] = [withPanels(heldOut), withPanels(training)];
  const { groups, openProblems, ...rest } = options;
  const hidden = { "0.5": hideGenes(own, 0.5, 1) };
  const result = await evaluateCounts({ ...rest, heldOut: own, training: others, masks: hidden });
  expect(result.verdict.beaten).toBe(true);
  const { negativeBinomial, svd, knn, ridge } = result.baselines;
  for (const each of [svd, knn, ridge]) {
    expect(each!.likelihood!["0.5"]!.all.nats).toBeLessThan(negativeBinomial!.likelihood!["0.5"]!.all.nats);
  }
});

describe("bad input", () => {
  const codeOf = async (changed: Partial<EvaluateCountsOptions>) =>
    (await failure(() => evaluateCounts({ ...options, ...changed }))).code;

  it("is named", async () => {
    const nobody = cellsOf([new Array<number>(GENES).fill(0)]);
    expect(await codeOf({ masks: {} })).toBe("EVALUATION_EMPTY");
    expect(await codeOf({ training: nobody })).toBe("EVALUATION_EMPTY");
    expect(await codeOf({ masks: { "0.5": hideGenes(training, 0.5, 1) } })).toBe("ARGUMENT_RANGE");
    expect(await codeOf({ groups: ["a"] })).toBe("ARGUMENT_RANGE");
    expect(await codeOf({ thin: 2 })).toBe("ARGUMENT_RANGE");
    expect(await codeOf({ heldOut: { ...heldOut, counts: heldOut.counts.map(() => 0) } })).toBe(
      "BATCH_INVALID",
    );
    expect(await codeOf({ heldOut: { ...heldOut, genes: heldOut.genes.map(() => 5) } })).toBe(
      "BATCH_INVALID",
    );
    expect(await codeOf({ base: { ...base, meanDepth: 0 } })).toBe("ARGUMENT_RANGE");
    expect(await codeOf({ model: {} as EvaluateCountsOptions["model"] })).toBe("ARGUMENT_TYPE");
  });

  it("a signal stops the evaluation with its reason", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const stopped = evaluateCounts({ ...options, signal: controller.signal });
    setTimeout(() => controller.abort(reason), 5);
    await expect(stopped).rejects.toBe(reason);
  });
});
