import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ddsc } from "./program.js";

/** Real files, where the machine has them: the tests pass without. */
const SHARED = join(import.meta.dirname, "../../../shared/data");
const FILES = [
  "neurons10k.h5ad",
  "pbmc68k_reduced.h5ad",
  "pbmc68k_reduced.zarr.zip",
  "tahoe_format",
  "tahoe_format/train-00000-of-00002.parquet",
  "tahoe_format/data-00000-of-00001.arrow",
  "tenx_format/1.2.0/filtered_gene_bc_matrices",
  "tenx_format/1.2.0/filtered_gene_bc_matrices/hg19_chr21",
  "tenx_format/1.2.0/filtered_gene_bc_matrices_h5.h5",
  "tenx_format/1.2.0/multiple_genomes.h5",
  "tenx_format/3.0.0/filtered_feature_bc_matrix",
  "tenx_format/3.0.0/filtered_feature_bc_matrix.h5",
  "tenx_format/int-ids",
].filter((file) => existsSync(join(SHARED, file)));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-shared-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** The command that trains on any file. */
async function train(data: string) {
  const out = join(folder, data.replace(/\W+/g, "-"));
  const size = "--preset nano --steps 20 --batch 8 --max-length 64 --validation-cells 32".split(" ");
  const trained = await ddsc("train", "--data", data, ...size, "--out", out, "--json");
  expect(trained.stderr).not.toContain("ddsc: ");
  expect(trained.code).toBe(0);
  const losses = readFileSync(join(out, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n")
    .flatMap((line) => (JSON.parse(line) as { loss?: number }).loss ?? []);
  expect(losses).toHaveLength(20);
  for (const loss of losses) expect(loss).toBeGreaterThanOrEqual(0);
  return { ...trained, validation: (trained.json() as { validation?: { nll: number } }).validation };
}

describe("the same command but for the name of the data", () => {
  it.each(FILES)("trains on %s for 20 steps", async (file) => {
    const { validation, stderr } = await train(join(SHARED, file));
    // One of its five cells expresses anything.
    if (file.endsWith("int-ids")) expect(stderr).toContain("goes on without validation");
    else expect(validation?.nll).toBeGreaterThan(0);
  });

  it("trains on a table of which one cell expresses genes, and says that it is not validated", async () => {
    const file = join(folder, "cells.csv");
    await writeFile(file, "cell,Sox2,Pax6,Gapdh\na,0,0,0\nb,3,1,9\nc,0,0,0\n");
    const { validation, stderr } = await train(file);
    expect(validation).toBeUndefined();
    expect(stderr).toContain(
      "no held-out cell expresses enough genes: the training goes on without validation",
    );
  });
});
