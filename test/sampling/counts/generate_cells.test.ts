import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Condition } from "../../../lib/conditions/condition.js";
import { DepthSample } from "../../../lib/counts/depth_sample.js";
import type { Denoiser } from "../../../lib/model/denoiser.js";
import {
  type GenerateCellsOptions,
  type GeneratedCellBlock,
  generateCells,
} from "../../../lib/sampling/counts/index.js";
import { randomModel } from "../random_model.js";
import { geneIds, randomCountModel } from "./random_count_model.js";

const GENES = 20;
const CONDITIONS: readonly Condition[] = [
  { kind: "labels", name: "type", labels: ["B", "T"] },
  { kind: "number", name: "dose", scale: "log", mean: 1, deviation: 2 },
];
/** Six cells: B of depth 100 to 102, T of depth 200 to 202, doses 0 to 5 in standard units. */
const depths = new DepthSample(Float64Array.of(100, 101, 102, 200, 201, 202), {
  labels: Int32Array.of(1, 1, 1, 2, 2, 2),
  numbers: Float32Array.of(0, 1, 2, 3, 4, Number.NaN),
});
let model: Denoiser;
beforeAll(async () => {
  model = await randomCountModel(GENES, 150, { conditions: CONDITIONS, depths, scale: 0.05 });
});
afterAll(() => model[Symbol.dispose]());

async function generated(
  options: Partial<GenerateCellsOptions> = {},
  of = model,
): Promise<GeneratedCellBlock[]> {
  const blocks: GeneratedCellBlock[] = [];
  const sampler = { kind: "parallel", steps: 3 } as const;
  for await (const block of generateCells(of, { cells: 40, sampler, ...options })) blocks.push(block);
  return blocks;
}

function templates(blocks: readonly GeneratedCellBlock[]) {
  return blocks.flatMap((block) => block.templates);
}

/** Counts by gene id, by cell. */
function rows(blocks: readonly GeneratedCellBlock[]): Record<number, number>[] {
  return blocks.flatMap(({ offsets, genes, counts, templates: { length } }) =>
    Array.from({ length }, (_, cell) =>
      Object.fromEntries(
        Array.from(genes.subarray(offsets[cell], offsets[cell + 1]), (gene, i) => [
          gene,
          counts[offsets[cell]! + i]!,
        ]),
      ),
    ),
  );
}

describe("generating cells", () => {
  it("gives the same cells in any number at a time, and from any first one on", async () => {
    const all = rows(await generated({ seed: 3 }));
    expect(all).toHaveLength(40);
    expect(rows(await generated({ seed: 3, batch: 7 }))).toEqual(all);
    expect(rows(await generated({ seed: 3, cells: 5, firstCell: 20 }))).toEqual(all.slice(20, 25));
    expect(rows(await generated({ seed: 4 }))).not.toEqual(all);
  });

  it("lets what was drawn guide a little more than was learnt, unless told not to", async () => {
    const cells = rows(await generated({ seed: 3 }));
    expect(rows(await generated({ seed: 3, evidenceGuidance: 1.15 }))).toEqual(cells);
    expect(rows(await generated({ seed: 3, evidenceGuidance: 1 }))).not.toEqual(cells);
  });

  it("draws depth and conditions together from training cells, of those conditions that are asked for", async () => {
    const free = templates(await generated());
    expect(new Set(free.map(({ total }) => total))).toEqual(new Set([100, 101, 102, 200, 201, 202]));
    for (const { total, labels, numbers } of free) {
      expect(labels[0]).toBe(total < 150 ? 1 : 2);
      expect(numbers[0]).toEqual(total === 202 ? Number.NaN : (total % 100) + (total < 150 ? 0 : 3));
    }
    const cells = templates(await generated({ conditions: { type: "T" } }));
    expect(new Set(cells.map(({ total }) => total))).toEqual(new Set([200, 201, 202]));
    expect(cells.every(({ labels }) => labels[0] === 2)).toBe(true);
    // log1p(e^2 - 1) = 2, half a deviation above the mean.
    const dosed = templates(
      await generated({ conditions: { dose: Math.exp(2) - 1, type: null }, depth: 70 }),
    );
    for (const { total, labels, numbers } of dosed) {
      expect([total, labels[0]]).toEqual([70, 0]);
      expect(numbers[0]).toBeCloseTo(0.5, 6);
    }
  });

  it("makes cells about as deep as they are to be", async () => {
    // As the model is: what an untrained one makes of its own draws is not to be guided by more than it says.
    const cells = await generated({
      cells: 200,
      depth: 400,
      sampler: { kind: "first-hitting" },
      evidenceGuidance: 1,
    });
    const totals = rows(cells).map((row) => Object.values(row).reduce((a, b) => a + b, 0));
    const mean = totals.reduce((a, b) => a + b, 0) / totals.length;
    expect(Math.abs(mean - 400)).toBeLessThan(40);
  });

  it("draws depths of the mean and spread of training where no training cells were kept", async () => {
    using without = await randomCountModel(GENES, 150);
    const totals = templates(
      await generated({ cells: 3000, genes: [3], sampler: { kind: "parallel", steps: 1 } }, without),
    ).map(({ total }) => total);
    const mean = totals.reduce((a, b) => a + b, 0) / totals.length;
    const variance = totals.reduce((sum, total) => sum + (total - mean) ** 2, 0) / totals.length;
    // A Gamma distribution of mean 150 and shape 4: a standard deviation of 75; rounding to whole counts adds to it.
    expect(Math.abs(mean - 150)).toBeLessThan(5 * (75 / Math.sqrt(3000)) + 2);
    expect(Math.sqrt(variance)).toBeGreaterThan(70);
    expect(Math.sqrt(variance)).toBeLessThan(82);
  });

  it("gives of whole cells the genes that are wanted, whichever these are", async () => {
    const only = (row: Record<string, number>, genes: readonly string[]) =>
      Object.fromEntries(Object.entries(row).filter(([gene]) => genes.includes(gene)));
    const whole = await generated({ seed: 5 });
    const cells = await generated({ seed: 5, genes: ["gene 4", "gene 2"] });
    expect(rows(cells)).toEqual(rows(whole).map((row) => only(row, ["5", "7"])));
    expect(rows(cells).some((row) => Object.keys(row).length > 0)).toBe(true);
    expect(templates(cells).map(({ total }) => total)).toEqual(templates(whole).map(({ total }) => total));
    for (const { genes } of templates(cells)) expect([...genes]).toEqual([5, 7]);
    const one = await generated({ seed: 5, genes: [7], batch: 3 });
    expect(rows(one)).toEqual(rows(whole).map((row) => only(row, ["7"])));
  });

  it("makes cells like templates, each with its own genes", async () => {
    const like = (cell: number) => ({
      total: 50 + cell,
      labels: Int32Array.of(1 + (cell % 2)),
      numbers: Float32Array.of(0),
      genes: geneIds(cell % 2 === 0 ? 5 : GENES),
    });
    const cells = await generated({ cells: 6, like });
    expect(templates(cells).map(({ total }) => total)).toEqual([50, 51, 52, 53, 54, 55]);
    for (const [cell, row] of rows(cells).entries())
      if (cell % 2 === 0) expect(Object.keys(row).every((gene) => Number(gene) < 8)).toBe(true);
  });

  it("refuses what cannot be asked for", async () => {
    const refused = (options: Partial<GenerateCellsOptions>, of = model) =>
      expect(generated(options, of)).rejects;
    await refused({ conditions: { typ: "B" } }).toThrow(/CONDITION_UNKNOWN.*"typ".*type/);
    await refused({ conditions: { type: "b" } }).toThrow(/CONDITION_LABEL_UNKNOWN.*"b".*B/);
    await refused({ conditions: { dose: "much" } }).toThrow(/CONDITION_NUMBER.*dose: "much" is no number/);
    await refused({ genes: ["gene 99"] }).toThrow(/GENE_UNKNOWN.*gene 99/);
    await refused({ depth: 0 }).toThrow(/ARGUMENT_RANGE.*depth/);
    await refused({ cells: 0 }).toThrow(/ARGUMENT_RANGE.*cells/);
    using plain = await randomCountModel(GENES, 30);
    await refused({ conditions: { type: "B" } }, plain).toThrow(
      /CONDITION_UNKNOWN.*no conditions.*--condition type/,
    );
    using ranks = await randomModel(5);
    await refused({}, ranks).toThrow(/MODEL_VALUES.*of ranks/);
  });
});
