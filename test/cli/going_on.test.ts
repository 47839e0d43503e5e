import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeH5ad } from "../../lib/data/anndata/h5ad_write.js";
import { numbers, type RelatedOptions, relatedSource } from "../model/related_cells.js";
import { ddsc } from "./program.js";

let folder: string;
let data: { readonly a: string; readonly b: string };
let run: string;

async function write(name: string, options: RelatedOptions): Promise<string> {
  const file = join(folder, `${name}.h5ad`);
  using source = relatedSource(options);
  const {
    offsets,
    columns,
    counts: values,
  } = await source.read(Int32Array.from(numbers(0, source.cellCount)));
  await writeH5ad(file, {
    obs: source.obs,
    var: source.var,
    X: { kind: "csr", offsets, columns, values },
  });
  return file;
}

/** Trains a little; the run is in the folder `name`. */
function train(file: string, name: string, ...words: readonly string[]) {
  const few = ["--batch", "16", "--max-length", "64"];
  return ddsc("train", "--data", file, ...few, ...words, "--out", join(folder, name));
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-on-"));
  data = {
    a: await write("a", { rows: numbers(0, 240), columns: numbers(0, 40) }),
    b: await write("b", {
      rows: numbers(240, 480),
      columns: numbers(8, 48).reverse(),
      more: { donor: (row) => `d${row % 3}` },
    }),
  };
  run = join(folder, "run");
  const first = await train(data.a, "run", "--condition", "depth:log", "--steps", "60");
  expect(first.stderr).not.toContain("ddsc: ");
  expect(first.code).toBe(0);
}, 120_000);
afterAll(() => rm(folder, { recursive: true }));

describe("ddsc train --weights, of a run on other genes and conditions", () => {
  it("says in a line what is known and what is new, and goes on to a model of the new data", async () => {
    const conditions = ["--condition", "donor,depth:log"];
    const { code, stdout, stderr } = await train(
      data.b,
      "on",
      ...conditions,
      "--weights",
      run,
      "--steps",
      "30",
    );
    expect(stderr).not.toContain("ddsc: ");
    expect(code).toBe(0);
    expect(stdout).toContain(
      `from   ${run}: 32 genes known; 8 new; 8 left out; new conditions: donor\ndata   ${data.b}: `,
    );
    const scored = await ddsc("evaluate", "--model", join(folder, "on"), "--json");
    expect(scored.code).toBe(0);
    expect(scored.json()).toMatchObject({ genes: 40 });
  }, 60_000);

  it("goes on from that run in turn, with labels that it does not know", async () => {
    const c = await write("c", {
      rows: numbers(480, 700),
      columns: numbers(4, 30),
      more: { donor: (row) => `d${2 + (row % 2)}` },
    });
    const { code, stdout } = await train(
      c,
      "on again",
      "--condition",
      "donor",
      "--weights",
      join(folder, "on"),
      "--steps",
      "3",
    );
    expect(code).toBe(0);
    expect(stdout).toContain(
      "22 genes known; 4 new; 18 left out; 1 new of condition donor (d3); left out conditions: depth\n",
    );
  }, 60_000);

  it("refuses a model of the other kind, and leaves no run behind", async () => {
    const refused = await train(data.b, "never", "--values", "ranks", "--weights", run, "--steps", "1");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /^ddsc: CHECKPOINT_TENSORS: .*: it has the weights of a model of counts and this model is of ranks; .*leave --values ranks out/,
    );
    expect(refused.stderr.trimEnd()).not.toContain("\n");
    const ranks = await train(data.a, "ranks", "--values", "ranks", "--steps", "1");
    expect(ranks.code).toBe(0);
    const reverse = await train(data.b, "never", "--weights", join(folder, "ranks"), "--steps", "1");
    expect(reverse.code).toBe(1);
    expect(reverse.stderr).toMatch(/of a model of ranks and this model is of counts; .*\(--values ranks\)/);
  }, 60_000);
});

describe("ddsc evaluate, of a model on data with other genes", () => {
  it("scores the genes that both have, and takes the others for unmeasured", async () => {
    const { code, json, stderr } = await ddsc("evaluate", "--model", run, "--data", data.b, "--json");
    expect(stderr).not.toContain("ddsc: ");
    expect(code).toBe(0);
    const result = json() as unknown as {
      genes: number;
      likelihood: Record<string, { all: { nats: number } }>;
    };
    expect(result.genes).toBe(32);
    expect(result.likelihood["0.5"]!.all.nats).toBeGreaterThan(0);
  }, 60_000);
});
