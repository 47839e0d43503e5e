import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tokenizeRows } from "../../../lib/batching/index.js";
import { CellConditions } from "../../../lib/conditions/cell_conditions.js";
import { networkRows } from "../../../lib/counts/network_rows.js";
import { MemorySource } from "../../../lib/data/sources/memory.js";
import { simulateCells } from "../../../lib/data/sources/simulate.js";
import { type CountCells, chooseCells, countCellsOf } from "../../../lib/evaluation/counts/count_cells.js";
import { hideGenes, maskCells, someOf } from "../../../lib/evaluation/counts/masked_cells.js";
import { ModelPredictor } from "../../../lib/evaluation/counts/model_predictor.js";
import type { Denoiser } from "../../../lib/model/denoiser.js";
import { chooseQueries } from "../../../lib/native/counts.js";
import { GeneVocabulary } from "../../../lib/tokenizer/index.js";
import { Trainer } from "../../../lib/training/trainer.js";
import { learnBase, smallCountModel } from "../../training/small_counts.js";

// Counts stay well below 64, where a value is a count.
const source = new MemorySource(simulateCells({ cells: 160, genes: 40, librarySize: 60, seed: 3 }).cells);
const CELLS = 8;
let untrained: Denoiser;
let trained: Denoiser;
let cells: CountCells;
let rows: Float64Array;

beforeAll(async () => {
  const vocabulary = GeneVocabulary.from(source);
  untrained = await smallCountModel({ vocabulary });
  await learnBase(untrained, source);
  trained = await smallCountModel({ vocabulary });
  const trainer = new Trainer(trained, {
    learningRate: 5e-3,
    batchCells: 32,
    worker: false,
    validation: false,
  });
  for await (const _ of trainer.fit(source, { steps: 40 }));
  const chosen = Int32Array.from({ length: CELLS }, (_, cell) => 11 * cell + 2);
  const { batch } = await tokenizeRows(source, untrained.tokenizer, chosen);
  rows = batch.cells;
  cells = countCellsOf(batch, untrained.tokenizer.map(source).panels);
});
afterAll(() => {
  untrained[Symbol.dispose]();
  trained[Symbol.dispose]();
});

function predictorOf(model: Denoiser, maxRows?: number): ModelPredictor {
  const told = { rows, conditions: CellConditions.none([]) };
  return new ModelPredictor(model, {
    heldOut: told,
    training: told,
    ...(maxRows === undefined ? {} : { maxRows }),
  });
}

/** P(0), P(1), .. of a negative binomial, by recurrence. */
function negativeBinomial(mean: number, size: number): number[] {
  const chances = [(size / (size + mean)) ** size];
  for (let count = 0; count < 63; count++)
    chances.push((((chances[count]! * (count + size)) / (count + 1)) * mean) / (mean + size));
  return chances;
}

/** The count of a gene in a cell. */
function countOf(cell: number, gene: number): number {
  for (let i = cells.offsets[cell]!; i < cells.offsets[cell + 1]!; i++)
    if (cells.genes[i] === gene) return cells.counts[i]!;
  return 0;
}

/** Mean depth of what is visible, by its formula. */
function depthOf(cell: number, hidden: ReadonlySet<number>, base = untrained.base!): number {
  let [total, share] = [0, 0];
  for (const gene of cells.panelGenes[0]!) {
    if (hidden.has(gene)) continue;
    total += countOf(cell, gene);
    share += base.share[gene]!;
  }
  return (total + base.spread) / (share + base.spread / base.meanDepth);
}

function masked(ratio: number, most = 1000) {
  const hidden = hideGenes(cells, ratio, 5);
  const queries = someOf(hidden, most, 1);
  const base = untrained.base!;
  const made = maskCells(cells, hidden, 0, CELLS, base, queries);
  const answers = Int32Array.from(made.queries.genes, (gene, i) => {
    const cell = made.queries.offsets.findIndex((end) => end > i) - 1;
    return countOf(cell, gene);
  });
  return { masked: made, answers };
}

describe("a model of counts as a predictor", () => {
  it.each([0.2, 0.5, 1])(
    "is each gene's negative binomial before it is trained (%d hidden)",
    async (ratio) => {
      const { masked: some, answers } = masked(ratio);
      const found = await predictorOf(untrained).predict(some, answers);
      const base = untrained.base!;
      let i = 0;
      for (let cell = 0; cell < CELLS; cell++) {
        const own = some.hidden.genes.subarray(some.hidden.offsets[cell], some.hidden.offsets[cell + 1]);
        const depth = depthOf(cell, new Set(own));
        for (const gene of own) {
          const mean = depth * base.share[gene]!;
          const chances = negativeBinomial(mean, base.size[gene]!);
          const count = answers[i]!;
          // Bins above 64 stand for their middle: it shows where a gene may have such counts.
          const digits = mean < 3 ? 4 : 2;
          expect(found.logProbability[i]).toBeCloseTo(Math.log(chances[count]!), digits);
          expect(found.at[i]).toBeCloseTo(chances[count]!, digits);
          expect(found.below[i]).toBeCloseTo(
            chances.slice(0, count).reduce((sum, each) => sum + each, 0),
            digits,
          );
          expect(found.expressed[i]).toBeCloseTo(1 - chances[0]!, digits);
          expect(found.mean[i]! / mean).toBeCloseTo(1, 2);
          i++;
        }
      }
      expect(i).toBe(answers.length);
    },
  );

  it("says the same however many rows the network gets at a time", async () => {
    const { masked: some, answers } = masked(0.5);
    const whole = await predictorOf(trained).predict(some, answers);
    for (const maxRows of [1, 90]) {
      const parts = await predictorOf(trained, maxRows).predict(some, answers);
      for (const name of ["logProbability", "mean", "below", "at", "expressed"] as const)
        for (const [i, value] of parts[name].entries()) expect(value).toBeCloseTo(whole[name][i]!, 5);
    }
    const before = await predictorOf(untrained).predict(some, answers);
    expect(whole.logProbability).not.toEqual(before.logProbability);
  });

  it("says the same of a gene when fewer are asked about", async () => {
    const all = masked(0.5);
    const few = masked(0.5, 3);
    const whole = await predictorOf(trained).predict(all.masked, all.answers);
    const some = await predictorOf(trained).predict(few.masked, few.answers);
    expect(few.answers.length).toBe(3 * CELLS);
    for (let cell = 0; cell < CELLS; cell++) {
      for (let i = few.masked.queries.offsets[cell]!; i < few.masked.queries.offsets[cell + 1]!; i++) {
        let place = all.masked.queries.offsets[cell]!;
        while (all.masked.queries.genes[place] !== few.masked.queries.genes[i]) place++;
        expect(some.mean[i]).toBe(whole.mean[place]);
        expect(some.logProbability[i]).toBe(whole.logProbability[place]);
      }
    }
  });

  it("refuses a model that was never trained", async () => {
    using fresh = await smallCountModel();
    expect(() => predictorOf(fresh)).toThrow(/MODEL_BASE: .*train it first/);
  });
});

describe("a model of counts as a denoiser", () => {
  /** Folds as the predictor makes them: a hash of the gene id. */
  const foldOf = (gene: number) => (Math.imul(gene, 2654435761) >>> 16) % 5;

  it("predicts each fold of genes from the others and then looks at the counts", async () => {
    const cell = 3;
    const one = chooseCells(cells, Int32Array.of(cell));
    const found = await predictorOf(trained).denoise(one, { places: Int32Array.of(cell), training: false });
    const measured = one.panelGenes[0]!;
    expect(found).toHaveLength(measured.length);
    const folds = new Set(measured.map(foldOf));
    expect([...folds].sort()).toEqual([0, 1, 2, 3, 4]);
    const base = trained.base!;
    for (const fold of folds) {
      const hidden = measured.filter((gene) => foldOf(gene) === fold);
      const chosen = await chooseQueries({
        batch: { ...one, cells: Float64Array.of(rows[cell]!) },
        panels: one.panelGenes,
        share: base.share,
        hide: { offsets: Int32Array.of(0, hidden.length), genes: hidden },
        zeros: Number.POSITIVE_INFINITY,
        expressed: Number.POSITIVE_INFINITY,
        evidence: 1000,
        ...(trained.summaryInput === undefined ? {} : { summary: trained.summaryInput }),
        seed: 0,
        step: 0,
      });
      const none = { labels: new Int32Array(0), numbers: new Float32Array(0) };
      const network = networkRows(chosen, base, { ...none, total: Float32Array.of(Number.NaN) });
      using said = await trained.native.predictCounts(network, { weights: "ema" });
      const { mean, variance } = await said.statistics();
      expect(mean).toHaveLength(hidden.length);
      for (const [i, gene] of hidden.entries()) {
        const m = mean[i]!;
        const shape = (m * m) / Math.max(variance[i]! - m, 1e-4);
        const expected = (m * (shape + countOf(cell, gene))) / (shape + m);
        expect(found[measured.indexOf(gene)]! / expected).toBeCloseTo(1, 5);
      }
    }
  });

  it("gives no mean below 0, and more of a gene where it was counted", async () => {
    const places = Int32Array.from({ length: CELLS }, (_, cell) => cell);
    const means = await predictorOf(trained).denoise(cells, { places, training: true });
    expect(means).toHaveLength(CELLS * cells.panelGenes[0]!.length);
    expect(means.every((mean) => mean >= 0)).toBe(true);
    const before = await predictorOf(untrained).denoise(cells, { places, training: true });
    // The base alone: the Gamma posterior of its negative binomial.
    const base = untrained.base!;
    const measured = cells.panelGenes[0]!;
    for (const [place, gene] of measured.entries()) {
      const hidden = new Set(measured.filter((other) => foldOf(other) === foldOf(gene)));
      const mean = depthOf(0, hidden) * base.share[gene]!;
      const size = base.size[gene]!;
      const expected = (mean * (size + countOf(0, gene))) / (size + mean);
      expect(before[place]! / expected).toBeCloseTo(1, 1);
    }
  });

  it("is the same for any number of rows at a time", async () => {
    const places = Int32Array.from({ length: CELLS }, (_, cell) => cell);
    const whole = await predictorOf(trained).denoise(cells, { places, training: false });
    const parts = await predictorOf(trained, 60).denoise(cells, { places, training: false });
    for (const [i, mean] of parts.entries()) expect(mean).toBeCloseTo(whole[i]!, 5);
  });
});
