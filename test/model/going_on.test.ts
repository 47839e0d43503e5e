import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { alone } from "../../lib/cluster/cluster.js";
import { learnConditions } from "../../lib/conditions/learn.js";
import { simulateCells } from "../../lib/data/sources/simulate.js";
import type { CellSource } from "../../lib/data/sources/source.js";
import { Denoiser, type DenoiserOptions } from "../../lib/model/denoiser.js";
import { GeneVocabulary } from "../../lib/tokenizer/index.js";
import { trainingTask } from "../../lib/training/kinds.js";
import { Trainer } from "../../lib/training/trainer.js";
import { Validator } from "../../lib/training/validation.js";
import { weightsOf } from "../training/small_run.js";
import { numbers, relatedSource, TISSUE } from "./related_cells.js";

const SMALL = { shape: { hidden: 32, heads: 2, blocks: 1, condDim: 16 } } as const;
const TRAINING = { batchCells: 16, learningRate: 3e-3, worker: false, seed: 2 } as const;

const typeOf = simulateCells(TISSUE).cells.metadata.cell_type as readonly string[];
const rowsBut = (first: number, end: number, type: string) =>
  numbers(first, end).filter((row) => typeOf[row] !== type);

/** Genes 0 to 39, all cells but those of one type. */
const before = relatedSource({ rows: rowsBut(0, 450, "type-4"), columns: numbers(0, 40) });
/** Genes 47 to 8, one of them by another name, with a type that is new and one that is missing; a batch is new. */
const after = relatedSource({
  rows: rowsBut(450, 700, "type-0"),
  columns: numbers(8, 48).reverse(),
  nameOf: (column) => ({
    id: column === 20 ? "renamed" : `G${column}`,
    aliases: column === 20 ? ["G20"] : [],
  }),
  more: { batch: (row) => `batch-${row % 2}` },
});
/** The column of a gene in the tissue by its token in `after`. */
const columnOf = (token: string) => (token === "renamed" ? 20 : Number(token.slice(1)));

async function optionsFor(source: CellSource, conditions: readonly string[]): Promise<DenoiserOptions> {
  return {
    ...SMALL,
    vocabulary: GeneVocabulary.from(source),
    conditions: (await learnConditions(source, conditions)).conditions,
    seed: 5,
  };
}

/** Nats a gene of a model before its first step on a source; training counts its base. */
async function startOf(model: Denoiser, source: CellSource): Promise<number> {
  const { settings } = new Trainer(model, TRAINING);
  const { tokenizer } = model;
  const data = { where: null, heldOut: null };
  const task = await trainingTask(model, source, tokenizer, { ...settings, data, cluster: alone });
  const { limit, seed } = settings;
  const validator = await Validator.create(model, task, source, tokenizer, {
    selection: {},
    cells: 250,
    limit,
    seed,
  });
  return (await validator.run()).nll;
}

async function train(model: Denoiser, source: CellSource, steps: number): Promise<Trainer> {
  const trainer = new Trainer(model, { ...TRAINING, validation: { fraction: 0.1, every: steps } });
  for await (const _ of trainer.fit(source, { steps }));
  return trainer;
}

let root: string;
let folder: string;
let old: Denoiser;
let options: DenoiserOptions;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "ddsc-on-"));
  folder = join(root, "old");
  old = await Denoiser.create(await optionsFor(before, ["depth:log", "cell_type"]));
  await train(old, before, 250);
  await old.save(folder);
  options = await optionsFor(after, ["cell_type", "batch", "depth:log"]);
}, 120_000);
afterAll(async () => {
  old[Symbol.dispose]();
  await rm(root, { recursive: true });
});

/** Row of a table, as numbers. */
function rowOf(table: Float32Array, row: number, rows: number): number[] {
  const width = table.length / rows;
  return [...table.subarray(row * width, (row + 1) * width)];
}

describe("a model that goes on from one of other genes and conditions", () => {
  it("says what it knows and what is new", async () => {
    using model = await Denoiser.create(options);
    expect(await model.loadWeights(folder)).toEqual({
      ignored: [],
      knownGenes: 32,
      newGenes: numbers(40, 48)
        .reverse()
        .map((gene) => `G${gene}`),
      leftGenes: numbers(0, 8).map((gene) => `G${gene}`),
      newConditions: ["batch"],
      leftConditions: [],
      newLabels: [{ condition: "cell_type", label: "type-4" }],
    });
  });

  it("has every known gene's rows bit for bit, whatever their order and names, and starts the others fresh", async () => {
    using model = await Denoiser.create({ ...options, weights: folder });
    using fresh = await Denoiser.create(options);
    for (const name of ["cond_embed.embedding", "factor.weight", "log_size", "size_factor.weight"]) {
      for (const kind of ["weights", "ema"] as const) {
        const [own, theirs, new_] = await Promise.all([
          model.readParameter(name, kind),
          old.readParameter(name),
          fresh.readParameter(name),
        ]);
        const rows = model.vocabulary.size;
        for (const { id, token } of model.vocabulary.entries) {
          const known = id < 3 ? id : old.vocabulary.id(`G${columnOf(token)}`);
          const expected =
            known === undefined ? rowOf(new_, id, rows) : rowOf(theirs, known, old.vocabulary.size);
          expect(rowOf(own, id, rows), `${name} of ${token}`).toEqual(expected);
        }
      }
    }
    // The test could not fail on rows that training left as they were.
    expect((await old.readParameter("factor.weight")).some((value) => value !== 0)).toBe(true);
  });

  it("has each known label's and number's values bit for bit, whatever the condition's place", async () => {
    using model = await Denoiser.create({ ...options, weights: folder });
    using fresh = await Denoiser.create(options);
    const own = await model.readParameter("conditions.0.embedding");
    const theirs = await old.readParameter("conditions.1.embedding");
    const labels = ["type-1", "type-2", "type-3", "type-4"];
    expect(model.conditions[0]).toMatchObject({ labels });
    expect(old.conditions[1]).toMatchObject({ labels: ["type-0", "type-1", "type-2", "type-3"] });
    for (let label = 0; label < 3; label++) expect(rowOf(own, label, 4)).toEqual(rowOf(theirs, label + 1, 4));
    expect(rowOf(own, 3, 4)).toEqual(rowOf(await fresh.readParameter("conditions.0.embedding"), 3, 4));
    expect(await model.readParameter("conditions.0.null")).toEqual(
      await old.readParameter("conditions.1.null"),
    );
    for (const part of ["mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias", "null"]) {
      expect(await model.readParameter(`conditions.2.${part}`)).toEqual(
        await old.readParameter(`conditions.0.${part}`),
      );
    }
    for (const part of ["embedding", "null"]) {
      const name = `conditions.1.${part}`;
      expect(await model.readParameter(name)).toEqual(await fresh.readParameter(name));
    }
    // In other units a number's map would say something else.
    expect(model.conditions[2]).toEqual(old.conditions[0]);
    expect(fresh.conditions[2]).not.toEqual(old.conditions[0]);
  });

  it("has all other parameters as they are", async () => {
    using model = await Denoiser.create({ ...options, weights: folder });
    const others = old.parameters.filter(
      ({ name }) => !/^(conditions|cond_embed|factor|log_size|size_factor)/.test(name),
    );
    expect(others.length).toBeGreaterThan(20);
    for (const { name } of others)
      expect(await model.readParameter(name), name).toEqual(await old.readParameter(name));
  });

  it("starts factors of sizes at 0 where the saved model's state moves none", async () => {
    const older = join(root, "older");
    await cp(folder, older, { recursive: true });
    const file = join(older, "config.json");
    const config = JSON.parse(await readFile(file, "utf8")) as {
      model: { counts: { sizesByState?: boolean } };
    };
    expect(config.model.counts.sizesByState).toBe(true);
    delete config.model.counts.sizesByState;
    await writeFile(file, JSON.stringify(config));
    using model = await Denoiser.create(options);
    await model.loadWeights(older);
    expect((await model.readParameter("size_factor.weight")).every((value) => value === 0)).toBe(true);
    await model.loadWeights(folder);
    expect((await model.readParameter("size_factor.weight")).some((value) => value !== 0)).toBe(true);
  });

  it("sums up cells as before, by gene, and keeps that when it is saved before it is trained", async () => {
    using model = await Denoiser.create({ ...options, weights: folder });
    expect(model.base).toBeUndefined();
    const [own, theirs] = [model.summary!, old.summary!];
    expect(own.genes).toEqual(Int32Array.from(numbers(3, 43).filter((id) => known(model, id) !== undefined)));
    const scale = theirs.genes.length / own.genes.length;
    expect([...own.ridge]).toEqual([...theirs.ridge].map((one) => one * scale));
    for (const [place, id] of own.genes.entries()) {
      const row = theirs.genes.indexOf(known(model, id)!);
      expect(rowOf(own.pool, place, own.genes.length)).toEqual(
        rowOf(theirs.pool, row, theirs.genes.length).map((loading) => Math.fround(loading * scale)),
      );
    }
    await model.save(join(root, "untrained"));
    using again = await Denoiser.load(join(root, "untrained"), { trainable: true });
    expect(again.summary).toEqual(own);
    await train(again, after, 1);
    expect(again.summary).toEqual(own);
    expect(again.base).toBeDefined();
  });

  it("is better than the negative binomial before its first step, and gets better still", async () => {
    using fresh = await Denoiser.create(options);
    const negativeBinomial = await startOf(fresh, after);
    using model = await Denoiser.create({ ...options, weights: folder });
    const start = await startOf(model, after);
    expect(start).toBeLessThan(negativeBinomial - 0.005);
    using trained = await Denoiser.create({ ...options, weights: folder });
    const { notes } = await train(trained, after, 120);
    expect(notes.filter((note) => note.includes("negative binomial"))).toEqual([]);
    expect(await startOf(trained, after)).toBeLessThan(start - 0.005);
  }, 120_000);

  it("is the whole model where genes and conditions are the same, in the same places", async () => {
    using model = await Denoiser.create({
      ...SMALL,
      vocabulary: old.vocabulary,
      conditions: old.conditions,
      weights: folder,
    });
    expect((await weightsOf(model)).weights).toEqual((await weightsOf(old)).weights);
    expect(model.summary).toEqual(old.summary);
  });

  it("names the conditions that are left out, and takes a number on another scale as another condition", async () => {
    using model = await Denoiser.create(await optionsFor(after, ["depth:number"]));
    const { newConditions, leftConditions, ignored } = await model.loadWeights(folder);
    expect(newConditions).toEqual(["depth"]);
    expect(leftConditions).toEqual(["depth", "cell_type"]);
    expect(ignored).toContain("conditions.1.embedding");
    expect(ignored.every((name) => name.startsWith("conditions."))).toBe(true);
  });
});

describe("weights that a model cannot go on from", () => {
  it("leave it as it was: those of another width", async () => {
    using model = await Denoiser.create({ ...options, shape: { ...SMALL.shape, hidden: 64 } });
    const { weights, ema } = await weightsOf(model);
    await expect(model.loadWeights(folder)).rejects.toThrow(
      /CHECKPOINT_TENSORS.*cond_embed\.embedding is \[43, 32\] and should be \[43, 64\]/,
    );
    expect(await weightsOf(model)).toEqual({ weights, ema });
    expect(model.summary).toBeUndefined();
    expect(model.conditions).toEqual(options.conditions);
  });

  it("are those of a model that knows none of the genes", async () => {
    const vocabulary = GeneVocabulary.fromIds(["Sox2", "Pax6", "Actb"]);
    await expect(Denoiser.create({ ...SMALL, vocabulary, weights: folder })).rejects.toThrow(
      /CHECKPOINT_VOCABULARY: .*old: the model knows none of the 3 genes \(it has G0, G1, \.\.\., these are Sox2, Pax6, \.\.\.\)/,
    );
  });

  it("are those of the other kind of model, in both directions", async () => {
    const { vocabulary } = old;
    using ranks = await Denoiser.create({ ...SMALL, vocabulary, values: "ranks" });
    const ofRanks = join(root, "ranks");
    await ranks.save(ofRanks);
    const forCounts = Denoiser.create({ ...SMALL, vocabulary, weights: ofRanks });
    await expect(forCounts).rejects.toThrow(
      /^CHECKPOINT_TENSORS: .*of a model of ranks and this model is of counts; .*\(--values ranks\)/,
    );
    await expect(ranks.loadWeights(folder)).rejects.toThrow(
      /^CHECKPOINT_TENSORS: .*of a model of counts and this model is of ranks; .*\(leave --values ranks out\)/,
    );
    // A file alone says no less.
    await expect(ranks.loadWeights(join(folder, "model.safetensors"))).rejects.toThrow(
      /of a model of counts/,
    );
  });
});

describe("a model of ranks", () => {
  it("goes on with other genes, too", async () => {
    const ranks = { ...SMALL, values: "ranks" } as const;
    using first = await Denoiser.create({ ...ranks, vocabulary: old.vocabulary, seed: 3 });
    const saved = join(root, "first ranks");
    await first.save(saved);
    const { vocabulary } = options;
    using model = await Denoiser.create({ ...ranks, vocabulary, seed: 4 });
    const loaded = await model.loadWeights(saved);
    expect(loaded).toMatchObject({ ignored: [], knownGenes: 32, newConditions: [], newLabels: [] });
    const own = await model.readParameter("cond_embed.embedding");
    const theirs = await first.readParameter("cond_embed.embedding");
    const id = vocabulary.id("renamed")!;
    expect(rowOf(own, id, 43)).toEqual(rowOf(theirs, old.vocabulary.id("G20")!, 43));
  });
});

/** The old model's id of a gene of the new one. */
function known({ vocabulary }: Denoiser, id: number): number | undefined {
  return old.vocabulary.id(`G${columnOf(vocabulary.token(id)!)}`);
}
