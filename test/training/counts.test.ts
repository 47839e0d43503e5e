import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { learnConditions } from "../../lib/conditions/learn.js";
import { ConcatenatedSource } from "../../lib/data/sources/concatenate.js";
import { MemorySource } from "../../lib/data/sources/memory.js";
import { simulateCells } from "../../lib/data/sources/simulate.js";
import type { CellSource } from "../../lib/data/sources/source.js";
import { Denoiser, type DenoiserOptions } from "../../lib/model/denoiser.js";
import { GeneVocabulary } from "../../lib/tokenizer/index.js";
import { countNotes } from "../../lib/training/count_notes.js";
import type { FitOptions, StepResult } from "../../lib/training/fit.js";
import type { TrainerOptions } from "../../lib/training/options.js";
import { Trainer } from "../../lib/training/trainer.js";
import { heldOutNats, smallCountModel } from "./small_counts.js";
import { smallModel, smallOptions, smallSource, weightsOf } from "./small_run.js";

let root: string;
let folder: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "ddsc-counts-"));
  folder = join(root, "run");
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

const source = smallSource();

async function runAll(trainer: Trainer, options: FitOptions, from: CellSource = source) {
  const results: StepResult[] = [];
  for await (const result of trainer.fit(from, options)) results.push(result);
  return results;
}

/** Trains a fresh model and gives its weights. */
async function trained(options: TrainerOptions, steps: number, made: Partial<DenoiserOptions> = {}) {
  using model = await smallCountModel(made);
  const results = await runAll(new Trainer(model, options), { steps });
  return { results, ...(await weightsOf(model)) };
}

function relativeDifference(a: Float32Array, b: Float32Array): number {
  let difference = 0;
  let norm = 0;
  a.forEach((value, i) => {
    difference += (value - b[i]!) ** 2;
    norm += b[i]! ** 2;
  });
  return Math.sqrt(difference / norm);
}

/** Cells in memory, each with a row of counts. */
function cellsOf(
  name: string,
  genes: readonly string[],
  dense: readonly (readonly number[])[],
): MemorySource {
  const entries = dense.map((row) => row.flatMap((count, column) => (count === 0 ? [] : [[column, count]])));
  return new MemorySource({
    name,
    ids: dense.map((_, cell) => `${name}-${cell}`),
    genes: genes.map((id) => ({ id, aliases: [] })),
    offsets: Int32Array.from([0, ...entries.map((_, i) => entries.slice(0, i + 1).flat().length)]),
    geneColumns: Int32Array.from(entries.flat(), ([column]) => column!),
    counts: Float32Array.from(entries.flat(), ([, count]) => count!),
    metadata: {},
    notes: [],
  });
}

/** Few genes and 12 cells, those of each parity alike. */
function evenAndOdd(name: string, genes: readonly string[], change = (count: number) => count): MemorySource {
  const dense = Array.from({ length: 12 }, (_, cell) =>
    genes.map((_, gene) => change((cell + gene) % 2 === 0 ? 1 + ((3 * cell + gene) % 5) : 0)),
  );
  return cellsOf(name, genes, dense);
}

describe("a training on counts", () => {
  it("learns slowly how the state moves sizes where cells are few", async () => {
    using model = await smallCountModel();
    const updates = vi.spyOn(model.native, "update");
    await runAll(new Trainer(model, smallOptions), { steps: 1 });
    const kept = model.depths!.depth.length;
    expect(kept).toBeGreaterThan(100);
    expect(kept).toBeLessThan(160);
    expect(updates.mock.calls.map(([{ stateRate, sizesRate }]) => [stateRate, sizesRate])).toEqual([
      [3, kept / 3000],
    ]);
  });

  it("begins at the negative binomial of each gene and falls below it on held-out cells", async () => {
    using model = await smallCountModel();
    const trainer = new Trainer(model, {
      learningRate: 2e-3,
      batchCells: 32,
      worker: false,
      seed: 11,
      validation: { fraction: 0.2 },
    });
    const results = await runAll(trainer, { steps: 120 });
    expect(trainer.notes).toEqual([]);
    const validations = results.flatMap(({ validation }) => validation ?? []);
    using untrained = await smallCountModel();
    await untrained.setBase(model.base!, model.summary!);
    const before = await heldOutNats(untrained, source);
    const after = await heldOutNats(model, source);
    expect(after).toBeLessThan(before - 0.02);
    expect(validations.at(-1)!.nll).toBeLessThan(validations[0]!.nll - 0.02);
    expect(validations.at(-1)!).toMatchObject({ accuracy: Number.NaN, cells: expect.any(Number) });
    expect(validations.at(-1)!.crossEntropy).toBe(validations.at(-1)!.nll);
  });

  it("ends with the same weights, bit for bit, where it is stopped after any step and resumed", async () => {
    const expected = await trained(smallOptions, 6);
    for (const stop of [1, 3, 4]) {
      const at = `${folder}-${stop}`;
      using model = await smallCountModel();
      for await (const { step } of new Trainer(model, { ...smallOptions, folder: at }).fit(source, {
        steps: 6,
      })) {
        if (step === stop) break;
      }
      const resumed = await Trainer.resume(at);
      using again = resumed.model;
      expect(again.base).toEqual(model.base);
      const rest = await runAll(resumed, {});
      expect(rest.map(({ loss }) => loss)).toEqual(expected.results.slice(stop).map(({ loss }) => loss));
      expect(await weightsOf(again)).toEqual({ weights: expected.weights, ema: expected.ema });
    }
  });

  it("has the same weights whether or not a thread reads the cells", async () => {
    const here = await trained({ ...smallOptions, worker: false }, 4);
    const there = await trained({ ...smallOptions, worker: true }, 4);
    expect(there.weights).toEqual(here.weights);
  });

  it("adds up batches to the step of one batch of all their cells", async () => {
    const options = { ...smallOptions, lengthBuckets: false, validation: false } as const;
    const whole = await trained({ ...options, batchCells: 16, accumulation: 1 }, 3);
    const parts = await trained({ ...options, batchCells: 8, accumulation: 2 }, 3);
    expect(parts.results.map(({ tokens }) => tokens)).toEqual(whole.results.map(({ tokens }) => tokens));
    for (const [i, { loss, gradientNorm }] of parts.results.entries()) {
      expect(loss / whole.results[i]!.loss).toBeCloseTo(1, 5);
      expect(gradientNorm / whole.results[i]!.gradientNorm).toBeCloseTo(1, 4);
    }
    // AdamW's first steps are signs: where a gradient is 0 but for rounding, they differ.
    expect(relativeDifference(parts.weights, whole.weights)).toBeLessThan(1e-3);
    const fewer = await trained({ ...options, batchCells: 8, accumulation: 1 }, 3);
    expect(relativeDifference(fewer.weights, whole.weights)).toBeGreaterThan(3e-3);
  });

  it("is a function of its seed", async () => {
    const first = await trained(smallOptions, 3);
    expect((await trained(smallOptions, 3)).weights).toEqual(first.weights);
    expect((await trained({ ...smallOptions, seed: 12 }, 3)).weights).not.toEqual(first.weights);
  });

  it("ends when validations have not become better for as long as it is patient", async () => {
    using model = await smallCountModel();
    const trainer = new Trainer(model, {
      ...smallOptions,
      learningRate: 1e-30,
      weightDecay: 0,
      schedule: { kind: "constant", warmup: 0 },
      accumulation: 1,
      patience: 2,
      validation: { fraction: 0.2, every: 10, cells: 8 },
    });
    const results = await runAll(trainer, { steps: 500 });
    expect(trainer.end).toBe("patience");
    // The first validation is the best; a hundred steps are waited for at least.
    expect(results.at(-1)!.step).toBe(110);
    expect(trainer.state.best).toMatchObject({ step: 10 });
    expect(trainer.notes).toEqual([
      expect.stringMatching(
        /^the model has learnt nothing yet from the other genes of a cell: .*more steps, or on more cells$/,
      ),
    ]);
  });

  it("goes on to the end with no patience asked for", async () => {
    using model = await smallCountModel();
    const options = { ...smallOptions, learningRate: 1e-30, accumulation: 1, patience: 0 };
    const trainer = new Trainer(model, { ...options, validation: { fraction: 0.2, every: 30, cells: 4 } });
    expect(await runAll(trainer, { steps: 130 })).toHaveLength(130);
    expect(trainer.end).toBe("steps");
  });

  it("trains on sources of different panels, each gene on the cells that measure it", async () => {
    const names = Array.from({ length: 9 }, (_, gene) => `G${gene}`);
    using both = new ConcatenatedSource(
      [evenAndOdd("left", names.slice(0, 7)), evenAndOdd("right", names.slice(3))],
      "both",
    );
    using model = await smallCountModel({ vocabulary: GeneVocabulary.from(both) });
    const { panels } = model.tokenizer.map(both);
    expect(panels.map(({ length }) => length)).toEqual([7, 6]);
    const trainer = new Trainer(model, { batchCells: 8, worker: false, learningRate: 5e-3 });
    const results = await runAll(trainer, { steps: 20 }, both);
    expect(results.every(({ loss }) => Number.isFinite(loss))).toBe(true);
    expect(model.base!.share.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 10);
  });

  it("trains with thinning, which changes what is learnt", async () => {
    const plain = await trained(smallOptions, 2);
    const thinned = await trained({ ...smallOptions, queries: { thinning: 0.9 } }, 2);
    expect(thinned.weights).not.toEqual(plain.weights);
    expect(thinned.results[0]!.loss).toBeLessThan(plain.results[0]!.loss);
  });

  it("does better on held-out cells that it is told the type of", async () => {
    using cells = new MemorySource(
      simulateCells({ cells: 400, genes: 40, types: 2, librarySize: 400, seed: 2 }).cells,
    );
    const { conditions } = await learnConditions(cells, ["cell_type"]);
    using model = await smallCountModel({ vocabulary: GeneVocabulary.from(cells), conditions });
    const options = { learningRate: 5e-3, batchCells: 32, worker: false, seed: 11 };
    await runAll(new Trainer(model, { ...options, validation: { fraction: 0.2 } }), { steps: 150 }, cells);
    expect(await heldOutNats(model, cells)).toBeLessThan((await heldOutNats(model, cells, false)) - 0.005);
  });
});

describe("what a training on counts is refused for", () => {
  it("counts that are no whole numbers, unless they are to be rounded", async () => {
    const genes = ["A", "B", "C", "D"];
    using fractional = evenAndOdd("normalised", genes, (count) => 1.25 * count);
    using whole = evenAndOdd("whole", genes, (count) => Math.round(1.25 * count));
    const vocabulary = GeneVocabulary.from(fractional);
    const options = { batchCells: 4, worker: false, validation: false } as const;
    const train = async (cells: MemorySource, allowFractional: boolean) => {
      using model = await smallCountModel({ vocabulary });
      await runAll(new Trainer(model, { ...options, allowFractional }), { steps: 2 }, cells);
      return await weightsOf(model);
    };
    await expect(train(fractional, false)).rejects.toThrow(
      /DATA_FRACTIONAL_COUNT: normalised: cell "normalised-0" \(row 0\), gene "A": 1\.25.*allowFractional/,
    );
    expect(await train(fractional, true)).toEqual(await train(whole, false));
  });

  it("cells without a count, and data of one gene", async () => {
    const options = { batchCells: 4, worker: false, validation: false } as const;
    using empty = evenAndOdd("empty", ["A", "B"], () => 0);
    using first = await smallCountModel({ vocabulary: GeneVocabulary.from(empty) });
    await expect(runAll(new Trainer(first, options), { steps: 1 }, empty)).rejects.toThrow(
      /^DdscError: DATA_NO_(COUNTS|CELLS): .*empty|no cell is left that has a count/,
    );
    using one = evenAndOdd("one", ["A"]);
    using second = await smallCountModel({ vocabulary: GeneVocabulary.from(one) });
    await expect(runAll(new Trainer(second, options), { steps: 1 }, one)).rejects.toThrow(
      /DATA_TOO_FEW: one: holds 12 cells and 1 gene/,
    );
  });

  it.each([
    [{ objective: { kind: "d3pm", steps: 100 } }, "the d3pm objective"],
    [{ objective: { kind: "sedd" } }, "the sedd objective"],
    [{ meanMatching: 1 }, "mean matching"],
    [{ schedule: { kind: "geometric" } }, "the geometric noise schedule"],
    [{ importanceSampling: true }, "importance sampling of times"],
  ] as const)("%o, which belongs to ranks", (diffusion, name) => {
    const vocabulary = GeneVocabulary.from(source);
    expect(() => Denoiser.describe({ vocabulary, diffusion })).toThrow(
      new RegExp(`DIFFUSION_CONFIG: ${name} belongs? to models of ranks: .*--values ranks`),
    );
  });

  it("queries of a model of ranks, and conditions of one", async () => {
    using ranks = await smallModel();
    expect(() => new Trainer(ranks, { queries: { zeros: 4 } })).toThrow(
      /ARGUMENT_CONFLICT: queries are for models of counts/,
    );
    const { conditions } = await learnConditions(source, ["cell_type"]);
    await expect(smallModel({ conditions })).rejects.toThrow(
      /MODEL_CONFIG: conditions are for models of counts/,
    );
  });
});

describe("base and summary of a model of counts", () => {
  /** A folder of a model that was trained a little. */
  async function saved(): Promise<string> {
    using model = await smallCountModel();
    await runAll(new Trainer(model, { ...smallOptions, validation: false }), { steps: 1 });
    const path = join(root, "model");
    await model.save(path);
    return path;
  }

  it("are saved with it and loaded as they were", async () => {
    using model = await smallCountModel();
    await runAll(new Trainer(model, { ...smallOptions, folder }), { steps: 2 });
    using loaded = await Denoiser.load(folder);
    expect(loaded.base).toEqual(model.base);
    expect(loaded.summary).toEqual(model.summary);
    expect(model.base!.share.length).toBe(model.config.geneVocabSize);
    using fresh = await smallCountModel();
    expect(fresh.base).toBeUndefined();
  });

  it.each([
    ["base.json", "{", /CHECKPOINT_CONFIG: .*base\.json: it is not JSON/],
    ["base.json", "[]", /CHECKPOINT_CONFIG: .*base\.json: it is not a JSON object/],
    ["base.json", "{}", /CHECKPOINT_CONFIG: .*base\.json: .*share and size must be lists of numbers/],
    [
      "base.json",
      JSON.stringify({ share: [0, 0, 0, 1], size: [1, 1, 1, 1], meanDepth: 3, spread: 1 }),
      /CHECKPOINT_CONFIG: .*base\.json: it has 4 genes where the model has 43 gene ids/,
    ],
    ["summary.json", "{", /CHECKPOINT_CONFIG: .*summary\.json: it is not JSON/],
    ["summary.json", "{}", /CHECKPOINT_CONFIG: .*summary\.json/],
    [
      "summary.json",
      JSON.stringify({ genes: [3], pool: [1, 1], ridge: [1, 1] }),
      /CHECKPOINT_CONFIG: .*summary\.json: it sums cells up in 2 numbers where the model reads \d+/,
    ],
  ])("are refused by the name of their file where %s is %s", async (file, text, problem) => {
    const path = await saved();
    await writeFile(join(path, file), text);
    await expect(Denoiser.load(path)).rejects.toThrow(problem);
  });

  it("are refused where a share or a gene id was changed, or the summary is gone", async () => {
    const path = await saved();
    const change = async (file: string, part: string, value: number) => {
      const text = await readFile(join(path, file), "utf8");
      const json = JSON.parse(text) as Record<string, number[]>;
      json[part]![json[part]!.length - 1] = value;
      await writeFile(join(path, file), JSON.stringify(json));
      const failed = Denoiser.load(path);
      await expect(failed).rejects.toMatchObject({ code: "CHECKPOINT_CONFIG" });
      await expect(failed).rejects.toThrow(file);
      await writeFile(join(path, file), text);
    };
    await change("base.json", "share", 2);
    await change("base.json", "size", -1);
    await change("summary.json", "genes", 43);
    await change("summary.json", "ridge", 0);
    await rm(join(path, "summary.json"));
    await expect(Denoiser.load(path)).rejects.toThrow(
      /CHECKPOINT_READ: .*summary\.json: there is no such file/,
    );
  });
});

describe("notes of a training on counts", () => {
  const best = { step: 200, nll: 1 };

  it("say that nothing was learnt where the best is no better than the base", () => {
    expect(countNotes({ best: { step: 10, nll: 1.2 }, validatedStep: 100 }, 1.3, 1.2, false)).toEqual([
      expect.stringContaining(
        "1.2000 nats a gene in validation, where the negative binomial at each cell's depth",
      ),
    ]);
  });

  it("say that it over-fits where the last validation is well above the best", () => {
    expect(countNotes({ best, validatedStep: 900 }, 1.02, 1.5, false)).toEqual([
      expect.stringMatching(
        /^the model over-fits: validation was 1\.0000 nats a gene at step 200 and 1\.0200 at step 900/,
      ),
    ]);
  });

  it("say nothing otherwise, nor of an untrained model that was not measured", () => {
    expect(countNotes({ best, validatedStep: 900 }, 1.004, 1.5, false)).toEqual([]);
    expect(countNotes({ best, validatedStep: 900 }, 1, undefined, false)).toEqual([]);
    expect(countNotes({ best: null, validatedStep: 0 }, 1, undefined, false)).toEqual([]);
  });

  it("come of a training that over-fits", async () => {
    using few = new MemorySource(simulateCells({ cells: 24, genes: 30, seed: 4 }).cells);
    const shape = { hidden: 64, heads: 2, blocks: 1, dropout: 0 };
    using model = await smallCountModel({ vocabulary: GeneVocabulary.from(few), shape });
    const trainer = new Trainer(model, {
      learningRate: 0.02,
      weightDecay: 0,
      ema: 0.5,
      batchCells: 16,
      patience: 0,
      queries: { mostlyHidden: 1 },
      worker: false,
      validation: { fraction: 0.3, every: 5 },
    });
    await runAll(trainer, { steps: 120 }, few);
    expect(trainer.notes.join("\n")).toMatch(/^the model over-fits: /);
  });
});
