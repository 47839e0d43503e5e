import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CellSource } from "../../lib/data/sources/source.js";
import { type DenoiseCellsOptions, denoiseCells } from "../../lib/imputation/index.js";
import type { Denoiser } from "../../lib/model/denoiser.js";
import { GeneVocabulary } from "../../lib/tokenizer/index.js";
import { learnBase, smallCountModel } from "../training/small_counts.js";
import { smallModel } from "../training/small_run.js";
import { type Few, shuffledCells, sourceOf, study, trainedModel } from "./support.js";

let untrained: Denoiser;
let trained: Denoiser;
let few: Few;
let source: CellSource;

beforeAll(async () => {
  untrained = await smallCountModel({ vocabulary: GeneVocabulary.from(study) });
  await learnBase(untrained, study);
  trained = await trainedModel();
  few = await shuffledCells();
  source = sourceOf(few);
});
afterAll(() => {
  untrained[Symbol.dispose]();
  trained[Symbol.dispose]();
});

interface Entry {
  readonly row: number;
  readonly gene: string;
  readonly mean: number;
  readonly shape: number;
}

/** All entries, in the order in which they are given. */
async function entriesOf(
  cells: CellSource,
  model: Denoiser,
  options: DenoiseCellsOptions = {},
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const { block, offsets, columns, mean, shape } of denoiseCells(cells, model, options)) {
    for (const [cell, row] of block.rows.entries()) {
      let last = -1;
      for (let i = offsets[cell]!; i < offsets[cell + 1]!; i++) {
        expect(columns[i]).toBeGreaterThan(last);
        last = columns[i]!;
        entries.push({ row, gene: cells.genes[last]!.id, mean: mean[i]!, shape: shape[i]! });
      }
    }
  }
  return entries;
}

describe("denoised cells", () => {
  it("are, before a model is trained, each gene's negative binomial at the depth of the other folds and the gene's own count", async () => {
    const entries = await entriesOf(source, untrained);
    const { share, size, spread, meanDepth } = untrained.base!;
    const ids = few.genes.map((gene) => untrained.vocabulary.find(gene) ?? -1);
    const known = ids.filter((id) => id >= 0);
    expect(known).toHaveLength(40);
    const foldOf = (id: number) => (Math.imul(id, 2654435761) >>> 16) % 5;
    // Every cell has every known gene, the two without a count included.
    expect(entries).toHaveLength(40 * few.counts.length);
    for (const { row, gene, mean, shape } of entries) {
      const id = untrained.vocabulary.find(gene)!;
      let [visible, visibleShare] = [0, 0];
      for (const [column, other] of ids.entries()) {
        if (other < 0 || foldOf(other) === foldOf(id)) continue;
        visible += few.counts[row]![column]!;
        visibleShare += share[other]!;
      }
      const prior = ((visible + spread) / (visibleShare + spread / meanDepth)) * share[id]!;
      const count = few.counts[row]![few.genes.indexOf(gene)]!;
      // Bins above 64 stand for their middle: it shows where a gene may have such counts.
      if (prior > 3) continue;
      // The variance beyond that of Poisson counts has a least.
      const priorShape = prior ** 2 / Math.max(prior ** 2 / size[id]!, 1e-4);
      expect(mean / ((prior * (priorShape + count)) / (priorShape + prior))).toBeCloseTo(1, 1);
      expect(((shape - count) / priorShape) * 0.5).toBeCloseTo(0.5, 1);
    }
  });

  it("are the same to the last bit whatever runs together: rows at a time, other cells, other genes asked for", async () => {
    const whole = await entriesOf(source, trained);
    expect(await entriesOf(source, trained, { maxRows: 1 })).toEqual(whole);
    expect(await entriesOf(source, trained, { maxRows: 100 })).toEqual(whole);
    const rows = Int32Array.of(1, 4, 6);
    expect(await entriesOf(source, trained, { selection: { rows } })).toEqual(
      whole.filter(({ row }) => rows.includes(row)),
    );
    const genes = ["GENE07", "GENE31", "GENE08"];
    expect(await entriesOf(source, trained, { genes })).toEqual(
      whole.filter(({ gene }) => genes.includes(gene)),
    );
    expect(whole).not.toEqual(await entriesOf(source, untrained));
  });

  it("are told their own conditions, unless none is asked for, and nothing of labels that were not learnt", async () => {
    const notes: string[] = [];
    const onNote = (note: string) => notes.push(note);
    const types = few.counts.map((_, cell) => (cell < 2 ? "type-1" : cell < 4 ? "type-2" : "type-9"));
    const labelled = sourceOf(few, types);
    const own = await entriesOf(labelled, trained, { onNote });
    expect(notes).toEqual([
      'the model has not learnt cell_type "type-9" of 4 cells: it is told nothing of it there',
    ]);
    const none = await entriesOf(labelled, trained, { conditions: "none" });
    const without = await entriesOf(source, trained, { onNote });
    expect(notes[1]).toBe('there is no column "cell_type", which the model knows: it is told nothing of it');
    expect(none).toEqual(without);
    const differs = (row: number) =>
      own.some((entry, i) => entry.row === row && entry.mean !== none[i]!.mean);
    expect(few.counts.map((_, row) => differs(row))).toEqual(few.counts.map((_, row) => row < 4));
  });

  it("cannot be had of a model of ranks, of one without a base, nor of genes that are not known", async () => {
    const of = (model: Denoiser, options: DenoiseCellsOptions = {}) => entriesOf(source, model, options);
    using ranks = await smallModel();
    await expect(of(ranks)).rejects.toThrow(/MODEL_CONFIG: .*models of counts/);
    using fresh = await smallCountModel();
    await expect(of(fresh)).rejects.toThrow(/MODEL_BASE: .*train it first/);
    await expect(of(trained, { genes: ["STRANGE"] })).rejects.toThrow(/GENE_UNKNOWN: gene "STRANGE"/);
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(of(trained, { signal })).rejects.toThrow("enough");
  });
});
