import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DdscError } from "../../lib/base/errors.js";
import { readStatus, STATUS_FILE, type StatusFacts, StatusFile } from "../../lib/training/run_status.js";
import { Trainer } from "../../lib/training/trainer.js";
import { smallCountModel } from "./small_counts.js";
import { smallModel, smallOptions, smallSource } from "./small_run.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-status-"));
});
afterEach(() => rm(folder, { recursive: true }));

const facts: StatusFacts = {
  steps: 10,
  values: "counts",
  device: "cpu",
  parameters: 1234,
  data: { name: "cells.h5ad", cells: 5, genes: 7 },
  planned: 1000,
  baselines: [],
  notes: [],
};

describe("the status of a run", () => {
  it("is read as it was written, with what changed since", async () => {
    const status = new StatusFile(folder, facts);
    await status.update({ notes: ["odd"], baselines: [{ name: "gene marginal", crossEntropy: 2 }] });
    expect(await readStatus(folder)).toMatchObject({
      ...{ pid: process.pid, steps: 10, values: "counts", notes: ["odd"], end: null, error: null },
      baselines: [{ name: "gene marginal", crossEntropy: 2 }],
    });
    await status.fail(new DdscError("TRAIN_DIVERGED", "it grew"));
    expect(await readStatus(folder)).toMatchObject({
      notes: ["odd"],
      end: "failed",
      error: { code: "TRAIN_DIVERGED", message: "it grew" },
    });
  });

  it("stays small whatever is said, and can still be read", async () => {
    const long = "\u0001".repeat(1_000_000);
    const status = new StatusFile(folder, { ...facts, data: { ...facts.data, name: long } });
    await status.update({ notes: Array.from({ length: 1000 }, () => long) });
    await status.fail(new Error(long));
    expect((await readFile(join(folder, STATUS_FILE))).length).toBeLessThan(2 ** 18);
    expect((await readStatus(folder))?.notes).toHaveLength(40);
  });

  it("never makes what it tells of fail", async () => {
    const status = new StatusFile(join(folder, "missing"), facts);
    await status.update({ end: "steps" });
    await status.fail("a text");
    expect(await readdir(folder)).toEqual([]);
  });

  it("is undefined where the file is damaged, too large, a folder, or not there", async () => {
    const file = join(folder, STATUS_FILE);
    expect(await readStatus(folder)).toBeUndefined();
    await new StatusFile(folder, facts).update();
    const good = await readFile(file, "utf8");
    for (const text of ["", "{", "[]", good.replace('"cpu"', "7"), " ".repeat(2 ** 18) + good]) {
      await writeFile(file, text);
      expect(await readStatus(folder)).toBeUndefined();
    }
    await rm(file);
    await mkdir(file);
    expect(await readStatus(folder)).toBeUndefined();
  });

  it("is a status or undefined for any change of one of its values", async () => {
    const file = join(folder, STATUS_FILE);
    await new StatusFile(folder, facts).update();
    const good = JSON.parse(await readFile(file, "utf8"));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...Object.keys(good)), fc.jsonValue(), async (name, value) => {
        await writeFile(file, JSON.stringify({ ...good, [name]: value }));
        const read = await readStatus(folder);
        expect(read === undefined || typeof read.device === "string").toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});

describe("a training", () => {
  const run = () => join(folder, "run");

  async function train(trainer: Trainer, steps: number): Promise<void> {
    for await (const _ of trainer.fit(smallSource(), { steps }));
  }

  it.each([
    ["ranks", smallModel, "gene marginal"],
    ["counts", smallCountModel, "negative binomial at depth"],
  ] as const)(
    "of %s says what its validations are compared with, before its end and after going on",
    async (_, make, name) => {
      using model = await make();
      const trainer = new Trainer(model, { ...smallOptions, folder: run() });
      for await (const { step } of trainer.fit(smallSource(), { steps: 4 })) {
        if (step !== 2) continue;
        const during = await readStatus(run());
        expect(during).toMatchObject({ end: null, steps: 4, pid: process.pid, data: { cells: 160 } });
        expect(during?.baselines).toEqual([{ name, crossEntropy: expect.any(Number) }]);
        expect(during?.memory.planned).toBeGreaterThan(1000);
      }
      const ended = await readStatus(run());
      expect(ended).toMatchObject({ end: "steps" });
      expect(ended?.notes.join()).toContain("the model has learnt nothing yet");

      const resumed = await Trainer.resume(run());
      using _model = resumed.model;
      await train(resumed, 5);
      expect(await readStatus(run())).toMatchObject({ end: "steps", steps: 5, baselines: ended?.baselines });
    },
  );

  it("says that it was left, and what it failed with", async () => {
    using model = await smallModel();
    const trainer = new Trainer(model, { ...smallOptions, folder: run() });
    for await (const _ of trainer.fit(smallSource(), { steps: 9 })) break;
    expect(await readStatus(run())).toMatchObject({ end: "left", error: null });
    vi.spyOn(model.native, "accumulate").mockRejectedValueOnce(new Error("the GPU fell off"));
    await expect(train(trainer, 9)).rejects.toThrow("the GPU fell off");
    expect(await readStatus(run())).toMatchObject({
      end: "failed",
      error: { code: "INTERNAL", message: "the GPU fell off" },
    });
  });

  it("loses its status with its run", async () => {
    using model = await smallModel();
    await train(new Trainer(model, { ...smallOptions, folder: run() }), 1);
    await writeFile(join(run(), ".status.json.deadbeef-17-0a1b2c3d.tmp"), "");
    await train(new Trainer(model, { ...smallOptions, folder: run(), overwrite: true }), 2);
    expect(await readdir(run())).toEqual(
      [...["best", "last", "metrics.jsonl", "status.json", "step-1", "step-2"]].filter(
        (name) => name !== "step-1",
      ),
    );
  });
});
