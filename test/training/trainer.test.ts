import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { DdscError } from "../../lib/base/errors.js";
import { BatchLoader } from "../../lib/batching/index.js";
import { Denoiser } from "../../lib/model/denoiser.js";
import type { FitOptions, StepResult } from "../../lib/training/fit.js";
import type { TrainerOptions } from "../../lib/training/options.js";
import { openRunCells, splitRunCells } from "../../lib/training/run_data.js";
import { readRecord } from "../../lib/training/state.js";
import { Trainer } from "../../lib/training/trainer.js";
import { smallModel, smallOptions, smallSource, weightsOf } from "./small_run.js";

let root: string;
let folder: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "ddsc-trainer-"));
  folder = join(root, "run");
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

const source = smallSource();

async function runAll(trainer: Trainer, options: FitOptions): Promise<StepResult[]> {
  const results: StepResult[] = [];
  for await (const result of trainer.fit(source, options)) results.push(result);
  return results;
}

/** Trains a fresh model and gives its weights. */
async function trained(options: TrainerOptions, steps: number) {
  using model = await smallModel();
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

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe("Trainer", () => {
  it("lowers the loss, in training and on held-out cells", async () => {
    const { results } = await trained({ learningRate: 3e-3, batchCells: 16, worker: false }, 60);
    const losses = results.map(({ loss }) => loss);
    expect(mean(losses.slice(-10))).toBeLessThan(mean(losses.slice(0, 5)) - 0.3);
    const validations = results.flatMap(({ validation }) => validation ?? []);
    expect(validations).toHaveLength(10);
    expect(validations.at(-1)!.nll).toBeLessThan(validations[0]!.nll - 0.1);
    expect(validations[0]!.bitsPerToken).toBeCloseTo(validations[0]!.nll / Math.log(2), 12);
    expect(validations[0]!.perplexity).toBeCloseTo(Math.exp(validations[0]!.nll), 9);
  });

  it("begins at the loss of a uniform guess", async () => {
    // The head is zero at first and the mask token has no mass: each masked token costs log 53 nats.
    const { results } = await trained({ batchCells: 32, validation: false, worker: false }, 1);
    expect(results[0]!.crossEntropy).toBeCloseTo(Math.log(53), 5);
    expect(results[0]).toMatchObject({ step: 1, epoch: 0, learningRate: 3e-4 });
  });

  it("adds up batches to exactly the step of one batch of all their cells", async () => {
    const options = { ...smallOptions, lengthBuckets: false, validation: false } as const;
    const whole = await trained({ ...options, batchCells: 16, accumulation: 1 }, 4);
    const parts = await trained({ ...options, batchCells: 4, accumulation: 4 }, 4);
    expect(parts.results.map(({ tokens }) => tokens)).toEqual(whole.results.map(({ tokens }) => tokens));
    expect(relativeDifference(parts.weights, whole.weights)).toBeLessThan(1e-5);
    for (const [i, { loss, gradientNorm }] of parts.results.entries()) {
      expect(loss / whole.results[i]!.loss).toBeCloseTo(1, 5);
      expect(gradientNorm / whole.results[i]!.gradientNorm).toBeCloseTo(1, 4);
    }
    // A mean of the parts' means would differ by far more: cells are not equally long.
    const fewer = await trained({ ...options, batchCells: 4, accumulation: 3 }, 4);
    expect(relativeDifference(fewer.weights, whole.weights)).toBeGreaterThan(1e-3);
  });

  it("is a function of its seed", async () => {
    const first = await trained(smallOptions, 5);
    expect((await trained(smallOptions, 5)).weights).toEqual(first.weights);
    expect((await trained({ ...smallOptions, seed: 12 }, 5)).weights).not.toEqual(first.weights);
  });

  it("moves the average by 9/11 of the first step and 9/12 of the second, whatever its decay", async () => {
    using model = await smallModel();
    const history = [await weightsOf(model)];
    for await (const _ of new Trainer(model, { ...smallOptions, validation: false }).fit(source, {
      steps: 2,
    })) {
      history.push(await weightsOf(model));
    }
    for (const [step, share] of [9 / 11, 9 / 12].entries()) {
      const { ema: before } = history[step]!;
      const { ema: after, weights } = history[step + 1]!;
      expect(after).not.toEqual(before);
      const expected = before.map((value, i) => value + share * (weights[i]! - value));
      expect(relativeDifference(after, expected)).toBeLessThan(1e-6);
    }
  });

  it("computes activations again on request, for the same weights to the last bit, resumed or not", async () => {
    const shape = { hidden: 32, heads: 2, blocks: 4, condDim: 16 };
    using plain = await smallModel({ shape });
    await runAll(new Trainer(plain, smallOptions), { steps: 4 });
    using model = await smallModel({ shape });
    const options = { ...smallOptions, recompute: true, folder };
    for await (const { step } of new Trainer(model, options).fit(source, { steps: 4 })) {
      if (step === 2) break;
    }
    const trainer = await Trainer.resume(folder);
    using resumed = trainer.model;
    expect(trainer.settings.recompute).toBe(true);
    await runAll(trainer, {});
    expect(await weightsOf(resumed)).toEqual(await weightsOf(plain));
  });

  it("resumes where it was stopped and ends as if it had not been", async () => {
    const expected = await trained(smallOptions, 12);
    using model = await smallModel();
    for await (const { step } of new Trainer(model, { ...smallOptions, folder }).fit(source, { steps: 12 })) {
      if (step === 5) break;
    }
    const trainer = await Trainer.resume(folder);
    using again = trainer.model;
    expect(trainer.state.step).toBe(5);
    const results = await runAll(trainer, {});
    expect(trainer.end).toBe("steps");
    expect(results.map(({ step }) => step)).toEqual([6, 7, 8, 9, 10, 11, 12]);
    expect(results.map(({ loss }) => loss)).toEqual(expected.results.slice(5).map(({ loss }) => loss));
    expect(await weightsOf(again)).toEqual({ weights: expected.weights, ema: expected.ema });
    const lines = (await readFile(join(folder, "metrics.jsonl"), "utf8")).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line).step)).toEqual(expected.results.map(({ step }) => step));
  });

  it("hands each batch in with the one before it, from step to step", async () => {
    const batches = vi.spyOn(BatchLoader.prototype, "next");
    onTestFinished(() => batches.mockRestore());
    using model = await smallModel();
    const calls = vi.spyOn(model.native, "accumulate");
    const stage = vi.spyOn(model.native, "stage");
    for await (const _ of new Trainer(model, smallOptions).fit(source, { steps: 4 })) {
      // A loader that is slower than a step hands nothing in ahead: let it have brought what was asked for.
      await Promise.all(batches.mock.results.map(({ value }) => value));
      await setImmediate();
    }
    const staged = stage.mock.results.map(({ value }) => value);
    const used = calls.mock.calls.map(([input]) => input);
    const isStaged = used.map((input) => staged.includes(input));
    // Nothing comes before the first batch; the data of the second step may come too late for the first.
    expect(isStaged).toEqual([false, true, isStaged[2], true, true, true, true, true]);
    expect(used.filter((_, i) => isStaged[i])).toEqual(staged);
    // Each while the batch before it is computed on.
    for (const [i, input] of used.entries()) {
      if (!isStaged[i]) continue;
      const at = stage.mock.invocationCallOrder[staged.indexOf(input)]!;
      expect(at).toBeGreaterThan(calls.mock.invocationCallOrder[i - 1]!);
      expect(at).toBeLessThan(calls.mock.invocationCallOrder[i]!);
    }
  });

  it("asks for the batches of its steps and no others, and saves where the data goes on after the last one", async () => {
    const next = vi.spyOn(BatchLoader.prototype, "next");
    try {
      using model = await smallModel();
      const trainer = new Trainer(model, { ...smallOptions, folder });
      const positions: unknown[] = [];
      for await (const { step } of trainer.fit(source, { steps: 7 })) {
        positions.push(trainer.state.position);
        if (step === 5) break;
      }
      const loaded = await Promise.all(next.mock.results.map(({ value }) => value));
      expect(loaded).toHaveLength(12);
      const expected = [1, 3, 5, 7, 9].map((i) => loaded[i].value.next);
      expect(positions).toEqual(expected);
      expect((await readRecord(join(folder, "last"))).state.position).toEqual(expected[4]);
      next.mockClear();
      const resumed = await Trainer.resume(folder);
      using _ = resumed.model;
      await runAll(resumed, {});
      expect(next).toHaveBeenCalledTimes(4);
    } finally {
      next.mockRestore();
    }
  });

  it("does every step before data that cannot be read, and saves those due", async () => {
    const real = BatchLoader.prototype.next;
    let asked = 0;
    const next = vi.spyOn(BatchLoader.prototype, "next").mockImplementation(function (this: BatchLoader) {
      return ++asked === 7 ? Promise.reject(new DdscError("DATA_CORRUPT", "a hole")) : real.call(this);
    });
    try {
      using model = await smallModel();
      const trainer = new Trainer(model, { ...smallOptions, folder });
      const steps: number[] = [];
      const attempt = (async () => {
        for await (const { step } of trainer.fit(source, { steps: 7 })) steps.push(step);
      })();
      await expect(attempt).rejects.toThrow(/DATA_CORRUPT/);
      expect(steps).toEqual([1, 2, 3]);
      expect((await readRecord(join(folder, "best"))).state.step).toBe(3);
    } finally {
      next.mockRestore();
    }
  });

  it("reports what the tokenizer left out of the steps done, not of those to come", async () => {
    using model = await smallModel();
    const trainer = new Trainer(model, { ...smallOptions, lengthBuckets: false });
    for await (const { step } of trainer.fit(source, { steps: 5 })) {
      expect(trainer.report.tokens).toBe(trainer.state.tokens);
      expect(trainer.report.cells).toBeLessThanOrEqual(12 * step);
    }
  });

  it("ends at once when aborted, saves the steps done, and goes on from there to the same end", async () => {
    const expected = await trained(smallOptions, 8);
    using model = await smallModel();
    const trainer = new Trainer(model, { ...smallOptions, folder });
    const controller = new AbortController();
    // Step 3 is followed by a validation; aborting a little after step 2 hits a step, a validation or neither.
    for await (const { step } of trainer.fit(source, { steps: 8, signal: controller.signal })) {
      if (step === 2) setTimeout(() => controller.abort(), 3);
    }
    expect(trainer.end).toBe("aborted");
    const record = await readRecord(join(folder, "last"));
    expect(record.state.step).toBe(trainer.state.step);
    expect(record.state.step).toBeLessThan(8);
    const resumed = await Trainer.resume(folder);
    using again = resumed.model;
    await runAll(resumed, {});
    expect(await weightsOf(again)).toEqual({ weights: expected.weights, ema: expected.ema });
    expect(resumed.state.best).toEqual(
      expected.results.reduce<{ step: number; nll: number } | null>((best, { step, validation }) => {
        if (validation === undefined || (best !== null && best.nll <= validation.nll)) return best;
        return { step, nll: validation.nll };
      }, null),
    );
  });

  it("does nothing under a signal that is aborted already", async () => {
    using model = await smallModel();
    const trainer = new Trainer(model, smallOptions);
    expect(await runAll(trainer, { steps: 3, signal: AbortSignal.abort() })).toEqual([]);
    expect(trainer.end).toBe("aborted");
  });

  it("ends when its time is up, with a validation and a checkpoint", async () => {
    using model = await smallModel();
    const trainer = new Trainer(model, { ...smallOptions, folder, validation: { every: 1000 } });
    const results = await runAll(trainer, { seconds: 0 });
    expect(trainer.end).toBe("time");
    expect(results).toHaveLength(1);
    expect(results[0]?.validation?.nll).toBeGreaterThan(0);
    expect((await readRecord(join(folder, "best"))).state.step).toBe(1);
  });

  it("goes on for more steps than the run was begun with", async () => {
    using model = await smallModel();
    const trainer = new Trainer(model, { ...smallOptions, folder });
    await runAll(trainer, { steps: 2 });
    expect((await runAll(trainer, { steps: 4 })).map(({ step }) => step)).toEqual([3, 4]);
    expect((await readRecord(join(folder, "last"))).steps).toBe(4);
  });

  it("keeps the checkpoint with the lowest validation NLL as best", async () => {
    using model = await smallModel();
    const trainer = new Trainer(model, {
      ...smallOptions,
      folder,
      validation: { every: 1 },
      learningRate: 0.05,
      schedule: { kind: "constant" },
      clip: 0,
    });
    const results = await runAll(trainer, { steps: 6 });
    const best = results.reduce((a, b) => (b.validation!.nll < a.validation!.nll ? b : a));
    expect(best.step).toBeLessThan(6);
    expect((await readRecord(join(folder, "best"))).state.step).toBe(best.step);
    expect((await readRecord(join(folder, "last"))).state.step).toBe(6);
    using loaded = await Denoiser.load(folder);
    using named = await Denoiser.load(join(folder, `step-${best.step}`));
    const name = "output_layer.linear.weight";
    expect(await loaded.readParameter(name)).toEqual(await named.readParameter(name));
  });

  it("stops at a loss that is not finite, naming the step, with the last good checkpoint and weights kept", async () => {
    using model = await smallModel();
    const trainer = new Trainer(model, { ...smallOptions, folder, validation: false });
    const { offset } = model.parameters.find(({ name }) => name === "output_layer.linear.bias")!;
    const attempt = (async () => {
      for await (const { step } of trainer.fit(source, { steps: 20 })) {
        if (step === 5) await model.native.write("weights", offset, Float32Array.of(0, 0, 0, Number.NaN));
      }
    })();
    await expect(attempt).rejects.toMatchObject({ code: "TRAIN_NOT_FINITE", place: { step: 6 } });
    await expect(attempt).rejects.toThrow(/step 6: the loss is NaN/);
    expect((await readRecord(join(folder, "last"))).state.step).toBe(4);
    using kept = await Denoiser.load(folder);
    expect((await kept.readParameter("output_layer.linear.bias")).every(Number.isFinite)).toBe(true);
  });

  it("stops where it diverges with a finite loss, with no checkpoint written since", async () => {
    using model = await smallModel();
    const options = { ...smallOptions, folder, validation: { every: 1 }, learningRate: 0.2, clip: 0 };
    const trainer = new Trainer(model, options);
    const attempt = runAll(trainer, { steps: 6 });
    await expect(attempt).rejects.toMatchObject({ code: "TRAIN_DIVERGED", place: { step: 6 } });
    await expect(attempt).rejects.toThrow(
      /nats a masked token in the last 2 steps, where a blind guess has 3\.93/,
    );
    expect((await readRecord(join(folder, "last"))).state.step).toBe(2);
    using best = await Denoiser.load(join(folder, "best"), { trainable: true });
    const again = await new Trainer(best, { validation: false }).fit(source).next();
    expect(again.value!.crossEntropy).toBeLessThan(2 * Math.log(51));
  });

  it("goes on where a learning rate overshoots and comes back", async () => {
    using model = await smallModel();
    const options = { ...smallOptions, learningRate: 0.1, clip: 0, checkpoint: { every: 1 } };
    const results = await runAll(new Trainer(model, options), { steps: 12 });
    expect(Math.max(...results.map(({ crossEntropy }) => crossEntropy))).toBeGreaterThan(2 * Math.log(51));
    expect(results).toHaveLength(12);
  });

  it("remembers its data and split, so that the held-out cells are found again", async () => {
    using model = await smallModel();
    await runAll(new Trainer(model, { ...smallOptions, folder }), { steps: 1 });
    const { data } = await readRecord(join(folder, "best"));
    const { train, validation } = await splitRunCells(data, source);
    expect(train.length + validation.length).toBe(source.cellCount);
    expect(validation.length).toBeGreaterThan(10);
    await expect(openRunCells(data)).rejects.toThrow(/DATA_IN_MEMORY/);
  });

  it("does not go on with other data", async () => {
    using model = await smallModel();
    const trainer = new Trainer(model, smallOptions);
    await runAll(trainer, { steps: 1 });
    const { MemorySource } = await import("../../lib/data/sources/memory.js");
    const { simulateCells } = await import("../../lib/data/sources/simulate.js");
    const other = new MemorySource(simulateCells({ cells: 161, genes: 40 }).cells);
    await expect(trainer.fit(other, { steps: 2 }).next()).rejects.toThrow(/TRAIN_DATA_CHANGED.*160 cells/);
  });

  it("does not begin in the folder of another run", async () => {
    using model = await smallModel();
    await runAll(new Trainer(model, { ...smallOptions, folder }), { steps: 1 });
    await expect(runAll(new Trainer(model, { ...smallOptions, folder }), { steps: 1 })).rejects.toThrow(
      /RUN_EXISTS/,
    );
  });

  it("leaves no run where it fails before its first step is done, so that the corrected call can begin", async () => {
    using model = await smallModel();
    const noCell = new Trainer(model, { ...smallOptions, folder, where: "library_size < 0" });
    await expect(runAll(noCell, { steps: 1 })).rejects.toThrow(/DATA_NO_CELLS/);
    const failing = new Trainer(model, { ...smallOptions, folder });
    const accumulate = vi.spyOn(model.native, "accumulate");
    accumulate.mockRejectedValueOnce(new Error("the GPU fell off"));
    await expect(runAll(failing, { steps: 1 })).rejects.toThrow("the GPU fell off");
    expect(accumulate).toHaveBeenCalledOnce();
    accumulate.mockRestore();
    expect(await readdir(root)).toEqual([]);
    await runAll(new Trainer(model, { ...smallOptions, folder }), { steps: 1 });
    expect(await readdir(folder)).toEqual(["best", "last", "metrics.jsonl", "status.json", "step-1"]);
  });

  it("replaces a run only once it knows that it has cells to train on", async () => {
    using model = await smallModel();
    await runAll(new Trainer(model, { ...smallOptions, folder }), { steps: 2 });
    const options = { ...smallOptions, folder, overwrite: true };
    const noCell = new Trainer(model, { ...options, where: "library_size < 0" });
    await expect(runAll(noCell, { steps: 1 })).rejects.toThrow(/DATA_NO_CELLS/);
    expect((await readRecord(join(folder, "last"))).state.step).toBe(2);
    await runAll(new Trainer(model, options), { steps: 1 });
    expect((await readRecord(join(folder, "last"))).state.step).toBe(1);
  });

  it("is the only one to write into its folder while it runs", async () => {
    using model = await smallModel();
    const trainer = new Trainer(model, { ...smallOptions, folder });
    for await (const { step } of trainer.fit(smallSource(), { steps: 4 })) {
      if (step !== 3) continue;
      await expect(Trainer.resume(folder)).rejects.toThrow(/RUN_LOCKED/);
      const other = new Trainer(model, { ...smallOptions, folder, overwrite: true });
      await expect(runAll(other, { steps: 1 })).rejects.toThrow(/RUN_LOCKED/);
    }
    expect((await readRecord(join(folder, "last"))).state.step).toBe(4);
  });

  it("does not go on where another has gone on since it was resumed", async () => {
    using model = await smallModel();
    await runAll(new Trainer(model, { ...smallOptions, folder }), { steps: 2 });
    const one = await Trainer.resume(folder);
    const other = await Trainer.resume(folder);
    using _one = one.model;
    using _other = other.model;
    await runAll(one, { steps: 3 });
    await expect(runAll(other, { steps: 4 })).rejects.toThrow(/RUN_CHANGED.*resume it again/);
    await runAll(one, { steps: 4 });
  });

  it("says before the first step that its folder cannot be written, and leaves nothing", async () => {
    await writeFile(join(root, "file"), "");
    using model = await smallModel();
    const trainer = new Trainer(model, { ...smallOptions, folder: join(root, "file", "run") });
    await expect(runAll(trainer, { steps: 1 })).rejects.toThrow(/FILE_WRITE.*file, not a folder/);
    expect(trainer.state.step).toBe(0);
    expect(await readdir(root)).toEqual(["file"]);
  });

  it("resumes no folder without a checkpoint, nor a damaged one", async () => {
    await expect(Trainer.resume(folder)).rejects.toThrow(/CHECKPOINT_READ.*no checkpoint "last"/);
    using model = await smallModel();
    await runAll(new Trainer(model, { ...smallOptions, folder }), { steps: 1 });
    await writeFile(join(folder, "last", "training.json"), '{"format":"ddsc-training","version":2}');
    await expect(Trainer.resume(folder)).rejects.toThrow(/CHECKPOINT_CONFIG.*training\.json/);
    await writeFile(join(folder, "last", "training.json"), '{"format":"ddsc-training","version":9}');
    await expect(Trainer.resume(folder)).rejects.toThrow(/CHECKPOINT_VERSION.*update the package/);
    await writeFile(join(folder, "last", "training.json"), '{"format":"ddsc-training","version":1}');
    await expect(Trainer.resume(folder)).rejects.toThrow(/CHECKPOINT_VERSION.*an older package wrote it/);
  });

  it("takes no model with another rank's share of the optimizer", async () => {
    using model = await smallModel({ optimizerShare: { index: 1, count: 2 } });
    expect(() => new Trainer(model, smallOptions)).toThrow(/ARGUMENT_CONFLICT.*share 1 of 2.*rank 0 of 1/);
    await expect(smallModel({ optimizerShare: { index: 2, count: 2 } })).rejects.toThrow(
      /ARGUMENT_RANGE.*optimizerShare\.index/,
    );
  });

  it("takes no model that only predicts, no second loop at once, no impossible number of steps", async () => {
    using predictor = await smallModel({ trainable: false });
    expect(() => new Trainer(predictor)).toThrow(/TRAIN_MODEL/);
    using model = await smallModel();
    const trainer = new Trainer(model, smallOptions);
    await expect(runAll(trainer, { steps: 0 })).rejects.toThrow(/ARGUMENT_RANGE.*steps/);
    const loop = trainer.fit(source, { steps: 3 });
    await loop.next();
    await expect(trainer.fit(source, { steps: 3 }).next()).rejects.toThrow(/TRAIN_BUSY/);
    await loop.return();
    expect((await runAll(trainer, { steps: 3 })).map(({ step }) => step)).toEqual([2, 3]);
  });

  it.each([
    { objective: { kind: "d3pm", steps: 100 } },
    { objective: { kind: "sedd" } },
    { importanceSampling: true },
    { changeOfVariables: true, meanMatching: 0.5 },
    { antithetic: false, schedule: { kind: "geometric" } },
  ] as const)("trains with %o", async (diffusion) => {
    using model = await smallModel({
      diffusion,
      shape: { hidden: 32, heads: 2, blocks: 1, timeConditioning: true },
    });
    const results = await runAll(
      new Trainer(model, { learningRate: 3e-3, batchCells: 32, validation: false, worker: false }),
      {
        steps: 40,
      },
    );
    const entropies = results.map(({ crossEntropy }) => crossEntropy);
    expect(mean(entropies.slice(-8))).toBeLessThan(mean(entropies.slice(0, 4)) - 0.15);
  });
});
