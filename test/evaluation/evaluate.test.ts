import { describe, expect, it } from "vitest";
import { selectCells, splitBatch } from "../../lib/batching/collate.js";
import { noiseSchedule } from "../../lib/diffusion/index.js";
import { evaluate, RankBaselines, renderGroups, renderTable } from "../../lib/evaluation/index.js";
import { sample } from "../../lib/sampling/index.js";
import type { RaggedBatch } from "../../lib/tokenizer/ragged_batch.js";
import { together } from "../cluster/in_process.js";
import { correlated, KnownJoint } from "../known_joint.js";
import { jointModel, maskedJointCells } from "../sampling/joint_model.js";

const CELLS = 6000;
const model = jointModel(correlated);
const drawn = async (seed: number): Promise<RaggedBatch> =>
  (await sample(jointModel(correlated), maskedJointCells(correlated, CELLS), { seed })).batch;

describe("an evaluation", () => {
  it("scores a model that knows the distribution by what can be known", async () => {
    const ratio = 0.5;
    const { cells, tokens, ratios } = await evaluate(model, [await drawn(1)], { ratios: [ratio], seed: 2 });
    expect([cells, tokens]).toEqual([CELLS, 3 * CELLS]);
    const truth = knowable(ratio);
    const scores = ratios["0.5"]!;
    expect(scores.maskedAccuracy).toBeCloseTo(truth.accuracy, 1);
    expect(Math.abs(scores.maskedAccuracy - truth.accuracy)).toBeLessThan(0.02);
    expect(Math.abs(scores.crossEntropy! - truth.entropy)).toBeLessThan(0.02);
    expect(Math.abs(scores.rankMae - truth.distance)).toBeLessThan(0.02);
    expect(Math.abs(scores.accuracy - (1 - ratio * (1 - truth.accuracy)))).toBeLessThan(0.01);
  });

  it("has less to go by the more is masked", async () => {
    const { ratios } = await evaluate(model, [await drawn(1)]);
    expect(Object.keys(ratios)).toEqual(["0.2", "0.5", "0.8"]);
    expect(ratios["0.2"]!.crossEntropy!).toBeLessThan(ratios["0.5"]!.crossEntropy!);
    expect(ratios["0.5"]!.crossEntropy!).toBeLessThan(ratios["0.8"]!.crossEntropy!);
    expect(ratios["0.2"]!.accuracy).toBeGreaterThan(ratios["0.8"]!.accuracy);
  });

  it("does not hang on how the cells are batched", async () => {
    const heldOut = await drawn(1);
    const baselines = await RankBaselines.fit([await drawn(2)], 3);
    const whole = await evaluate(model, [heldOut], { baselines });
    const split = await evaluate(model, splitBatch(heldOut, { kind: "cells", cells: 1000 }), {
      baselines,
      maxTokens: 700,
    });
    expect(split.tokens).toBe(whole.tokens);
    for (const ratio of ["0.2", "0.5", "0.8"]) {
      expect(split.ratios[ratio]!.crossEntropy).toBeCloseTo(whole.ratios[ratio]!.crossEntropy!, 10);
      expect(split.ratios[ratio]!.maskedAccuracy).toBe(whole.ratios[ratio]!.maskedAccuracy);
      expect(split.baselines.geneMode!.ratios[ratio]).toEqual(whole.baselines.geneMode!.ratios[ratio]);
    }
  });

  it.each([2, 5])(
    "is the same to the bit on %i ranks, which share the cells of every batch",
    async (world) => {
      const heldOut = await drawn(1);
      const baselines = await RankBaselines.fit([await drawn(2)], 3);
      const groupsOf = async (cells: Float64Array) => Array.from(cells, (cell) => String(cell % 3));
      // The last batch has fewer cells than there are ranks.
      const batches = [...splitBatch(heldOut, { kind: "cells", cells: 1499 })];
      expect(batches.at(-1)!.cells).toHaveLength(4);
      const one = await evaluate(model, batches, { baselines, groupsOf });
      const all = await together(world, (cluster) =>
        evaluate(model, batches, { baselines, groupsOf, cluster }),
      );
      for (const each of all) expect(JSON.stringify(each)).toBe(JSON.stringify(one));
      const other = together(2, (cluster) => evaluate(model, batches.slice(3 * cluster.rank), { cluster }));
      await expect(other).rejects.toMatchObject({ code: "CLUSTER_MISMATCH" });
    },
  );

  it("scores groups of cells by themselves", async () => {
    const heldOut = await drawn(1);
    const groupsOf = async (cells: Float64Array) =>
      Array.from(cells, (cell) => (cell % 3 === 0 ? "third" : "other"));
    const parts = splitBatch(heldOut, { kind: "cells", cells: 700 });
    const { groups, ratios } = await evaluate(model, parts, { ratios: [0.5], groupsOf });
    expect(Object.keys(groups!)).toEqual(["other", "third"]);
    expect(groups).toMatchObject({
      third: { cells: CELLS / 3, tokens: CELLS },
      other: { cells: (2 * CELLS) / 3 },
    });
    const third = heldOut.cells.map((_, place) => place).filter((place) => heldOut.cells[place]! % 3 === 0);
    const alone = await evaluate(model, [selectCells(heldOut, third)], { ratios: [0.5] });
    expect(groups!.third!.ratios["0.5"]!.maskedAccuracy).toBe(alone.ratios["0.5"]!.maskedAccuracy);
    expect(groups!.third!.ratios["0.5"]!.crossEntropy).toBeCloseTo(alone.ratios["0.5"]!.crossEntropy!, 10);
    expect(groups!.third!.ratios["0.5"]).not.toEqual(ratios["0.5"]);
    expect(renderGroups(groups!, "kind").split("\n")[2]).toMatch(/^other +4000 +0\.5 /);
    const named = evaluate(model, parts, { groupsOf: async (cells) => Array.from(cells, String) });
    await expect(named).rejects.toThrow(/EVALUATION_GROUPS/);
  });

  it("puts the baselines beside the model, on the same tokens and on all", async () => {
    const baselines = await RankBaselines.fit([await drawn(2)], 3);
    const result = await evaluate(model, [await drawn(1)], { ratios: [0.5], baselines });
    const { globalMode, geneMode, geneMarginal } = result.baselines;
    const marginals = [0, 1, 2].map((i) => correlated.conditional(i, [undefined, undefined, undefined]));
    const entropy = marginals.flat().reduce((sum, p) => sum - p * Math.log(p), 0) / 3;
    const overall = [0, 1, 2].map((value) => marginals.reduce((sum, p) => sum + p[value]!, 0) / 3);
    for (const scores of [geneMarginal!, geneMarginal!.ratios["0.5"]!]) {
      expect(Math.abs(scores.crossEntropy! - entropy)).toBeLessThan(0.02);
    }
    expect(Math.abs(globalMode!.maskedAccuracy - Math.max(...overall))).toBeLessThan(0.02);
    expect(globalMode!.accuracy).toBe(globalMode!.maskedAccuracy);
    expect(geneMode!.maskedAccuracy).toBe(geneMarginal!.maskedAccuracy);
    expect(globalMode).not.toHaveProperty("crossEntropy");
    expect(result.ratios["0.5"]!.crossEntropy!).toBeLessThan(
      geneMarginal!.ratios["0.5"]!.crossEntropy! - 0.1,
    );
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
  });

  it("is one table for people", async () => {
    const baselines = await RankBaselines.fit([await drawn(2)], 3);
    const lines = renderTable(await evaluate(model, [await drawn(1)], { baselines })).split("\n");
    expect(lines[0]).toMatch(
      /^masked +predictor +masked accuracy +accuracy +nats \/ masked token +rank error$/,
    );
    expect(lines.length).toBe(2 + 3 * 4);
    expect(lines[2]).toMatch(/^0\.2 +model +0\.\d{4} +0\.\d{4} +\d\.\d{4} +\d\.\d\d$/);
    expect(lines[3]).toMatch(/^ +most frequent rank +0\.\d{4} +0\.\d{4} +- +\d\.\d\d$/);
  });

  it("tells the network the noise that masks the ratio, at most the schedule's greatest", async () => {
    const asked = jointModel(correlated);
    await evaluate(asked, [maskedJointCells(correlated, 50, [0, 1, 2])], { ratios: [0.5, 1] });
    expect(asked.calls[0]!.conditioning[0]).toBeCloseTo(Math.log(2), 6);
    expect(asked.calls[1]!.conditioning[0]).toBeCloseTo(noiseSchedule({ kind: "loglinear" }).sigma(1), 5);
    expect(asked.open).toBe(0);
  });

  it("masks the tokens of a seed again, others for another, and more of them at a higher ratio", async () => {
    const even = new KnownJoint(4, 2, () => 1);
    const rows = async (ratio: number, seed: number) => {
      const asked = jointModel(even);
      await evaluate(asked, [maskedJointCells(even, 500, [0, 1, 0, 1])], { ratios: [ratio], seed });
      return asked.calls.reduce((sum, call) => sum + call.rows, 0);
    };
    expect(await rows(0.2, 1)).toBe(await rows(0.2, 1));
    expect(await rows(0.2, 1)).not.toBe(await rows(0.2, 2));
    // 4.5 standard deviations of 2,000 draws.
    expect(Math.abs((await rows(0.2, 1)) - 400)).toBeLessThan(4.5 * Math.sqrt(2000 * 0.16));
    expect(Math.abs((await rows(0.8, 1)) - 1600)).toBeLessThan(4.5 * Math.sqrt(2000 * 0.16));
    expect(await rows(1, 1)).toBe(2000);
  });

  it("refuses ratios out of range, masked cells and nothing at all", async () => {
    const cells = maskedJointCells(correlated, 3, [0, 1, 2]);
    await expect(evaluate(model, [cells], { ratios: [] })).rejects.toThrow("ARGUMENT_RANGE");
    await expect(evaluate(model, [cells], { ratios: [1.5] })).rejects.toThrow("ARGUMENT_RANGE");
    await expect(evaluate(model, [maskedJointCells(correlated, 3)])).rejects.toThrow("BATCH_INVALID");
    await expect(evaluate(model, [])).rejects.toThrow("EVALUATION_EMPTY");
  });

  it("ends with the signal's reason when aborted", async () => {
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(evaluate(model, [await drawn(1)], { signal })).rejects.toThrow("enough");
  });
});

/** What the exact predictor scores in expectation, by enumerating outcomes and masks. */
function knowable(ratio: number): { accuracy: number; entropy: number; distance: number } {
  const sums = { accuracy: 0, entropy: 0, distance: 0 };
  let weights = 0;
  for (const [index, probability] of correlated.probabilities.entries()) {
    const outcome = correlated.outcome(index);
    for (let masks = 1; masks < 8; masks++) {
      const hidden = [0, 1, 2].filter((i) => (masks >> i) & 1);
      const weight = probability * ratio ** hidden.length * (1 - ratio) ** (3 - hidden.length);
      const known = outcome.map((value, i) => (hidden.includes(i) ? undefined : value));
      for (const i of hidden) {
        const distribution = correlated.conditional(i, known);
        const best = distribution.indexOf(Math.max(...distribution));
        sums.accuracy += best === outcome[i] ? weight : 0;
        sums.entropy -= weight * Math.log(distribution[outcome[i]!]!);
        sums.distance += weight * Math.abs(best - outcome[i]!);
        weights += weight;
      }
    }
  }
  return {
    accuracy: sums.accuracy / weights,
    entropy: sums.entropy / weights,
    distance: sums.distance / weights,
  };
}
