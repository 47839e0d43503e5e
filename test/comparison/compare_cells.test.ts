import { beforeAll, describe, expect, it } from "vitest";
import { compareCells, renderComparison } from "../../lib/comparison/index.js";
import type { CellComparison, ComparisonScores } from "../../lib/comparison/scores.js";
import { simulateCells } from "../../lib/data/sources/simulate.js";
import type { SimulateOptions } from "../../lib/data/sources/simulation.js";
import { type CountCells, chooseCells } from "../../lib/evaluation/counts/count_cells.js";
import { cellsOf, twoTypes } from "../evaluation/counts/support.js";

/** Simulated cells of two strong programmes, so that genes go together. */
function simulated(options: SimulateOptions): CountCells {
  const study = {
    genes: 40,
    types: 2,
    programmes: 3,
    librarySize: 1200,
    dispersion: 0.02,
    seed: 2,
    ...options,
  };
  const { cells } = simulateCells({ dropoutMidpoint: 0, ...study });
  return {
    offsets: cells.offsets as Int32Array,
    genes: Int32Array.from(cells.geneColumns, (column) => column + 3),
    counts: Int32Array.from(cells.counts),
    panels: new Int32Array(cells.ids!.length),
    panelGenes: [Int32Array.from({ length: study.genes }, (_, gene) => gene + 3)],
  };
}

const part = (cells: CountCells, first: number, end: number) =>
  chooseCells(
    cells,
    Int32Array.from({ length: end - first }, (_, i) => first + i),
  );

const all = simulated({ cells: 700 });
const real = part(all, 0, 150);
const alike = part(all, 150, 300);
const training = part(all, 300, 700);
let good: CellComparison;
let copied: CellComparison;
beforeAll(async () => {
  good = await compareCells(real, alike, { training, resamples: 200 });
  copied = await compareCells(real, part(training, 0, 150), { training, resamples: 200 });
});

describe("a comparison of cells", () => {
  it("cannot tell cells of one distribution apart", () => {
    expect(good).toMatchObject({ cells: 150, genes: 40, reference: "training", trainingCells: 400 });
    expect(good.auc.value).toBeLessThan(0.6);
    expect(good.ceiling.auc.value).toBeLessThan(0.6);
    expect(Math.abs(good.correlationStructure! - good.ceiling.correlationStructure!)).toBeLessThan(0.05);
    expect(Math.abs(good.energyDistance)).toBeLessThan(0.1);
    expect(Math.abs(good.zeroFraction.difference.value)).toBeLessThan(0.01);
    expect(good.memorisation.ratio!).toBeCloseTo(1, 1);
    expect(good.ceiling.memorisation.ratio).toBeCloseTo(1, 1);
  });

  it("has floors that lack what they lack", () => {
    const { negativeBinomial, shuffled } = good.floors;
    for (const floor of [negativeBinomial, shuffled]) {
      expect(floor.auc.value).toBeGreaterThan(good.auc.value + 0.05);
      expect(floor.correlationStructure!).toBeLessThan(good.correlationStructure! - 0.1);
      expect(floor.energyDistance).toBeGreaterThan(good.energyDistance);
      expect(floor.memorisation.copies).toBe(0);
    }
    expect(shuffled.meanVariance.mean.pearson!).toBeGreaterThan(0.98);
    expect(shuffled.zeroFraction.byGene.rms).toBeLessThan(0.06);
  });

  it("tells copies of training cells", () => {
    expect(copied.memorisation).toMatchObject({ generated: 0, ratio: 0, low: 0, high: 0, copies: 1 });
    expect(copied.memorisation.heldOut).toBe(good.memorisation.heldOut);
    expect(copied.ceiling.memorisation.copies).toBe(0);
    expect(renderComparison(copied)).toMatch(
      /; 100\.0% of them equal a training cell: the files have cells in/,
    );
    expect(copied.auc.value).toBeLessThan(0.6);
    expect(renderComparison(copied)).toMatch(
      /are nearer to training cells than held-out cells are \(ratio 0\.000/,
    );
    expect(renderComparison(good)).not.toContain("memorised");
  });

  it("sees another depth", async () => {
    const { auc, totals, zeroFraction } = await compareCells(
      real,
      part(simulated({ cells: 200, librarySize: 600 }), 150, 200),
      { training, resamples: 50 },
    );
    expect(auc.low).toBeGreaterThan(0.8);
    expect(totals.relative.median!).toBeGreaterThan(-0.6);
    expect(totals.relative.median!).toBeLessThan(-0.4);
    expect(zeroFraction.difference.low).toBeGreaterThan(0);
  });

  it("compares each type, and marks those of few cells", async () => {
    const labels = Array.from({ length: 90 }, (_, i) => (i < 50 ? "a" : i < 80 ? "b" : i < 88 ? "c" : "d"));
    const labelled = (cells: CountCells) => ({ ...cells, labels });
    const { groups } = await compareCells(labelled(part(real, 0, 90)), labelled(part(alike, 0, 90)), {
      training: labelled(part(training, 0, 90)),
      resamples: 20,
    });
    expect(Object.keys(groups!)).toEqual(["a", "b", "c", "d"]);
    expect(groups!.a).toMatchObject({ cells: 50, few: false, real: 50, generated: 50 });
    expect(groups!.c).toMatchObject({
      cells: 8,
      few: true,
      auc: expect.anything(),
      ceiling: expect.anything(),
    });
    expect(groups!.d).toEqual({ cells: 2, few: true, real: 2, generated: 2 });
    const { labels: _, ...without } = alike;
    expect(await compareCells(real, without, { training, cells: 20, resamples: 20 })).not.toHaveProperty(
      "groups",
    );
  });

  it("divides real cells in two halves where there are no training cells", async () => {
    const halves = await compareCells(part(all, 0, 81), alike, { resamples: 20 });
    expect(halves).toMatchObject({ cells: 40, reference: "half", trainingCells: 41 });
    expect(renderComparison(halves)).toContain("real cells were divided at random");
  });

  it("is a function of the seed, and draws as many cells as asked", async () => {
    const run = (seed: number) => compareCells(real, alike, { training, cells: 40, resamples: 20, seed });
    const [one, again, other] = [await run(1), await run(1), await run(2)];
    expect(one).toEqual(again);
    expect(one.cells).toBe(40);
    expect(one.energyDistance).not.toBe(other.energyDistance);
  });

  it("is over the genes that all cells measure", async () => {
    const { dense } = twoTypes(60, 6, 1);
    const cells = cellsOf(dense);
    // The second half of the generated cells does not measure genes 3 and 4.
    const fewer = cellsOf(dense.map((row, cell) => (cell < 30 ? row : [0, 0, ...row.slice(2)])));
    const generated = {
      ...fewer,
      panels: Int32Array.from(dense, (_, cell) => (cell < 30 ? 0 : 1)),
      panelGenes: [fewer.panelGenes[0]!, Int32Array.of(5, 6, 7, 8)],
    };
    const result = await compareCells(cells, generated, { training: cells, resamples: 20 });
    expect(result.genes).toBe(4);
    expect(result.zeroFraction.difference.value).toBe(0);
    expect(result.memorisation.copies).toBe(1);
  });

  it("compares correlations of as many sets of cells as there are", async () => {
    const few = await compareCells(part(real, 0, 40), alike, { training, resamples: 20 });
    // 150 generated and 400 training cells in sets of 40.
    expect(few.correlationSets.count).toBe(3);
    expect(few.ceiling.correlationSets.count).toBe(10);
    expect(few.floors.shuffled.correlationSets).toEqual({ count: 1, deviation: null });
    expect(few.correlationSets.deviation!).toBeGreaterThan(0);
    expect(renderComparison(few)).toMatch(/^ {2}sets of cells +3 \(deviation 0\.\d{3}\) +10 \(/m);
    // No more than 20.
    const many = await compareCells(part(real, 0, 20), training, { training: alike, resamples: 20 });
    expect(many.correlationSets.count).toBe(20);
  });

  it("takes zeros and totals of all sets, what hangs on the number of cells of one", async () => {
    const some = part(real, 0, 40);
    const { marginalCells, ceiling, floors, ...scores } = await compareCells(some, alike, {
      training,
      resamples: 20,
    });
    expect(marginalCells).toEqual({ real: 40, generated: 120 });
    expect(ceiling.marginalCells).toEqual({ real: 40, generated: 400 });
    expect(floors.negativeBinomial.marginalCells).toEqual({ real: 40, generated: 40 });
    // All training cells are in one of ten sets.
    const whole = await compareCells(some, training, { training, resamples: 20 });
    expect(ceiling.zeroFraction.generated).toBeCloseTo(whole.zeroFraction.generated, 12);
    expect(ceiling.totals).toEqual(whole.totals);
    expect(ceiling.zeroFraction.byGene).not.toEqual(whole.zeroFraction.byGene);
    // With fewer generated cells, all real ones.
    const few = await compareCells(real, part(alike, 0, 30), { training, resamples: 20 });
    expect(few.cells).toBe(30);
    expect(few.marginalCells.generated).toBe(30);
    expect(few.marginalCells.real).toBe(30 * Math.min(20, Math.floor(real.panels.length / 30)));
    expect(few.ceiling.totals.real).toEqual(few.totals.real);
    expect(scores.zeroFraction.difference.low).toBeLessThan(scores.zeroFraction.difference.high);
  });

  it("takes generated cells without any count", async () => {
    const empty = {
      ...alike,
      offsets: new Int32Array(151),
      genes: new Int32Array(0),
      counts: new Int32Array(0),
    };
    const scores = await compareCells(real, empty, { training, cells: 40, resamples: 20 });
    expect(scores.auc.value).toBe(1);
    expect(scores.zeroFraction.generated).toBe(1);
    expect(scores.meanVariance).toMatchObject({ genes: 0, mean: { pearson: null, rms: null } });
    expect(scores.correlationStructure).toBeNull();
    expect(JSON.stringify(scores)).not.toContain("NaN");
    expect(renderComparison(scores)).toContain("(-100.0%)");
  });

  it("refuses too few cells, no gene in common, and stops when asked to", async () => {
    const tooFew = compareCells(part(real, 0, 19), alike, { training });
    await expect(tooFew).rejects.toThrow("COMPARE_TOO_FEW: real: 19 cells are too few");
    await expect(compareCells(part(real, 0, 39), alike)).rejects.toThrow("COMPARE_TOO_FEW: real: 39 cells");
    const others = { ...alike, genes: alike.genes.map((gene) => gene + 100) };
    const apart = { ...others, panelGenes: [alike.panelGenes[0]!.map((gene) => gene + 100)] };
    await expect(compareCells(real, apart, { training })).rejects.toThrow("COMPARE_NO_GENES");
    await expect(compareCells(real, others, { training })).rejects.toThrow(
      "BATCH_INVALID: generated: cell 0",
    );
    const controller = new AbortController();
    const stopped = compareCells(real, alike, { training, signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(stopped).rejects.toThrow("enough");
  });
});

describe("the table of a comparison", () => {
  it("has each measure beside ceiling and floors, and says last what was found", () => {
    const lines = renderComparison(good).split("\n");
    expect(lines[0]).toBe(
      "150 cells of each kind, 40 genes; 400 training cells; intervals are 95% over cells",
    );
    const row = (name: string) => lines.find((line) => line.startsWith(name))!.split(/ {2,}/);
    const values = (of: (scores: ComparisonScores) => string) =>
      [good, good.ceiling, good.floors.negativeBinomial, good.floors.shuffled].map(of);
    expect(row("correlation structure").slice(1)).toEqual(
      values(({ correlationStructure }) => correlationStructure!.toFixed(4)),
    );
    expect(row("zero fraction").slice(2)).toEqual(
      values(({ zeroFraction }) => zeroFraction.generated.toFixed(4)),
    );
    expect(lines.at(-1)).toMatch(
      /^generated cells are not told from real ones more surely than other real cells are: /,
    );
  });

  it("has groups, those without scores too", () => {
    const { cells, genes, reference, trainingCells, ...scores } = good;
    const groups = {
      T: { ...scores, cells: 50, few: false, real: 60, generated: 50 },
      B: { cells: 3, few: true, real: 3, generated: 9 },
    };
    const text = renderComparison({ ...good, groups }, "cell type");
    expect(text).toMatch(/^cell type +real +generated/m);
    expect(text).toMatch(/^B +3 +9 +3 ! +-/m);
    expect(text).toContain("! fewer than 20 cells");
  });
});
