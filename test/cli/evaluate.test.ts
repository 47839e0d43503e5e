import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ddsc, writeStudy } from "./program.js";

let folder: string;
let data: string;
let run: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-evaluate-"));
  data = join(folder, "cells.h5ad");
  run = join(folder, "run");
  await writeStudy(data, { cells: 120 });
  const words = ["--data", data, "--steps", "3", "--batch", "16", "--validation", "0.3"];
  const { code, stderr } = await ddsc("train", ...words, "--condition", "cell_type", "--out", run);
  if (code !== 0) throw new Error(stderr);
});
afterAll(() => rm(folder, { recursive: true }));

const nats = { nats: expect.any(Number), low: expect.any(Number), high: expect.any(Number) };
const hiddenNats = { all: nats, expressed: nats };
const likelihood = { "0.2": hiddenNats, "0.5": hiddenNats, "0.8": hiddenNats };

describe("ddsc evaluate", () => {
  it("scores a model of counts on the run's held-out cells beside the baselines", async () => {
    const { code, stdout, stderr, json } = await ddsc("evaluate", "--model", run, "--json");
    expect(stderr).toBe("");
    expect(code).toBe(0);
    const result = json() as unknown as {
      cells: number;
      likelihood: Record<string, { all: { nats: number; low: number; high: number } }>;
      verdict: { sentence: string };
    };
    expect(result).toMatchObject({
      model: run,
      data,
      genes: 24,
      hiddenRatios: [0.2, 0.5, 0.8],
      likelihood,
      mcv: { poisson: expect.anything(), mse: expect.anything() },
      hidden: { mse: expect.anything(), pearson: expect.anything(), spearman: expect.anything() },
      calibration: expect.anything(),
      withoutConditions: { likelihood },
      baselines: {
        geneMarginal: { likelihood },
        negativeBinomial: { likelihood, difference: { likelihood: expect.anything() } },
        knn: { likelihood, mcv: expect.anything() },
        svd: { likelihood },
        ridge: { likelihood },
        none: { mcv: expect.anything() },
        geneMean: { mcv: expect.anything() },
      },
      verdict: {
        best: expect.any(String),
        difference: expect.any(Number),
        low: expect.any(Number),
        high: expect.any(Number),
        beaten: expect.any(Boolean),
        sentence: expect.any(String),
      },
    });
    expect(result).not.toHaveProperty("openProblems");
    expect(result).not.toHaveProperty("groups");
    expect(result.cells).toBeGreaterThan(20);
    expect(result.cells).toBeLessThan(60);
    for (const { all } of Object.values(result.likelihood)) {
      expect(all.low).toBeLessThan(all.nats);
      expect(all.high).toBeGreaterThan(all.nats);
    }
    expect(stdout).toMatch(/cells\.h5ad: \d+ held-out cells; baselines from \d+ training cells\n/);
    expect(stdout).toContain(result.verdict.sentence);
    const again = await ddsc("evaluate", "--model", run, "--data", data, "--json");
    expect(again.json()).toEqual(json());
  });

  it("scores groups by a column, with the type mean beside them", async () => {
    const words = ["--by", "cell_type", "--ratios", "0.5", "--thin", "0"];
    const { code, stdout, json } = await ddsc("evaluate", "--model", run, ...words, "--json");
    expect(code).toBe(0);
    const { groups, cells, baselines } = json() as unknown as {
      groups: Record<string, { cells: number; few: boolean; likelihood: object }>;
      cells: number;
      baselines: object;
    };
    expect(Object.keys(groups).every((name) => name.startsWith("type-"))).toBe(true);
    expect(Object.values(groups).reduce((sum, group) => sum + group.cells, 0)).toBe(cells);
    for (const group of Object.values(groups)) {
      expect(group.few).toBe(group.cells < 20);
      expect(group.likelihood).toMatchObject({ "0.5": { all: nats } });
    }
    expect(baselines).toHaveProperty("typeMean");
    expect(stdout).toContain("type-0");
    const unknown = await ddsc("evaluate", "--model", run, "--by", "cel_type");
    expect(unknown.stderr).toMatch(/^ddsc: DATA_MISSING_COLUMN: /);
  });

  it("leaves out molecular cross-validation with --thin 0, and adds Open Problems' numbers where asked", async () => {
    const plain = await ddsc("evaluate", "--model", run, "--ratios", "0.5", "--thin", "0", "--json");
    expect(plain.code).toBe(0);
    expect(plain.json()).not.toHaveProperty("mcv");
    expect(plain.json()).toMatchObject({ hiddenRatios: [0.5], verdict: { sentence: expect.any(String) } });
    const open = await ddsc("evaluate", "--model", run, "--ratios", "0.5", "--open-problems", "--json");
    expect(open.code).toBe(0);
    expect(open.json()).toMatchObject({
      mcv: expect.anything(),
      openProblems: expect.anything(),
      baselines: { none: { openProblems: expect.anything() } },
    });
  });

  it("takes so many cells at most", async () => {
    const words = ["--held-out-cells", "9", "--training-cells", "30", "--ratios", "0.5", "--thin", "0"];
    const { json, stdout } = await ddsc("evaluate", "--model", run, ...words, "--json");
    expect(json()).toMatchObject({ cells: 9 });
    expect(stdout).toContain("9 held-out cells; baselines from 30 training cells");
  });

  it("takes all cells of other data, and refuses a type that the model has not learnt", async () => {
    const other = join(folder, "other.h5ad");
    await writeStudy(other, { cells: 10, types: 2 });
    const words = ["evaluate", "--model", run, "--ratios", "0.5", "--thin", "0", "--json"];
    const { code, json, stderr } = await ddsc(...words, "--data", other);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect(json()).toMatchObject({ cells: 10, data: other });
    const more = join(folder, "more.h5ad");
    await writeStudy(more, { cells: 40, types: 12 });
    const refused = await ddsc(...words, "--data", more);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /^ddsc: CONDITION_LABEL_UNKNOWN: .*more\.h5ad: row \d+: the model has not learnt cell_type "type-\d+".*; it knows type-0, /,
    );
  });

  it("says which condition left no cell to score", async () => {
    const refused = async (where: string) => {
      const { code, stderr } = await ddsc("evaluate", "--model", run, "--where", where);
      expect(code).toBe(1);
      return stderr;
    };
    expect(await refused("cell_type = 'type-99'")).toContain(
      `EVALUATION_EMPTY: ${data}: --where cell_type = 'type-99' holds for no cell;`,
    );
  });

  it("says that a run without held-out cells needs others, and a model without its data, too", async () => {
    const out = join(folder, "whole");
    await ddsc("train", "--data", data, "--steps", "1", "--batch", "8", "--validation", "0", "--out", out);
    const { code, stderr } = await ddsc("evaluate", "--model", out);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^ddsc: EVALUATION_EMPTY: .*--validation 0, so it held out no cells;/);
  });
});

describe("ddsc profile", () => {
  it("profiles a training step and a run of the network of a model of counts", async () => {
    const size = [
      "--preset",
      "nano",
      "--batch",
      "2",
      "--length",
      "12",
      "--gene-count",
      "30",
      "--repeats",
      "1",
    ];
    const words = ["profile", "--values", "counts", ...size, "--device", "cpu", "--json"];
    for (const [more, work] of [
      [["--forward"], "forward"],
      [[], "train"],
      [["--forward", "--data", data], "forward"],
    ] as const) {
      const { code, stderr, json } = await ddsc(...words, ...more);
      expect(stderr).toBe("");
      expect(code).toBe(0);
      expect(json()).toMatchObject({ work, cells: 2 });
    }
  });
});
