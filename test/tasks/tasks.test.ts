import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  compareFiles,
  Denoiser,
  type Evaluation,
  embedFile,
  evaluateFile,
  generateFile,
  imputeFile,
  openCells,
  readRecord,
  splitRunCells,
  Trainer,
  type Training,
  trainFile,
} from "../../lib/index.js";
import { ddsc, writeStudy } from "../cli/program.js";

const shape = { hidden: 32, heads: 2, blocks: 1, condDim: 16 };
const CELLS = 120;

let folder: string;
let data: string;
let run: string;
let trained: Training;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-tasks-"));
  data = join(folder, "cells.h5ad");
  run = join(folder, "run");
  await writeStudy(data, { cells: CELLS });
  trained = await trainFile({
    data,
    out: run,
    steps: 6,
    conditions: ["cell_type"],
    training: { batchCells: 16, worker: false, validation: { fraction: 0.25 } },
    model: { shape },
  });
});
afterAll(() => rm(folder, { recursive: true }));

/** Genes and number of the cells of a file. */
async function sizeOf(path: string): Promise<readonly [number, number]> {
  using cells = await openCells(path);
  return [cells.cellCount, cells.genes.length];
}

describe("from file to file", () => {
  it("trains a run that says how it went", async () => {
    expect(trained).toMatchObject({ out: run, end: "steps", step: 6, device: expect.stringMatching(/^cpu/) });
    expect(trained.best?.nll).toBeLessThanOrEqual(trained.validation!.nll);
    const record = await readRecord(join(run, "best"));
    expect(record.data.heldOut).toMatchObject({ kind: "fraction", fraction: 0.25 });
    using model = await Denoiser.load(run);
    expect(model.conditions.map(({ name }) => name)).toEqual(["cell_type"]);
    expect(model.config.hidden).toBe(shape.hidden);
  });

  it("evaluates the cells that the run held out, and their groups", async () => {
    const scores = await evaluateFile({ model: run, ratios: [0.5], by: "cell_type", trainingCells: 50 });
    if (scores.kind !== "counts") throw new Error("not of counts");
    using source = await openCells(data);
    const { validation } = await splitRunCells((await readRecord(join(run, "best"))).data, source);
    expect(scores).toMatchObject({ model: run, data, cells: validation.length, trainingCells: 50 });
    expect(scores.hiddenRatios).toEqual([0.5]);
    const groups = Object.values(scores.groups ?? {});
    expect(groups.reduce((sum, { cells }) => sum + cells, 0)).toBe(validation.length);
    // Told and not told of types.
    expect(scores.withoutConditions).toBeDefined();
  });

  it("evaluates all cells of other data", async () => {
    const others = join(folder, "others.h5ad");
    await writeStudy(others, { cells: 40, seed: 2 });
    const scores = await evaluateFile({ model: run, data: others, ratios: [0.5], thin: 0 });
    expect(scores).toMatchObject({ kind: "counts", data: others, cells: 40, trainingCells: 90 });
  });

  it("imputes, embeds and generates", async () => {
    const outs = ["imputed", "embedded", "generated"].map((name) => join(folder, `${name}.h5ad`));
    await imputeFile({ model: run, data, out: outs[0]! });
    await embedFile({ model: run, data, out: outs[1]! });
    await generateFile({ model: run, cells: 30, out: outs[2]! });
    expect(await Promise.all(outs.map(sizeOf))).toEqual([
      [CELLS, 24],
      [CELLS, 24],
      [30, 24],
    ]);

    const compared = await compareFiles({ model: run, generated: outs[2]!, cells: 20 });
    expect(compared).toMatchObject({ cells: 20, genes: 24, files: { real: data, training: data } });
    const halved = await compareFiles({ real: data, generated: outs[2]!, cells: 20 });
    expect(halved).toMatchObject({
      reference: "half",
      files: { real: data, generated: outs[2], training: data },
    });
  });

  it("ends where the signal says so, saved to go on from", async () => {
    const stop = new AbortController();
    const out = join(folder, "stopped");
    const seen: number[] = [];
    const { end, step } = await trainFile({
      data,
      out,
      steps: 50,
      model: { shape },
      training: { batchCells: 16, worker: false },
      signal: stop.signal,
      onStep: (done) => {
        seen.push(done.step);
        if (done.step === 2) stop.abort();
      },
    });
    expect([end, step, seen]).toEqual(["aborted", 2, [1, 2]]);
    const trainer = await Trainer.resume(out);
    using _model = trainer.model;
    expect(trainer.state.step).toBe(2);
  });
});

describe("what the commands do", () => {
  it.each(["counts", "ranks"] as const)(
    "trains and evaluates a model of %s to the same numbers",
    async (values) => {
      const [own, commands] = [join(folder, `${values}-own`), join(folder, `${values}-commands`)];
      await trainFile({ data, out: own, steps: 2, values, training: { batchCells: 16 }, seed: 3 });
      const size = ["--values", values, "--steps", "2", "--batch", "16", "--seed", "3"];
      expect((await ddsc("train", "--data", data, ...size, "--out", commands)).code).toBe(0);
      const weights = async (path: string) => {
        using model = await Denoiser.load(path);
        return model.readParameter(model.parameters[0]!.name);
      };
      expect(await weights(own)).toEqual(await weights(commands));

      const printed = await ddsc(
        "evaluate",
        "--model",
        commands,
        "--ratios",
        "0.5",
        "--by",
        "cell_type",
        "--json",
      );
      const { notes, ...scores }: Evaluation = await evaluateFile({
        model: own,
        ratios: [0.5],
        by: "cell_type",
      });
      expect(notes).toEqual([]);
      expect({ ...printed.json(), model: own }).toEqual(JSON.parse(JSON.stringify(scores)));
      expect(scores.kind).toBe(values);
    },
  );
});

describe("what is wrong is said in the words of the call", () => {
  const training = { batchCells: 16, worker: false };

  it("of training", async () => {
    await expect(trainFile({ data, out: run })).rejects.toMatchObject({ code: "RUN_EXISTS" });
    const out = join(folder, "none");
    await expect(trainFile({ data: join(folder, "missing.h5ad"), out })).rejects.toMatchObject({
      code: "DATA_NOT_FOUND",
    });
    const twice = { data, out, training: { ...training, seed: 1 } } as never;
    await expect(trainFile(twice)).rejects.toThrow(
      "ARGUMENT_CONFLICT: training.seed is not for trainFile; give seed beside training",
    );
    await expect(trainFile({ data, out, model: { trainable: false } } as never)).rejects.toThrow(
      "ARGUMENT_CONFLICT: model.trainable is not for trainFile; leave it out",
    );
    await expect(trainFile({ data, out, values: "ranks", conditions: ["cell_type"] })).rejects.toMatchObject({
      place: { argument: "conditions" },
    });
    await expect(trainFile({ data, out, training: { batchCell: 1 } } as never)).rejects.toMatchObject({
      code: "ARGUMENT_NAME_UNKNOWN",
    });
  });

  it("of evaluation", async () => {
    await expect(evaluateFile({ model: run, where: "cell_type = 'type-99'" })).rejects.toThrow(
      `EVALUATION_EMPTY: ${data}: where cell_type = 'type-99' holds for no cell;`,
    );
    using model = await Denoiser.load(run);
    await model.save(join(folder, "alone"));
    await expect(evaluateFile({ model: join(folder, "alone") })).rejects.toThrow(
      /^EVALUATION_EMPTY: .*alone: does not say what it was trained on; give the cells to score \(data\)/,
    );
    await expect(evaluateFile({ model: run, ratios: [0] })).rejects.toMatchObject({ code: "ARGUMENT_RANGE" });
  });

  it("of comparison", async () => {
    await expect(compareFiles({ generated: data })).rejects.toMatchObject({
      code: "ARGUMENT_TYPE",
      place: { argument: "real" },
    });
    await expect(
      compareFiles({ generated: data, real: data, model: run, train: data }),
    ).rejects.toMatchObject({
      code: "ARGUMENT_CONFLICT",
    });
    await expect(compareFiles({ generated: data, real: data, where: "cell_type = 'x'" })).rejects.toThrow(
      /^COMPARE_TOO_FEW: .* 0 cells for which where cell_type = 'x' holds are too few/,
    );
  });
});
