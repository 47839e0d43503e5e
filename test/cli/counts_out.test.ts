import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Hdf5File } from "../../lib/data/hdf5/file.js";
import { ZarrFile } from "../../lib/data/zarr/file.js";
import { countsIn, ddsc, trainRanks, writeStudy } from "./program.js";

const [CELLS, GENES] = [60, 24];
let folder: string;
let data: string;
let run: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-cli-"));
  data = join(folder, "cells.h5ad");
  run = join(folder, "run");
  await writeStudy(data);
  const words = ["--condition", "cell_type", "--steps", "3", "--batch", "8", "--out", run];
  expect((await ddsc("train", "--data", data, ...words)).code).toBe(0);
});
afterAll(() => rm(folder, { recursive: true }));

describe("ddsc impute with a model of counts", () => {
  it("keeps the counts and writes expected counts and chances beside them, all genes predicted", async () => {
    const out = join(folder, "filled.h5ad");
    const { code, json, stdout, stderr } = await ddsc(
      "impute",
      ...["--model", run, "--data", data, "--out", out, "--json"],
    );
    expect(code).toBe(0);
    expect(stderr).toBe("");
    expect(stdout).toContain("filled.h5ad: 60 cells, 24 genes predicted; layers denoised, p_expressed\n");
    expect(stdout).toContain("for looking at genes, not for testing differences\n");
    expect(json()).toEqual({
      ...{ out, cells: CELLS, genes: GENES, predictedGenes: GENES, unknownGenes: 0, emptyCells: 0 },
      kept: false,
      layers: ["denoised", "p_expressed"],
    });
    expect(await countsIn(out)).toEqual(await countsIn(data));
    const denoised = await countsIn(out, "denoised");
    expect(Math.min(...denoised.counts)).toBeGreaterThanOrEqual(Math.fround(0.01));
    expect(Math.max(...(await countsIn(out, "p_expressed")).counts)).toBeLessThanOrEqual(1);
  });

  it("predicts listed genes of chosen cells alone, and says what the others are", async () => {
    const out = join(folder, "some.zarr");
    const words = ["--genes", "GENE03,GENE11,Sox2", "--skip-unknown", "--where", "cell_type = 'type-0'"];
    const { code, stderr } = await ddsc(
      "impute",
      ...["--model", run, "--data", data, "--out", out, ...words, "--tell", "none"],
      ...["--layers", "low,high,replicate", "--seed", "9"],
    );
    expect(code).toBe(0);
    expect(stderr).toContain("left out 1 of 3 genes of --genes");
    expect(stderr).toContain(
      "22 of 24 genes were not predicted, 0 of them unknown to the model: var/ddsc_imputed is False, and 0 in layers says nothing of them\n",
    );
    using file = await ZarrFile.open(out);
    expect(await file.members("/layers")).toEqual(["high", "low", "replicate"]);
    const high = await countsIn(out, "high");
    expect([...new Set(high.columns)].sort((a, b) => a - b)).toEqual([3, 11]);
  });

  it("refuses options of models of ranks, and those of counts for a model of ranks", async () => {
    const ranks = await trainRanks(1);
    const words = ["--data", data, "--out", join(folder, "never.h5ad")];
    const cases = [
      [run, ["--sampler", "ancestral"], "--sampler is for models of ranks", "leave it out"],
      [run, ["--mask-fraction", "0.5"], "--mask-fraction is for models of ranks", "leave it out"],
      [run, ["--batch", "8"], "--batch is for models of ranks", "give --batch-tokens instead"],
      [ranks.run, ["--layers", "low"], "--layers is for models of counts", "leave it out"],
      [ranks.run, ["--replace-x"], "--replace-x is for models of counts", "leave it out"],
    ] as const;
    for (const [model, option, problem, remedy] of cases) {
      const { code, stderr } = await ddsc("impute", "--model", model, ...words, ...option);
      expect(code).toBe(2);
      expect(stderr).toContain(`ddsc: USAGE: ${problem}, and ${model} is of`);
      expect(stderr.trimEnd().endsWith(remedy)).toBe(true);
    }
    const { code, stderr } = await ddsc("impute", "--model", run, ...words, "--layers", "median");
    expect(code).toBe(2);
    expect(stderr).toContain(
      "expected one of denoised, p_expressed, low, high, replicate for --layers but received median",
    );
    const embedded = await ddsc("embed", "--model", ranks.run, ...words);
    expect(embedded.code).toBe(1);
    expect(embedded.stderr).toContain("ddsc: MODEL_CONFIG: this is for models of counts");
    await rm(ranks.folder, { recursive: true });
  });
});

describe("ddsc embed", () => {
  it("writes the same states whatever --batch-tokens, and likelihoods where asked for", async () => {
    const states: unknown[] = [];
    for (const [name, extra] of [
      ["one.h5ad", ["--nll"]],
      ["two.h5ad", ["--batch-tokens", "64"]],
    ] as const) {
      const out = join(folder, name);
      const { code, stdout } = await ddsc("embed", "--model", run, "--data", data, "--out", out, ...extra);
      expect(code).toBe(0);
      expect(stdout).toContain(`${name}: 60 cells, obsm/X_ddsc of width 32\n`);
      expect(stdout.includes("obs/ddsc_nll: ")).toBe(name === "one.h5ad");
      using file = await Hdf5File.open(out);
      states.push(await (await file.array("/obsm/X_ddsc")).numbers(0, CELLS));
      expect((await file.members("/obs")).includes("ddsc_nll")).toBe(name === "one.h5ad");
    }
    expect(states[0]).toEqual(states[1]);
  });

  it("shows in its help, as impute does, what to write in Python next", async () => {
    const embed = await ddsc("embed", "--help");
    expect(embed.stdout).toContain('sc.pp.neighbors(adata, use_rep="X_ddsc")');
    const impute = await ddsc("impute", "--help");
    expect(impute.stdout).toContain('adata = adata[:, adata.var["ddsc_imputed"]]');
  });
});
