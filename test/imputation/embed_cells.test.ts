import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CellSource } from "../../lib/data/sources/source.js";
import { type EmbedCellsOptions, embedCells } from "../../lib/imputation/index.js";
import type { Denoiser } from "../../lib/model/denoiser.js";
import { GeneVocabulary } from "../../lib/tokenizer/index.js";
import { learnBase, smallCountModel } from "../training/small_counts.js";
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

interface Cell {
  readonly row: number;
  readonly state: readonly number[];
  readonly nll: number | undefined;
}

async function cellsOf(cells: CellSource, model: Denoiser, options: EmbedCellsOptions = {}): Promise<Cell[]> {
  const all: Cell[] = [];
  const width = model.config.counts!.state;
  for await (const { block, state, nll } of embedCells(cells, model, options)) {
    expect(state).toHaveLength(width * block.rows.length);
    for (const [i, row] of block.rows.entries())
      all.push({ row, state: [...state.subarray(i * width, (i + 1) * width)], nll: nll?.[i] });
  }
  return all;
}

/** log P of a negative binomial, by recurrence. */
function logNegativeBinomial(count: number, mean: number, size: number): number {
  let log = size * Math.log(size / (size + mean));
  for (let k = 0; k < count; k++) log += Math.log(((size + k) / (k + 1)) * (mean / (mean + size)));
  return log;
}

describe("states of cells", () => {
  it("are, where the network adds nothing, the summary of all genes of the cell, zeros included", async () => {
    const { base, summary } = untrained;
    const width = untrained.config.counts!.state;
    for (const name of ["cell_state.weight", "cell_state.bias", "summary.2.weight", "summary.2.bias"]) {
      const zeros = new Float32Array(untrained.parameters.find((each) => each.name === name)!.size);
      await untrained.writeParameter(name, zeros, "ema");
    }
    for (const { row, state } of await cellsOf(source, untrained)) {
      const countOf = (id: number) => {
        const column = few.genes.findIndex((gene) => untrained.vocabulary.find(gene) === id);
        return few.counts[row]![column]!;
      };
      const total = [...summary!.genes].reduce((sum, id) => sum + countOf(id), 0);
      const depth = (total + base!.spread) / (1 + base!.spread / base!.meanDepth);
      const expected = new Array<number>(width).fill(0);
      for (const [g, id] of summary!.genes.entries()) {
        const mean = depth * base!.share[id]!;
        const residual = (countOf(id) - mean) / Math.sqrt(mean + mean ** 2 / base!.size[id]! + 1e-3);
        for (let j = 0; j < width; j++)
          expected[j]! +=
            (Math.max(-5, Math.min(5, residual)) * summary!.pool[g * width + j]!) / (1 + summary!.ridge[j]!);
      }
      for (const [j, z] of state.entries()) expect(z).toBeCloseTo(expected[j]!, 4);
    }
  });

  it("are the same to the last bit whatever runs together, and tell cells apart", async () => {
    const whole = await cellsOf(source, trained, { nll: true });
    for (const maxRows of [1, 50, 400])
      expect(await cellsOf(source, trained, { nll: true, maxRows })).toEqual(whole);
    const rows = Int32Array.of(2, 5);
    expect(await cellsOf(source, trained, { nll: true, selection: { rows } })).toEqual([whole[2], whole[5]]);
    expect((await cellsOf(source, trained)).map(({ state }) => state)).toEqual(
      whole.map(({ state }) => state),
    );
    expect(new Set(whole.slice(0, 6).map(({ state }) => state.join())).size).toBe(6);
  });

  it("do not know the cells' labels, unless that is asked for", async () => {
    const labelled = sourceOf(
      few,
      few.counts.map((_, cell) => `type-${cell % 3}`),
    );
    const plain = await cellsOf(source, trained, { nll: true });
    expect(await cellsOf(labelled, trained, { nll: true })).toEqual(plain);
    expect(await cellsOf(labelled, trained, { nll: true, conditions: "own" })).not.toEqual(plain);
  });
});

describe("the negative log-likelihood of a cell", () => {
  it("is, before a model is trained, that of negative binomials at the depth of the other folds, a gene", async () => {
    const { share, size, spread, meanDepth } = untrained.base!;
    const ids = few.genes.map((gene) => untrained.vocabulary.find(gene) ?? -1);
    const foldOf = (id: number) => (Math.imul(id, 2654435761) >>> 16) % 5;
    for (const { row, nll } of await cellsOf(source, untrained, { nll: true })) {
      let sum = 0;
      for (const [column, id] of ids.entries()) {
        if (id < 0) continue;
        let [visible, visibleShare] = [0, 0];
        for (const [other, otherId] of ids.entries()) {
          if (otherId < 0 || foldOf(otherId) === foldOf(id)) continue;
          visible += few.counts[row]![other]!;
          visibleShare += share[otherId]!;
        }
        const depth = (visible + spread) / (visibleShare + spread / meanDepth);
        sum -= logNegativeBinomial(few.counts[row]![column]!, depth * share[id]!, size[id]!);
      }
      expect(nll).toBeCloseTo(sum / 40, 2);
    }
  });
});
