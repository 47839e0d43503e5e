import { copyFile, mkdtemp, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeH5ad } from "../../lib/data/anndata/h5ad_write.js";
import { MemorySource } from "../../lib/data/sources/memory.js";
import { ddsc, writeStudy } from "./program.js";

/** What a newcomer gets wrong and would otherwise not hear of. */
let folder: string;
let data: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-first-"));
  data = join(folder, "cells.h5ad");
  await writeStudy(data);
});
afterAll(() => rm(folder, { recursive: true }));

/** Trains a little; the run is in the folder `name`. */
function train(file: string, name: string, ...words: readonly string[]) {
  return ddsc(
    "train",
    "--values",
    "ranks",
    "--data",
    file,
    "--steps",
    "2",
    "--batch",
    "8",
    "--out",
    join(folder, name),
    ...words,
  );
}

/** Writes a file of these cells and genes in which every count is 1. */
async function writeOnes(file: string, cells: readonly string[], genes: readonly string[]): Promise<void> {
  const entries = cells.length * genes.length;
  const cellData = {
    name: "ones",
    ids: cells,
    genes: genes.map((id) => ({ id, aliases: [] })),
    offsets: Int32Array.from({ length: cells.length + 1 }, (_, cell) => cell * genes.length),
    geneColumns: Int32Array.from({ length: entries }, (_, entry) => entry % genes.length),
    counts: new Float32Array(entries).fill(1),
    metadata: {},
    notes: [],
  };
  using source = new MemorySource(cellData);
  const { offsets, geneColumns: columns, counts: values } = cellData;
  await writeH5ad(file, {
    obs: source.obs,
    var: source.var,
    X: { kind: "csr", offsets, columns, values },
  });
}

const barcodes = ["AAACATACAACCAC-1", "AAACATTGAGCTAC-1", "AAACATTGATCAGC-1", "AAACCGTGCTTCCG-1"];

describe("genes by cells in an .h5ad file", () => {
  it.each([
    ["Ensembl identifiers and barcodes", [1, 2, 3, 4, 5].map((i) => `ENSG0000012345${i}`), barcodes],
    ["symbols and names of wells", ["MT-ND1", "RPL13", "RPS6", "SOX2", "PAX6"], ["A1", "A2", "A3"]],
  ])("are noted by inspect and refused by train: %s", async (_, genes, cells) => {
    const turned = join(folder, "turned.h5ad");
    await writeOnes(turned, genes, cells);
    const inspected = await ddsc("inspect", turned);
    expect(inspected.code).toBe(0);
    expect(inspected.stdout + inspected.stderr).toContain(
      "the matrix seems to lie the other way round; turn it, in Python: ",
    );
    const trained = await train(turned, "never");
    expect(trained.code).toBe(1);
    expect(trained.stderr).toMatch(
      /^ddsc: DATA_TRANSPOSED: .*turned\.h5ad: the names of cells look like genes/m,
    );
    // As they should lie, nothing is said.
    await writeOnes(turned, cells, genes);
    expect((await train(turned, "upright")).stderr).not.toContain("other way round");
    await rm(join(folder, "upright"), { recursive: true });
  });
});

describe("counts that are no whole numbers", () => {
  let log: string;
  let run: string;
  beforeAll(async () => {
    // X is log-normalised; the counts are in a layer.
    log = join(folder, "log.h5ad");
    await copyFile(join(import.meta.dirname, "../fixtures/h5ad/csr.h5ad"), log);
    run = join(folder, "allowed");
  });

  it("are refused in training, with the remedy, and taken where that is asked for", async () => {
    const refused = await train(log, "never");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /^ddsc: DATA_FRACTIONAL_COUNT: .*log\.h5ad: cell "c0" \(row 0\), gene "Xkr4": 0\.6931; .* Pass --layer counts\. Pass --allow-fractional to take them/m,
    );
    expect((await train(log, "layer", "--layer", "counts")).code).toBe(0);
    expect((await train(log, "allowed", "--allow-fractional")).code).toBe(0);
  });

  it("are refused where cells are filled in, or scored that the model was not trained on", async () => {
    const out = join(folder, "filled.h5ad");
    const impute = ["impute", "--model", run, "--data", log, "--out", out];
    expect((await ddsc(...impute)).stderr).toContain("ddsc: DATA_FRACTIONAL_COUNT: ");
    expect((await ddsc(...impute, "--allow-fractional")).code).toBe(0);
    const evaluate = ["evaluate", "--data", log, "--model"];
    expect((await ddsc(...evaluate, join(folder, "layer"))).stderr).toContain(
      "ddsc: DATA_FRACTIONAL_COUNT: ",
    );
    expect((await ddsc(...evaluate, run)).stderr).not.toContain("DATA_FRACTIONAL_COUNT");
  });

  it("are shown and converted, with a note", async () => {
    const inspected = await ddsc("inspect", log);
    expect([inspected.code, inspected.stdout]).toEqual([0, expect.stringContaining("(not whole numbers)")]);
    expect((await ddsc("convert", log, "--out", join(folder, "log2.h5ad"))).code).toBe(0);
  });
});

describe("data that nothing can be learnt from", () => {
  it.each([
    ["no cell", [], ["a", "b", "c"], "0 cells and 3 genes"],
    ["one cell", ["x"], ["a", "b", "c"], "1 cell and 3 genes"],
    ["one gene", ["x", "y", "z"], ["a"], "3 cells and 1 gene"],
  ])("are refused in training: %s", async (_, cells, genes, found) => {
    const file = join(folder, "few.h5ad");
    await writeOnes(file, cells, genes);
    const { code, stderr } = await train(file, "never");
    expect(code).toBe(1);
    expect(stderr).toContain(
      `few.h5ad: holds ${found}; training takes two of each at least: give other data`,
    );
    expect(stderr).not.toContain("split");
  });
});

describe("a training that comes to nothing", () => {
  it("ends with an error where it diverges, and leaves the last good checkpoint", async () => {
    const words = ["--learning-rate", "1", "--steps", "20", "--warmup", "0"];
    const { code, stderr } = await train(data, "diverged", ...words);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^ddsc: (TRAIN_DIVERGED|TRAIN_NOT_FINITE): step \d+: .*lower (--)?learning[- ]rate/m,
    );
    expect(await readlink(join(folder, "diverged/last"))).toBe("step-0");
    expect((await ddsc("evaluate", "--model", join(folder, "diverged"))).code).toBe(0);
  });

  it("is told of where it stays at each gene's own distribution of ranks, and of a batch above the number of cells", async () => {
    const { code, stderr } = await train(data, "short", "--batch", "100");
    expect(code).toBe(0);
    expect(stderr).toContain(
      "there are 60 cells and a batch may have 100: each step is on all training cells at once",
    );
    expect(stderr).toMatch(
      /has learnt nothing yet from the other genes of a cell: \d\.\d+ nats a masked token/,
    );
    // Fewer steps than cells need, with a rate that is high enough: nothing is said.
    const long = await train(data, "long", "--batch", "16", "--steps", "150", "--learning-rate", "3e-3");
    expect(long.stderr).not.toContain("learnt nothing");
  });
});
