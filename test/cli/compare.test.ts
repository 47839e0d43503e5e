import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeH5ad } from "../../lib/data/anndata/h5ad_write.js";
import { framesOf } from "../../lib/data/sources/frames.js";
import { SimulatedSource } from "../../lib/data/sources/simulated_source.js";
import { subsetSource } from "../../lib/data/sources/subset.js";
import { ddsc, writeStudy } from "./program.js";

let folder: string;
let real: string;
let generated: string;
let run: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-compare-"));
  [real, generated, run] = [join(folder, "real.h5ad"), join(folder, "generated.h5ad"), join(folder, "run")];
  await writeStudy(real, { cells: 120, types: 2 });
  await writeLater(generated, 60);
  const size = ["--steps", "1", "--batch", "16", "--validation", "0.3"];
  const { code, stderr } = await ddsc("train", "--data", real, ...size, "--out", run);
  if (code !== 0) throw new Error(stderr);
});
afterAll(() => rm(folder, { recursive: true }));

/** Cells of the same study that `real` has not; the last `missing` genes are left out, and their types where asked. */
async function writeLater(path: string, cells: number, { missing = 0, untyped = false } = {}): Promise<void> {
  using source = new SimulatedSource({ cells: 120 + cells, genes: 24, types: 2, seed: 1 });
  const rows = Int32Array.from({ length: cells }, (_, i) => 120 + i);
  using own = subsetSource(source, rows);
  const { obs, var: genes } = await framesOf(own);
  const block = await own.read(Int32Array.from(rows.keys()));
  const kept = 24 - missing;
  const offsets = [0];
  const places: number[] = [];
  for (let cell = 0; cell < cells; cell++) {
    for (let i = block.offsets[cell]!; i < block.offsets[cell + 1]!; i++)
      if (block.columns[i]! < kept) places.push(i);
    offsets.push(places.length);
  }
  await writeH5ad(path, {
    obs: untyped ? { ...obs, columns: new Map() } : obs,
    var: { ...genes, index: genes.index.slice(0, kept), columns: new Map() },
    X: {
      kind: "csr",
      offsets: Int32Array.from(offsets),
      columns: Int32Array.from(places, (i) => block.columns[i]!),
      values: Float32Array.from(places, (i) => block.counts[i]!),
    },
  });
}

const scores = {
  auc: {
    value: expect.any(Number),
    low: expect.any(Number),
    high: expect.any(Number),
    logistic: expect.any(Number),
    forest: expect.any(Number),
  },
  zeroFraction: { real: expect.any(Number), generated: expect.any(Number) },
  totals: { real: { median: expect.any(Number) }, generated: { median: expect.any(Number) } },
  meanVariance: { mean: { pearson: expect.any(Number) }, variance: { rms: expect.any(Number) } },
  correlationStructure: expect.any(Number),
  energyDistance: expect.any(Number),
  memorisation: { generated: expect.any(Number), heldOut: expect.any(Number), ratio: expect.any(Number) },
};
const bounds = { ceiling: scores, floors: { negativeBinomial: scores, shuffled: scores } };

describe("ddsc compare", () => {
  it("divides real cells in two halves where nothing says what was trained on", async () => {
    const { code, stdout, stderr, json } = await ddsc("compare", real, generated, "--json");
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect(json()).toMatchObject({
      files: { real, generated, training: real },
      cells: 60,
      genes: 24,
      reference: "half",
      trainingCells: 60,
      ...scores,
      ...bounds,
    });
    expect(json()).not.toHaveProperty("groups");
    expect(stdout).toContain("real cells were divided at random: one half is compared");
    expect(stdout).toMatch(/^correlation structure +-?\d/m);
    expect(stdout).toMatch(/^generated cells (can be|are not) told from real ones/m);
  });

  it("compares with the cells that a run held out, be its data given or not", async () => {
    const { code, stderr, json } = await ddsc("compare", generated, "--model", run, "--json");
    expect(stderr).toBe("");
    expect(code).toBe(0);
    const result = json() as unknown as { cells: number; trainingCells: number };
    expect(result).toMatchObject({
      model: run,
      files: { real, generated, training: real },
      reference: "training",
    });
    expect(result.cells).toBeGreaterThanOrEqual(20);
    expect(result.cells).toBeLessThan(60);
    expect(result.cells + result.trainingCells).toBe(120);
    const given = await ddsc("compare", real, generated, "--model", run, "--json");
    expect(given.json()).toEqual(json());
  });

  it("tells generated cells that are the training cells, with --train", async () => {
    const words = ["compare", generated, real, "--train", real, "--cells", "30", "--training-cells", "120"];
    const { code, stdout, json } = await ddsc(...words, "--json");
    expect(code).toBe(0);
    expect(json()).toMatchObject({
      files: { real: generated, generated: real, training: real },
      cells: 30,
      trainingCells: 120,
      memorisation: { generated: 0, ratio: 0, copies: 1, heldOutCopies: 0 },
    });
    expect(stdout).toContain("as memorised cells would be");
  });

  it("compares each type with --by, and makes do without where generated cells have none", async () => {
    const { code, stdout, json } = await ddsc("compare", real, generated, "--by", "cell_type", "--json");
    expect(code).toBe(0);
    const { groups } = json() as unknown as { groups: Record<string, { cells: number; few: boolean }> };
    expect(Object.keys(groups).sort()).toEqual(["type-0", "type-1"]);
    for (const group of Object.values(groups)) expect(group).toMatchObject({ ...scores, ...bounds });
    expect(stdout).toMatch(/^cell_type +real +generated/m);
    const plain = join(folder, "plain.h5ad");
    await writeLater(plain, 30, { untyped: true });
    const without = await ddsc("compare", real, plain, "--by", "cell_type", "--json");
    expect(without.code).toBe(0);
    expect(without.stderr).toBe(
      `${plain}: has no column "cell_type", so groups are not compared by themselves\n`,
    );
    expect(without.json()).not.toHaveProperty("groups");
    const unknown = await ddsc("compare", real, generated, "--by", "cel_type");
    expect(unknown.stderr).toMatch(/\nddsc: DATA_MISSING_COLUMN: .*real\.h5ad/);
  });

  it("leaves out genes that only one file measures, and says so", async () => {
    const fewer = join(folder, "fewer.h5ad");
    await writeLater(fewer, 30, { missing: 4 });
    const { code, stderr, json } = await ddsc("compare", real, fewer, "--json");
    expect(code).toBe(0);
    expect(json()).toMatchObject({ cells: 30, genes: 20 });
    expect(stderr).toBe(
      `${real}: left out 4 of 24 genes that ${fewer} does not measure: GENE20, GENE21, GENE22, ...\n`,
    );
  });

  it("takes only real cells for which --where holds", async () => {
    const { json } = await ddsc("compare", real, generated, "--where", "cell_type = 'type-0'", "--json");
    const { cells, trainingCells } = json() as unknown as { cells: number; trainingCells: number };
    expect(cells + trainingCells).toBeLessThan(100);
    const none = await ddsc("compare", real, generated, "--where", "cell_type = 'type-9'");
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(
      /^ddsc: COMPARE_TOO_FEW: .*real\.h5ad: 0 cells for which --where cell_type = 'type-9' holds are too few/,
    );
  });

  it("refuses what it cannot compare, and says what to give", async () => {
    const refused = async (...words: string[]) => {
      const { code, stderr } = await ddsc("compare", ...words);
      return `${code} ${stderr}`;
    };
    expect(await refused(generated)).toMatch(/^2 ddsc: USAGE: compare needs real and generated cells/);
    expect(await refused("--model", run)).toMatch(/^2 ddsc: USAGE: compare needs real and generated cells/);
    expect(await refused(real, generated, "--model", run, "--train", real)).toMatch(
      /^2 ddsc: USAGE: --model and --train exclude each other/,
    );
    const other = join(folder, "other.h5ad");
    await writeStudy(other, { cells: 40, genes: 200 });
    expect(await refused(real, other)).toMatch(
      /^1 ddsc: COMPARE_NO_GENES: .*other\.h5ad: none of its 200 genes/,
    );
    expect(await refused(real, generated, "--cells", "5")).toMatch(
      /^2 ddsc: USAGE: expected a whole number >= 20 and <= 20000 for --cells but received 5/,
    );
    const help = await ddsc("compare", "--help");
    expect(help.stdout).toContain("Usage: ddsc compare [options] [REAL] GENERATED");
  });
});
