import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeH5ad } from "../../lib/data/anndata/h5ad_write.js";
import type { Column } from "../../lib/data/sources/frame.js";
import { ddsc, type Ended, writeStudy } from "./program.js";

let folder: string;
let data: string;
let run: string;
let trained: Ended;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-train-"));
  data = join(folder, "cells.h5ad");
  run = join(folder, "run");
  await writeStudy(data, { cells: 80 });
  const words = ["--data", data, "--steps", "4", "--batch", "8", "--condition", "cell_type,library_size:log"];
  trained = await ddsc("train", ...words, "--out", run, "--json");
});
afterAll(() => rm(folder, { recursive: true }));

const few = ["--steps", "1", "--batch", "8"] as const;

/** Writes 12 cells of some genes, with counts and a column `kind` of their own. */
async function write(
  name: string,
  genes: number,
  countOf: (cell: number, gene: number) => number,
  kinds = (cell: number) => `k${cell % 2}`,
): Promise<string> {
  const file = join(folder, name);
  const cells = 12;
  const values = Array.from({ length: cells }, (_, cell) => kinds(cell));
  const columns = new Map<string, Column>([["kind", { kind: "strings", values }]]);
  await writeH5ad(file, {
    obs: { index: values.map((_, cell) => `cell-${cell}`), indexName: "_index", columns },
    var: {
      index: Array.from({ length: genes }, (_, gene) => `GENE${gene}`),
      indexName: "_index",
      columns: new Map(),
    },
    X: {
      kind: "csr",
      offsets: Int32Array.from({ length: cells + 1 }, (_, cell) => cell * genes),
      columns: Int32Array.from({ length: cells * genes }, (_, i) => i % genes),
      values: Float32Array.from({ length: cells * genes }, (_, i) =>
        countOf(Math.floor(i / genes), i % genes),
      ),
    },
  });
  return file;
}

/** One line on stderr, and no run. */
async function expectRefused(name: string, words: readonly string[], line: RegExp, code = 1): Promise<void> {
  const out = join(folder, name);
  const refused = await ddsc("train", ...few, "--out", out, "--quiet", ...words);
  expect(refused.stderr).toMatch(line);
  expect(refused.stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(refused.code).toBe(code);
  await expect(readdir(out)).rejects.toThrow(/ENOENT/);
}

describe("ddsc train", () => {
  it("makes a model of counts where nothing else is asked for, and says how it went in nats a gene", async () => {
    expect(trained.stderr).toContain("step 4/4");
    expect(trained.code).toBe(0);
    expect(trained.stdout).toMatch(
      /\nvalidation {2}\d+\.\d{4} nats a gene, over all shares of hidden genes\n/,
    );
    expect(trained.stdout).toMatch(/\nbest {8}\d+\.\d{4} nats a gene, at step \d\n/);
    expect(trained.json()).toMatchObject({
      out: run,
      end: "steps",
      step: 4,
      validation: { nll: expect.any(Number), cells: expect.any(Number) },
      best: { step: expect.any(Number), nll: expect.any(Number) },
    });
    const best = await readdir(join(run, "best"));
    expect(best).toEqual(
      expect.arrayContaining(["base.json", "summary.json", "config.json", "model.safetensors"]),
    );
  });

  it("remembers the conditions, and inspect names them", async () => {
    const config = JSON.parse(await readFile(join(run, "last", "config.json"), "utf8"));
    expect(config.conditions).toEqual([
      { kind: "labels", name: "cell_type", labels: expect.arrayContaining(["type-0", "type-1"]) },
      {
        kind: "number",
        name: "library_size",
        scale: "log",
        mean: expect.any(Number),
        deviation: expect.any(Number),
      },
    ]);
    const { code, stdout, json } = await ddsc("inspect", run, "--json");
    expect(code).toBe(0);
    expect(stdout).toMatch(/\ntokens {6}177 values of counts, at most \d+ tokens of evidence a cell\n/);
    expect(stdout).toMatch(
      /\nconditions {2}cell_type \(6 labels: type-0, type-1, .*, \.\.\.\); library_size \(a number, as log\(1 \+ value\)\)\n/,
    );
    expect(stdout).toMatch(/\nstep {8}\d of 4; best \d+\.\d{4} nats a gene at step \d\n/);
    expect(stdout).not.toContain("rank");
    expect(json()).toMatchObject({ conditions: [{ name: "cell_type" }, { name: "library_size" }] });
  });

  it("goes on with --resume, to the weights of a run that was never stopped", async () => {
    const [whole, parts] = [join(folder, "whole"), join(folder, "parts")];
    const words = ["--data", data, "--batch", "8", "--learning-rate-schedule", "constant"];
    expect((await ddsc("train", ...words, "--steps", "4", "--out", whole)).code).toBe(0);
    expect((await ddsc("train", ...words, "--steps", "2", "--out", parts)).code).toBe(0);
    const resumed = await ddsc("train", "--resume", "--steps", "4", "--out", parts, "--json");
    expect(resumed.json()).toMatchObject({ end: "steps", step: 4 });
    const weights = (path: string) => readFile(join(path, "last", "model.safetensors"));
    expect((await weights(parts)).equals(await weights(whole))).toBe(true);
  });

  it("notes a label that one cell has", async () => {
    const file = await write(
      "rare.h5ad",
      4,
      (cell, gene) => (cell + gene) % 3,
      (cell) => (cell === 5 ? "odd" : "even"),
    );
    const words = ["--data", file, ...few, "--condition", "kind", "--out", join(folder, "rare")];
    const { code, stderr } = await ddsc("train", ...words);
    expect(code).toBe(0);
    expect(stderr).toContain('condition kind: "odd" has one cell: nothing can be learnt about it');
  });

  it("takes fractional counts rounded, where they are allowed", async () => {
    const file = await write("rounded.h5ad", 4, (cell, gene) => 1.5 * ((cell + gene) % 3));
    const words = ["--data", file, ...few, "--allow-fractional", "--out", join(folder, "rounded")];
    const { code, stderr } = await ddsc("train", ...words, "--validation", "0.4");
    expect(stderr).not.toContain("DATA_FRACTIONAL_COUNT");
    expect(code).toBe(0);
    const evaluated = await ddsc("evaluate", "--model", join(folder, "rounded"), "--thin", "0", "--json");
    expect(evaluated.stderr).not.toContain("DATA_FRACTIONAL_COUNT");
    expect(evaluated.code).toBe(0);
  });
});

describe("ddsc train says in one line and leaves no run", () => {
  it.each([
    [
      "cel_type",
      /^ddsc: DATA_MISSING_COLUMN: .*no metadata column "cel_type" \(did you mean "cell_type"\?\)/,
    ],
    [
      "cell_type,cell_type",
      /^ddsc: CONDITION_SPECIFICATION: the condition cell_type is given twice; give it once\n$/,
    ],
    [
      "cell_type:log",
      /^ddsc: CONDITION_SPECIFICATION: condition cell_type:log: the column holds .*, no numbers/,
    ],
  ])("that the condition %s cannot be", async (condition, line) => {
    await expectRefused("condition", ["--data", data, "--condition", condition], line);
  });

  it("which count is negative", async () => {
    const file = await write("negative.h5ad", 4, (cell, gene) => (cell === 7 && gene === 2 ? -3 : 1 + gene));
    const line = /^ddsc: DATA_NEGATIVE_COUNT: .*negative\.h5ad.*cell "cell-7" \(row 7\), gene "GENE2": -3/;
    await expectRefused("negative", ["--data", file], line);
  });

  it("which count is no whole number", async () => {
    const file = await write("fractional.h5ad", 4, (_, gene) => 0.5 + gene);
    const line =
      /^ddsc: DATA_FRACTIONAL_COUNT: .*fractional\.h5ad: .*row 0.*gene "GENE0": 0\.5000.*--allow-fractional to round them/;
    await expectRefused("fractional", ["--data", file], line);
  });

  it("that there are no counts, or one gene", async () => {
    const none = await write("none.h5ad", 4, () => 0);
    await expectRefused("none", ["--data", none], /^ddsc: DATA_NO_C(OUNTS|ELLS): /);
    const one = await write("one.h5ad", 1, (cell) => 1 + cell);
    await expectRefused("one", ["--data", one], /^ddsc: DATA_TOO_FEW: .*holds 12 cells and 1 gene/);
  });

  it.each([
    [["--objective", "d3pm"], "the d3pm objective"],
    [["--objective", "sedd"], "the sedd objective"],
    [["--mean-matching", "1"], "mean matching"],
  ])("that %j belongs to ranks", async (words, name) => {
    const line = new RegExp(`^ddsc: DIFFUSION_CONFIG: ${name} belongs to models of ranks: .*--values ranks`);
    await expectRefused("ranks", ["--data", data, ...words], line);
  });

  it("that there are fewer parts than lanes", async () => {
    const line = /^ddsc: ARGUMENT_RANGE: expected at most 1 for --lanes but received 4/;
    await expectRefused("lanes", ["--data", data, "--lanes", "4"], line, 2);
  });

  it.each([
    [["--values", "ranks", "--condition", "cell_type"], "--condition is for models of counts"],
    [["--values", "ranks", "--zeros", "8"], "--zeros is for models of counts"],
    [["--values", "ranks", "--expressed", "8"], "--expressed is for models of counts"],
    [["--diffusion-steps", "9"], "--diffusion-steps is for --objective d3pm"],
    [["--values", "ranks", "--diffusion-steps", "9"], "--diffusion-steps is for --objective d3pm"],
    [["--time-conditioning"], "--time-conditioning is for models of ranks (--values ranks)"],
  ])("that %j does not go together", async (words, text) => {
    const line = new RegExp(`^ddsc: USAGE: ${text.replace(/[()]/g, "\\$&")}`);
    await expectRefused("mixed", ["--data", data, ...words], line, 2);
  });
});
