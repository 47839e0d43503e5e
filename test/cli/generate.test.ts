import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCells } from "../../lib/data/open/open_cells.js";
import { countsIn, ddsc, trainRanks } from "./program.js";

let folder: string;
let data: string;
let run: string;

beforeAll(async () => {
  ({ folder, data, run } = await trainRanks());
});
afterAll(() => rm(folder, { recursive: true }));

describe("ddsc generate", () => {
  it("draws cells of the listed genes, the same for the same seed", async () => {
    const files = [join(folder, "one.h5ad"), join(folder, "two.h5ad")];
    for (const [i, out] of files.entries()) {
      // Another size of batch: cells do not depend on which others are drawn beside them.
      const words = [
        "generate",
        "--model",
        run,
        "--genes",
        "GENE05,GENE02",
        "--cells",
        "5",
        "--batch",
        String(i + 2),
      ];
      expect((await ddsc(...words, "--data", data, "--out", out)).code).toBe(0);
    }
    const [one, two] = [await countsIn(files[0]!), await countsIn(files[1]!)];
    expect(one.counts.length).toBe(10);
    expect(two.counts).toEqual(one.counts);
    using source = await openCells(files[0]!);
    expect(source.genes.map(({ id }) => id)).toEqual(["GENE05", "GENE02"]);
  });
});

describe("ddsc generate with a model of counts", () => {
  it("writes whole cells, asked for by condition or like a file's", async () => {
    const counts = join(folder, "counts");
    const size = ["--steps", "3", "--batch", "8", "--condition", "cell_type"];
    expect((await ddsc("train", "--data", data, ...size, "--out", counts)).code).toBe(0);
    const generate = (name: string, ...words: string[]) =>
      ddsc(
        "generate",
        "--model",
        counts,
        "--out",
        join(folder, name),
        "--sampling-steps",
        "3",
        ...words,
        "--json",
      );
    const plain = await generate("plain.h5ad", "--cells", "12");
    expect(plain).toMatchObject({ code: 0 });
    expect(plain.json()).toMatchObject({ cells: 12, genes: 24 });
    expect(plain.stdout).toMatch(/12 cells x 24 genes, [\d.]+% zeros, \d+ counts a cell/);
    const set = ["--set", "cell_type=type-1", "--depth", "80", "--guidance", "2", "--guidance-ramp"];
    const evidence = ["--evidence-guidance", "1.3"];
    expect(
      await generate("set.zarr", "--cells", "5", ...set, ...evidence, "--sampler", "remasking"),
    ).toMatchObject({
      code: 0,
    });
    using source = await openCells(join(folder, "set.zarr"));
    const table = await source.metadata({ rows: Int32Array.of(0, 4) });
    expect([...(table.getChild("cell_type") ?? [])].map(String)).toEqual(["type-1", "type-1"]);
    expect([...(table.getChild("depth") ?? [])].map(Number)).toEqual([80, 80]);
    expect((await generate("deep.h5ad", "--cells", "2", "--depth", "100000")).stderr).toMatch(
      /--depth 100,000 is far from the training cells' totals, \d[\d,]* to \d[\d,]*: /,
    );
    expect((await generate("like.h5ad", "--like", data)).json()).toMatchObject({ cells: 60 });
    for (const [words, message] of [
      [["--temperature", "0.5"], /USAGE: --temperature is for models of ranks/],
      [["--sampler", "analytic"], /USAGE: expected one of first-hitting, .* for --sampler .*"analytic"/],
      [["--set", "cell_type"], /USAGE: expected NAME=VALUE for --set/],
      [["--set", "cell_type=type-77"], /CONDITION_LABEL_UNKNOWN.*type-7/],
      [["--like", data, "--depth", "9"], /USAGE: .*--like and --depth exclude each other/],
      [["--eta", "0.5"], /USAGE: --eta is for --sampler remasking/],
    ] as const) {
      const { code, stderr } = await generate("refused.h5ad", ...words);
      expect([code === 0, stderr]).toEqual([false, expect.stringMatching(message)]);
    }
  });

  it("says what a model of ranks needs and cannot do", async () => {
    const refused = async (...words: string[]) =>
      (await ddsc("generate", "--model", run, "--out", join(folder, "none.h5ad"), ...words)).stderr;
    expect(await refused()).toMatch(/USAGE: generate needs --genes/);
    expect(await refused("--genes", "GENE05", "--like", data)).toMatch(
      /USAGE: --like is for models of counts/,
    );
    expect(await refused("--genes", "GENE05", "--sampler", "remasking")).toMatch(
      /USAGE: --sampler remasking/,
    );
  });
});
