import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CellConditions } from "../../../lib/conditions/cell_conditions.js";
import type { CellSource } from "../../../lib/data/sources/source.js";
import { countCellsOf } from "../../../lib/evaluation/counts/count_cells.js";
import {
  answersOf,
  type HiddenGenes,
  hideGenes,
  maskCells,
} from "../../../lib/evaluation/counts/masked_cells.js";
import { ModelPredictor } from "../../../lib/evaluation/counts/model_predictor.js";
import { Denoiser } from "../../../lib/model/denoiser.js";
import { GeneVocabulary } from "../../../lib/tokenizer/index.js";
import { Trainer } from "../../../lib/training/trainer.js";
import { tokensOfSome } from "../../../lib/training/validation_cells.js";
import { numbers, relatedSource } from "../../model/related_cells.js";

const training = relatedSource({ rows: numbers(0, 300), columns: numbers(0, 40) });
const rows = numbers(300, 400);
/** Genes 0 to 11 are not in the data; 40 to 47 are not in the model. */
const without = relatedSource({ rows, columns: numbers(12, 48) });
/** The same cells with zeros for the genes that are missing. */
const zeroed = relatedSource({ rows, columns: numbers(12, 48), zeros: numbers(0, 12) });
const whole = relatedSource({ rows, columns: numbers(0, 40) });

let model: Denoiser;
beforeAll(async () => {
  model = await Denoiser.create({
    vocabulary: GeneVocabulary.from(training),
    shape: { hidden: 32, heads: 2, blocks: 1, condDim: 16 },
    seed: 1,
  });
  const trainer = new Trainer(model, { batchCells: 16, learningRate: 3e-3, worker: false });
  for await (const _ of trainer.fit(training, { steps: 150 }));
}, 60_000);
afterAll(() => model[Symbol.dispose]());

async function read(source: CellSource) {
  const batch = await tokensOfSome(source, model.tokenizer, { selection: {}, cells: 100, seed: 1 });
  return { cells: countCellsOf(batch, model.tokenizer.map(source).panels), rows: batch.cells };
}

/** Predictions of hidden genes of a source's cells, and the mean nats of their counts. */
async function predict(source: CellSource, hide?: HiddenGenes) {
  const { cells, rows: own } = await read(source);
  const hidden = hide ?? hideGenes(cells, 0.3, 4);
  const told = { rows: own, conditions: CellConditions.none(model.conditions) };
  const predictor = new ModelPredictor(model, { heldOut: told, training: told });
  const masked = maskCells(cells, hidden, 0, own.length, predictor.base);
  const { mean, logProbability } = await predictor.predict(masked, answersOf(cells, masked));
  const nats = -logProbability.reduce((sum, one) => sum + one, 0) / logProbability.length;
  return { cells, hidden, mean, nats, own };
}

describe("genes of a model that other data do not have", () => {
  it("are measured in no cell and never asked about", async () => {
    const { cells, hidden } = await predict(without);
    const names = cells.panelGenes.map((genes) => Array.from(genes, (id) => model.vocabulary.token(id)));
    expect(names).toEqual([numbers(12, 40).map((gene) => `G${gene}`)]);
    const measured = new Set(cells.panelGenes[0]);
    expect(hidden.genes.every((gene) => measured.has(gene))).toBe(true);
  });

  it("are not zeros: the prediction is another one and better than with zeros, and near that of whole cells", async () => {
    const missing = await predict(without);
    const zeros = await predict(zeroed, missing.hidden);
    const known = await predict(whole, missing.hidden);
    expect([...zeros.own]).toEqual([...missing.own]);
    expect([...known.own]).toEqual([...missing.own]);
    const total = (means: Float64Array) => means.reduce((sum, one) => sum + one, 0);
    // Zeros of genes that are expressed make a cell look shallow.
    expect(total(zeros.mean)).toBeLessThan(0.9 * total(missing.mean));
    expect(Math.abs(total(missing.mean) / total(known.mean) - 1)).toBeLessThan(0.1);
    expect(missing.nats).toBeLessThan(zeros.nats - 0.02);
    expect(Math.abs(missing.nats - known.nats)).toBeLessThan(0.05);
  });
});
