import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import * as ddsc from "../lib/index.js";
import { recordData } from "../lib/training/run_data.js";
import { baseOf, cellsOf, knowing, twoTypes } from "./evaluation/counts/support.js";
import { smallModel, smallSource } from "./training/small_run.js";

type Call = (...given: never[]) => unknown;

/** A public function: a call of it, and arguments that are right, options in an object of their own. */
interface Entry {
  readonly call: Call;
  readonly given: readonly unknown[];
}

const root = await mkdtemp(join(tmpdir(), "ddsc-arguments-"));
/** Values that a program without types may pass for any other; the text may become a folder. */
const WRONG = [undefined, null, 7, join(root, "cells"), true, {}, [null], () => 7];
const model = await smallModel({ profile: true });
const source = smallSource();
const { tokenizer, vocabulary } = model;
// Takes a second each time.
const limits = { fp32FlopsPerSecond: 1e9, bf16FlopsPerSecond: 1e9, bytesPerSecond: 1e9 };
vi.spyOn(model.native, "measureLimits").mockResolvedValue(limits);
const rows = Int32Array.of(0, 1, 2);
const { batch } = await ddsc.tokenizeRows(source, tokenizer, rows);
const signal = new AbortController().signal;
const sampling = {
  sampler: { kind: "parallel", steps: 1 },
  temperature: 1,
  seed: 0,
  weights: "ema",
  maxTokens: 100,
  signal,
};
const saved = join(root, "model");
await model.save(saved);
const evaluated = await ddsc.evaluate(model, [batch], {
  ratios: [0.5],
  groupsOf: async (cells) => Array.from(cells, () => "a"),
});
const countTruth = twoTypes(12, 6, 1);
const countCells = cellsOf(countTruth.dense, countTruth.labels);
const countModel = knowing(countTruth, baseOf(countTruth.dense));
const countOptions: ddsc.EvaluateCountsOptions = {
  model: countModel,
  withoutConditions: countModel,
  denoiser: countModel,
  heldOut: countCells,
  training: countCells,
  base: baseOf(countTruth.dense),
  masks: { "0.5": ddsc.hideGenes(countCells, 0.5, 0) },
  thin: 0.1,
  openProblems: true,
  groups: countTruth.labels,
  resamples: 20,
  seed: 0,
  signal,
};
const countVocabulary = ddsc.GeneVocabulary.from(source);
const countTokenizer = new ddsc.CellTokenizer({
  vocabulary: countVocabulary,
  strategy: new ddsc.CountTokens(),
});
const { panels } = countTokenizer.map(source);
const { batch: countBatch } = await ddsc.tokenizeRows(source, countTokenizer, rows);
const statistics = new ddsc.DepthStatistics(countVocabulary.size, panels);
statistics.add(countBatch);
const base = statistics.base();
const { conditions: learnt } = await ddsc.learnConditions(source, ["cell_type"]);
const told = await ddsc.CellConditions.read(source, learnt);
const choosing = {
  batch: countBatch,
  panels,
  share: base.share,
  hidden: Int32Array.of(3, 2, 1),
  zeros: 4,
  expressed: 4,
  evidence: 20,
  seed: 0,
  step: 0,
};
const chosen = await ddsc.chooseQueries(choosing);
const total = new Float32Array(3).fill(Number.NaN);
const someCells = ddsc.countCellsOf(countBatch, panels);
const predicting = await ddsc.Denoiser.create({
  vocabulary: countVocabulary,
  shape: { hidden: 32, heads: 2, blocks: 1 },
});
const summary = await ddsc.CellSummary.learn([countBatch], panels, base, {
  seed: 0,
  width: predicting.config.counts!.state,
});
await predicting.setBase(base, summary);
const completing = {
  visible: {
    offsets: Int32Array.of(0, 0),
    genes: new Int32Array(0),
    counts: new Int32Array(0),
    cells: Float64Array.of(0),
    panels: Int32Array.of(0),
  },
  panels: [Int32Array.of(3, 4)],
  hidden: { offsets: Int32Array.of(0, 2), genes: Int32Array.of(3, 4) },
  conditions: { labels: new Int32Array(0), numbers: new Float32Array(0) },
  total: Float32Array.of(5),
};
const countSampling = {
  sampler: { kind: "parallel", steps: 2 },
  guidance: 1,
  evidenceGuidance: 1,
  seed: 0,
  weights: "weights",
  maxRows: 100,
  signal,
};
const compared = cellsOf(twoTypes(20, 6, 1).dense, twoTypes(20, 6, 1).labels);
const comparing = { training: compared, cells: 20, resamples: 20, seed: 0, signal };
const sourceCells = { rows: countBatch.cells, conditions: ddsc.CellConditions.none([]) };
const predictor = new ddsc.ModelPredictor(predicting, { heldOut: sourceCells, training: sourceCells });
const countedOptions = {
  selection: {},
  conditions: "none",
  allowFractional: true,
  maxRows: 1000,
  signal,
  onProgress: () => undefined,
  onNote: () => undefined,
};
const filed = {
  model: predicting,
  modelName: "runs/a",
  data: source,
  out: join(root, "out.h5ad"),
  where: "library_size > 0",
  conditions: "none",
  allowFractional: true,
  overwrite: true,
  maxRows: 1000,
  signal,
  onProgress: () => undefined,
};
const countRun = join(root, "counts");
await ddsc.trainFile({
  data: source,
  out: countRun,
  steps: 1,
  training: { batchCells: 4, worker: false },
  model: { shape: { hidden: 32, heads: 2, blocks: 1 } },
});
const record = await recordData(source, { where: null, heldOut: null });

afterAll(async () => {
  model[Symbol.dispose]();
  predicting[Symbol.dispose]();
  await rm(root, { recursive: true });
});

/** The first two things that an iterable gives: some have no end. */
async function drain(items: AsyncIterable<unknown>): Promise<void> {
  let count = 0;
  for await (const _ of items) if (++count === 2) break;
}

const loading = {
  limit: { kind: "cells", cells: 64 },
  seed: 1,
  lengthBuckets: false,
  windowCells: 100,
  windowCounts: 10_000,
  shard: { index: 0, count: 1 },
  selection: {},
  rows,
  start: { epoch: 0, window: 0, batch: 0 },
  epochs: 1,
  prefetch: 2,
  worker: false,
  signal,
};
const describing = {
  vocabulary,
  preset: "nano",
  shape: { hidden: 32, heads: 2, blocks: 1, condDim: 16 },
  geneVocabSize: 50,
  diffusion: {},
  tokenizer: { maxLength: 24 },
  values: tokenizer.strategy,
  conditions: [],
};
const workload = {
  batch: { cells: 2, tokens: 20, longest: 10, maskedShare: 0.5 },
  work: "train",
  dtype: "fp32",
  recompute: false,
  accumulation: 1,
  validation: true,
  device: "cpu",
};

/** Every function and class that some folders make public; the last test says which. */
const entries: Readonly<Record<string, Entry>> = {
  BatchLoader: {
    call: (...given) =>
      drain(new ddsc.BatchLoader(...(given as unknown as ConstructorParameters<typeof ddsc.BatchLoader>))),
    given: [source, tokenizer, loading],
  },
  concatenateBatches: { call: ddsc.concatenateBatches as Call, given: [[batch, batch]] },
  selectCells: { call: ddsc.selectCells as Call, given: [batch, [0, 1]] },
  splitBatch: { call: ddsc.splitBatch as Call, given: [batch, { kind: "cells", cells: 2 }] },
  streamCells: {
    call: (...given) => drain((ddsc.streamCells as (...all: unknown[]) => AsyncIterable<unknown>)(...given)),
    given: [source, tokenizer, { epoch: 0, cells: 50, signal, selection: {}, onProgress: () => undefined }],
  },
  streamRows: {
    call: (...given) => drain((ddsc.streamRows as (...all: unknown[]) => AsyncIterable<unknown>)(...given)),
    given: [source, tokenizer, rows, { epoch: 0, cells: 50, signal }],
  },
  tokenizeRows: { call: ddsc.tokenizeRows as Call, given: [source, tokenizer, rows, 0] },
  "Denoiser.describe": { call: ddsc.Denoiser.describe as Call, given: [{ ...describing, dtype: "fp32" }] },
  "Denoiser.create": {
    call: async (options) => (await ddsc.Denoiser.create(options))[Symbol.dispose](),
    given: [
      {
        ...describing,
        device: "cpu",
        dtype: "fp32",
        seed: 0,
        trainable: true,
        profile: false,
        weights: saved,
      },
    ],
  },
  "Denoiser.load": {
    call: async (...given) =>
      (await (ddsc.Denoiser.load as (...all: unknown[]) => Promise<ddsc.Denoiser>)(...given))[
        Symbol.dispose
      ](),
    given: [
      saved,
      { device: "cpu", dtype: "fp32", weights: "ema", trainable: false, profile: false, vocabulary },
    ],
  },
  "denoiser.readParameter": { call: model.readParameter.bind(model) as Call, given: ["head.bias", "ema"] },
  "denoiser.writeParameter": {
    call: model.writeParameter.bind(model) as Call,
    given: ["head.bias", new Float32Array(54), "ema"],
  },
  "denoiser.loadWeights": { call: model.loadWeights.bind(model) as Call, given: [saved] },
  "denoiser.save": { call: model.save.bind(model) as Call, given: [saved] },
  estimateMemory: { call: ddsc.estimateMemory as Call, given: [model.config, workload] },
  machineMemory: { call: ddsc.machineMemory as Call, given: ["cpu"] },
  maskToken: { call: ddsc.maskToken as Call, given: [model] },
  generate: {
    call: ddsc.generate as Call,
    given: [model, { genes: [vocabulary.token(3), 4], cells: 1, cls: true, firstCell: 0, ...sampling }],
  },
  completeCells: { call: ddsc.completeCells as Call, given: [predicting, completing, countSampling] },
  completionSteps: {
    call: (...given) =>
      drain((ddsc.completionSteps as (...all: unknown[]) => AsyncIterable<unknown>)(...given)),
    given: [predicting, completing, countSampling],
  },
  generateCells: {
    call: (...given) =>
      drain((ddsc.generateCells as (...all: unknown[]) => AsyncIterable<unknown>)(...given)),
    given: [
      predicting,
      {
        ...countSampling,
        cells: 2,
        batch: 2,
        firstCell: 0,
        depth: 9,
        genes: Int32Array.of(3, 4),
        conditions: {},
      },
    ],
  },
  DepthSample: {
    call: (depth, told) => new ddsc.DepthSample(depth as never, told as never),
    given: [new Float64Array(1), { labels: new Int32Array(0), numbers: new Float32Array(0) }],
  },
  stateCoordinates: { call: ddsc.stateCoordinates as Call, given: [predicting, signal] },
  "DepthSample.of": {
    call: ddsc.DepthSample.of as Call,
    given: [countBatch, panels, base, { labels: new Int32Array(0), numbers: new Float32Array(0) }],
  },
  "DepthSample.fromJSON": {
    call: ddsc.DepthSample.fromJSON as Call,
    given: [{ depth: [1], labels: [], numbers: [] }, { labels: 0, numbers: 0 }, "depths.json"],
  },
  inpaint: {
    call: ddsc.inpaint as Call,
    given: [
      model,
      batch,
      {
        keep: new Uint8Array(batch.tokens.length).fill(1),
        countsOf: () => new Float32Array(51),
        ...sampling,
      },
    ],
  },
  maskGenes: { call: ddsc.maskGenes as Call, given: [model, batch, [3]] },
  sample: { call: ddsc.sample as Call, given: [model, batch, sampling] },
  sampleSteps: {
    call: (...given) => drain((ddsc.sampleSteps as (...all: unknown[]) => AsyncIterable<unknown>)(...given)),
    given: [model, batch, sampling],
  },
  RankBaselines: {
    call: (values) => new ddsc.RankBaselines(values),
    given: [51],
  },
  "RankBaselines.fit": { call: ddsc.RankBaselines.fit as Call, given: [[batch], 51] },
  "rankBaselines.predict": {
    call: (...given) => new ddsc.RankBaselines(51).predict(...(given as unknown as ["geneMode", number])),
    given: ["geneMode", 3],
  },
  evaluate: {
    call: ddsc.evaluate as Call,
    given: [
      model,
      [batch],
      {
        ratios: [0.5],
        seed: 0,
        baselines: await ddsc.RankBaselines.fit([batch], 51),
        weights: "ema",
        maxTokens: 1000,
        groupsOf: async (cells: Float64Array) => Array.from(cells, () => "a"),
        signal,
      },
    ],
  },
  evaluateCounts: { call: ddsc.evaluateCounts as Call, given: [countOptions] },
  compareCells: { call: ddsc.compareCells as Call, given: [compared, compared, comparing] },
  renderComparison: {
    call: ddsc.renderComparison as Call,
    given: [await ddsc.compareCells(compared, compared, comparing), "cell type"],
  },
  renderCountTable: {
    call: ddsc.renderCountTable as Call,
    given: [await ddsc.evaluateCounts(countOptions), "cell type"],
  },
  renderGroups: { call: ddsc.renderGroups as Call, given: [evaluated.groups, "cell type"] },
  renderTable: { call: ddsc.renderTable as Call, given: [evaluated] },
  estimateTrainingMemory: {
    call: ddsc.estimateTrainingMemory as Call,
    given: [model, source, { batchCells: 4 }, "cpu"],
  },
  profileStep: {
    call: ddsc.profileStep as Call,
    given: [model, batch, { work: "forward", repeats: 1, signal }],
  },
  writeAnnData: {
    call: ddsc.writeAnnData as Call,
    given: [
      join(root, "written.h5ad"),
      {
        ...(await ddsc.framesOf(source)),
        matrices: { X: { kind: "dense", type: "float32" } },
        rows: [{ X: new Float32Array(source.cellCount * source.genes.length) }],
        addedObs: () => new Map(),
        addedVar: () => new Map(),
        varm: { loadings: { values: new Float32Array(source.genes.length), width: 1 } },
        uns: { a: 1 },
      },
    ],
  },
  learnConditions: { call: ddsc.learnConditions as Call, given: [source, ["cell_type"]] },
  "CellConditions.none": { call: ddsc.CellConditions.none as Call, given: [learnt] },
  "CellConditions.read": {
    call: ddsc.CellConditions.read as Call,
    given: [source, learnt, { unknown: "untold" }],
  },
  "cellConditions.of": {
    call: told.of.bind(told) as Call,
    given: [Float64Array.of(0, 1), { chance: 0.5, seed: 0, step: 1 }],
  },
  CountBase: {
    call: (parts) => new ddsc.CountBase(parts),
    given: [{ share: base.share, size: base.size, meanDepth: 10, spread: 2 }],
  },
  "CountBase.fromJSON": { call: ddsc.CountBase.fromJSON as Call, given: [base.toJSON(), "base.json"] },
  CellSummary: {
    call: (parts) => new ddsc.CellSummary(parts),
    given: [{ genes: summary.genes, pool: summary.pool, ridge: summary.ridge }],
  },
  "CellSummary.learn": {
    call: ddsc.CellSummary.learn as Call,
    given: [[countBatch], panels, base, { width: 2, seed: 0, signal }],
  },
  "CellSummary.fromJSON": {
    call: ddsc.CellSummary.fromJSON as Call,
    given: [summary.toJSON(), "summary.json"],
  },
  DepthStatistics: {
    call: (...given) => new ddsc.DepthStatistics(...(given as unknown as [number, Int32Array[]])),
    given: [countVocabulary.size, panels],
  },
  "depthStatistics.add": {
    call: (given) => new ddsc.DepthStatistics(countVocabulary.size, panels).add(given),
    given: [countBatch],
  },
  chooseQueries: { call: ddsc.chooseQueries as Call, given: [choosing] },
  networkRows: {
    call: ddsc.networkRows as Call,
    given: [chosen, base, { ...told.of(countBatch.cells), total }],
  },
  ratePosterior: { call: ddsc.ratePosterior as Call, given: [2, 3, 1] },
  thinCounts: { call: ddsc.thinCounts as Call, given: [countBatch, 0.5, 0] },
  countCellsOf: { call: ddsc.countCellsOf as Call, given: [countBatch, panels, ["a", "b", "c"]] },
  hideGenes: { call: ddsc.hideGenes as Call, given: [someCells, 0.5, 0] },
  ModelPredictor: {
    call: (...given) =>
      new ddsc.ModelPredictor(...(given as unknown as [ddsc.CountModel, ddsc.ModelPredictorOptions])),
    given: [predicting, { heldOut: sourceCells, training: sourceCells, maxRows: 100 }],
  },
  "modelPredictor.denoise": {
    call: predictor.denoise.bind(predictor) as Call,
    given: [someCells, { places: Int32Array.of(0, 1, 2), training: false }, signal],
  },
  denoiseCells: {
    call: (...given) => drain((ddsc.denoiseCells as (...all: unknown[]) => AsyncIterable<unknown>)(...given)),
    given: [source, predicting, { genes: [3, countVocabulary.token(4)], ...countedOptions }],
  },
  embedCells: {
    call: (...given) => drain((ddsc.embedCells as (...all: unknown[]) => AsyncIterable<unknown>)(...given)),
    given: [source, predicting, { nll: true, ...countedOptions }],
  },
  imputeFile: {
    call: ddsc.imputeFile as Call,
    given: [{ ...filed, layers: ["low"], genes: [3], least: 0.1, replaceX: true }],
  },
  embedFile: { call: ddsc.embedFile as Call, given: [{ ...filed, nll: true }] },
  trainFile: {
    call: ddsc.trainFile as Call,
    given: [
      {
        data: source,
        out: join(root, "trained"),
        steps: 1,
        values: "counts",
        conditions: ["cell_type"],
        preset: "nano",
        device: "cpu",
        where: "library_size > 0",
        seed: 0,
        training: { batchCells: 4, worker: false, validation: false },
        model: { shape: { hidden: 32, heads: 2, blocks: 1 } },
        overwrite: true,
        signal,
        onStep: () => undefined,
      },
    ],
  },
  evaluateFile: {
    call: ddsc.evaluateFile as Call,
    // No cell is left once all is open: scoring takes a second each time.
    given: [
      {
        model: countRun,
        data: source,
        where: "library_size < 0",
        by: "cell_type",
        ratios: [0.5],
        seed: 0,
        thin: 0,
        openProblems: true,
        heldOutCells: 5,
        trainingCells: 5,
        allowFractional: true,
        maxRows: 1000,
        device: "cpu",
        dtype: "fp32",
        signal,
      },
    ],
  },
  reportFile: {
    call: ddsc.reportFile as Call,
    given: [
      {
        model: join(root, "run"),
        out: join(root, "report.html"),
        data: source,
        cells: 20,
        by: "cell_type",
        png: join(root, "pictures"),
        gif: join(root, "filling.gif"),
        seed: 0,
        device: "cpu",
        dtype: "fp32",
        overwrite: true,
        signal,
        onProgress: () => undefined,
      },
    ],
  },
  compareFiles: {
    call: ddsc.compareFiles as Call,
    given: [
      {
        generated: source,
        real: source,
        train: source,
        where: "library_size < 0",
        by: "cell_type",
        cells: 20,
        trainingCells: 20,
        seed: 0,
        allowFractional: true,
        signal,
      },
    ],
  },
  findParts: { call: ddsc.findParts as Call, given: [join(root, "joined.h5ad")] },
  joinParts: {
    call: ddsc.joinParts as Call,
    given: [
      [join(root, "part.h5ad")],
      join(root, "joined.h5ad"),
      { overwrite: true, signal, onProgress: () => undefined },
    ],
  },
  partPath: { call: ddsc.partPath as Call, given: [join(root, "joined.h5ad"), { index: 1, count: 2 }] },
  importCheckpoint: {
    call: ddsc.importCheckpoint as Call,
    given: [{ checkpoint: join(root, "none.ckpt"), out: join(root, "imported"), overwrite: true, signal }],
  },
  exportModel: {
    call: ddsc.exportModel as Call,
    given: [{ model: saved, out: join(root, "exported"), format: "huggingface", overwrite: true }],
  },
  "EventLog.open": {
    call: async (...given) => {
      await using _log = await (ddsc.EventLog.open as (...all: unknown[]) => Promise<ddsc.EventLog>)(
        ...given,
      );
    },
    given: [join(root, "events"), { hyperparameters: { a: 1 }, firstStep: 1 }],
  },
  watchRuns: {
    call: async (...given) => {
      const page = await (ddsc.watchRuns as (...all: unknown[]) => Promise<ddsc.RunsPage>)(...given);
      await page.close();
    },
    given: [[root], { port: 0, host: "127.0.0.1", token: "new", waitForRuns: true }],
  },
  chanceAboveZero: { call: ddsc.chanceAboveZero as Call, given: [2, 1] },
  negativeBinomialQuantile: { call: ddsc.negativeBinomialQuantile as Call, given: [0.05, 2, 1] },
  openRunCells: { call: ddsc.openRunCells as Call, given: [record] },
  splitRunCells: { call: ddsc.splitRunCells as Call, given: [record, source] },
  readRecord: { call: ddsc.readRecord as Call, given: [join(root, "run")] },
  Trainer: {
    call: (...given) => new ddsc.Trainer(...(given as unknown as [ddsc.Denoiser, ddsc.TrainerOptions])),
    given: [
      model,
      {
        folder: join(root, "run"),
        overwrite: false,
        schedule: { kind: "constant" },
        recompute: false,
        batchCells: 4,
        lengthBuckets: false,
        worker: false,
        where: "library_size > 0",
        validation: { fraction: 0.1, cells: 4 },
        checkpoint: { every: 1, keep: 1 },
      },
    ],
  },
  "Trainer.resume": { call: ddsc.Trainer.resume as Call, given: [join(root, "run"), { device: "cpu" }] },
  "trainer.fit": {
    call: (...given) =>
      drain(
        (
          new ddsc.Trainer(model, { batchCells: 64, worker: false, validation: false }).fit as (
            ...all: unknown[]
          ) => AsyncIterable<unknown>
        )(...given),
      ),
    given: [source, { steps: 1, seconds: 60, signal }],
  },
};

/** The arguments with one of them, or one of an object's fields, replaced: by name. */
function* replaced(given: readonly unknown[]): Generator<{ readonly name: string; readonly all: unknown[] }> {
  for (const [i, right] of given.entries()) {
    for (const wrong of WRONG) {
      yield { name: `${i}: ${String(wrong)}`, all: given.map((value, at) => (at === i ? wrong : value)) };
      if (Object.getPrototypeOf(right ?? 0) !== Object.prototype) continue;
      for (const field of Object.keys(right as object)) {
        const changed = { ...(right as object), [field]: wrong };
        yield {
          name: `${i}.${field}: ${String(wrong)}`,
          all: given.map((value, at) => (at === i ? changed : value)),
        };
      }
    }
  }
}

/** What a call throws or rejects with. */
async function problemOf({ call }: Entry, given: readonly unknown[]): Promise<unknown> {
  try {
    await call(...(given as never[]));
    return undefined;
  } catch (error) {
    return error;
  }
}

describe("a wrong argument is a DdscError", () => {
  it.each(Object.keys(entries))("of %s", async (name) => {
    const entry = entries[name] as Entry;
    const others: string[] = [];
    for (const { name: argument, all } of replaced(entry.given)) {
      const problem = await problemOf(entry, all);
      if (problem !== undefined && !(problem instanceof ddsc.DdscError))
        others.push(`${argument}: ${problem}`);
    }
    expect(others).toEqual([]);
  });

  it("of a gene that is kept neither with 1 nor with 0", async () => {
    const keep = new Uint8Array(batch.tokens.length).fill(1);
    keep[2] = 2;
    const rejected = await ddsc.inpaint(model, batch, { keep }).catch((error: unknown) => error);
    expect(rejected).toMatchObject({ code: "ARGUMENT_RANGE", place: { argument: "keep" } });
    expect(String(rejected)).toContain("expected 0 or 1 for keep but received 2 at token 2");
    const text = { keep: Array.from(keep) as unknown as Uint8Array };
    await expect(ddsc.inpaint(model, batch, text)).rejects.toThrow(/ARGUMENT_TYPE.*Uint8Array/);
  });
});

describe("the table of public functions", () => {
  it("names every function that these folders make public", async () => {
    const folders = await Promise.all([
      import("../lib/batching/index.js"),
      import("../lib/comparison/index.js"),
      import("../lib/conditions/cell_conditions.js"),
      import("../lib/conditions/learn.js"),
      import("../lib/counts/cell_summary.js"),
      import("../lib/counts/count_base.js"),
      import("../lib/counts/depth_statistics.js"),
      import("../lib/counts/network_rows.js"),
      import("../lib/counts/posterior.js"),
      import("../lib/counts/thin_counts.js"),
      import("../lib/evaluation/index.js"),
      import("../lib/imputation/index.js"),
      import("../lib/model/denoiser.js"),
      import("../lib/model/memory.js"),
      import("../lib/native/counts.js"),
      import("../lib/sampling/index.js"),
      import("../lib/tasks/index.js"),
      import("../lib/training/memory.js"),
      import("../lib/training/profile.js"),
      import("../lib/training/run_data.js"),
      import("../lib/training/state.js"),
      import("../lib/training/trainer.js"),
    ]);
    const own = new Set(folders.flatMap((folder) => Object.values(folder as Record<string, unknown>)));
    const functions = Object.entries(ddsc).filter(
      ([, value]) => typeof value === "function" && own.has(value),
    );
    const named = new Set(Object.keys(entries).map((name) => name.split(".")[0]));
    expect(functions.map(([name]) => name).filter((name) => !named.has(name))).toEqual([]);
  });
});
