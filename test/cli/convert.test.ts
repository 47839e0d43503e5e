import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCells } from "../../lib/data/open/open_cells.js";
import { countsIn, ddsc, ended, start, writeStudy } from "./program.js";

let folder: string;
let data: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-cli-"));
  data = join(folder, "cells.h5ad");
  await writeStudy(data);
});
afterAll(() => rm(folder, { recursive: true }));

describe("ddsc convert", () => {
  it("says what of a file it does not write", async () => {
    const layered = fileURLToPath(new URL("../fixtures/h5ad/csr.h5ad", import.meta.url));
    const out = join(folder, "plain.h5ad");
    const { code, stderr } = await ddsc("convert", layered, "--layer", "counts", "--out", out);
    expect(code).toBe(0);
    expect(stderr).toContain("not in the output: X, raw, uns (study)");
    expect((await ddsc("convert", out, "--out", join(folder, "again.h5ad"))).stderr).not.toContain(
      "not in the output",
    );
  });

  it("writes chosen cells as Parquet files, which are inspected and trained on like any", async () => {
    const shards = join(folder, "shards");
    const converted = await ddsc("convert", data, "--out", shards, "--cells-per-file", "20", "--json");
    expect(converted.json()).toMatchObject({ out: shards, cells: 60, files: 3 });
    const inspected = await ddsc("inspect", shards, "--json");
    expect(inspected.json()).toMatchObject({ cells: 60, genes: 24 });
    const trained = await ddsc(
      "train",
      "--data",
      shards,
      "--batch",
      "8",
      "--steps",
      "2",
      "--out",
      join(folder, "sharded"),
    );
    expect(trained.code).toBe(0);
    const again = await ddsc("convert", data, "--out", shards);
    expect(again.stderr).toMatch(/^ddsc: FILE_EXISTS: .*is not empty/);
  });

  it("leaves nothing behind when its terminal is closed, and clears away what a kill left", async () => {
    const place = await mkdtemp(join(folder, "ended-"));
    const out = join(place, "many.h5ad");
    const words = ["convert", "--simulate", "60000", "--simulated-genes", "2000", "--out", out];
    const stoppedBy = async (signal: NodeJS.Signals): Promise<number | null> => {
      const child = start(words);
      const end = ended(child);
      while ((await readdir(place)).length === 0 && child.exitCode === null) await setTimeout(50);
      child.kill(signal);
      return (await end).code;
    };
    expect(await stoppedBy("SIGHUP")).toBe(129);
    expect(await readdir(place)).toEqual([]);
    expect(await stoppedBy("SIGKILL")).toBe(null);
    expect(await readdir(place)).toEqual([expect.stringMatching(/^\.many\.h5ad\..*\.tmp$/)]);
    expect((await ddsc("convert", data, "--out", out)).code).toBe(0);
    expect(await readdir(place)).toEqual(["many.h5ad"]);
  });

  it("simulates cells, and goes back to .h5ad", async () => {
    const simulated = join(folder, "simulated");
    await ddsc(
      "convert",
      "--simulate",
      "50",
      "--simulated-genes",
      "20",
      "--simulated-depth",
      "500",
      "--out",
      simulated,
    );
    const back = join(folder, "simulated.h5ad");
    const condition = ["--where", "cell_type = 'type-0'"];
    const { code } = await ddsc("convert", simulated, "--out", back, ...condition);
    expect(code).toBe(0);
    using source = await openCells(back);
    expect(source.genes).toHaveLength(20);
    const { counts } = await source.read(Int32Array.from({ length: source.cellCount }, (_, row) => row));
    const mean = counts.reduce((sum, count) => sum + count, 0) / source.cellCount;
    expect(mean).toBeGreaterThan(300);
    expect(mean).toBeLessThan(1000);
    expect(new Set((await source.metadata()).getChild("cell_type"))).toEqual(new Set(["type-0"]));
  });

  it("writes a zarr store, which is read like any, and replaced with --overwrite alone", async () => {
    const out = join(folder, "cells.zarr");
    const { code, json } = await ddsc("convert", data, "--out", out, "--json");
    expect(code).toBe(0);
    expect(json()).toMatchObject({ out, cells: 60, genes: 24, files: 1 });
    expect(await countsIn(out)).toEqual(await countsIn(data));
    expect((await ddsc("convert", data, "--out", out)).stderr).toMatch(/^ddsc: FILE_EXISTS/);
    const where = ["--where", "cell_type = 'type-0'", "--overwrite"];
    const again = await ddsc("convert", data, "--out", `${out}/`, ...where);
    expect(again.stdout).toMatch(/cells x 24 genes in a zarr store/);
    using source = await openCells(out);
    expect(source.cellCount).toBeLessThan(60);
    const itself = await ddsc("convert", out, "--out", out, "--overwrite");
    expect(itself.stderr).toMatch(/^ddsc: ARGUMENT_CONFLICT/);
  });

  it("needs cells from one place", async () => {
    const none = await ddsc("convert", "--out", join(folder, "none"));
    expect(none.stderr).toMatch(/^ddsc: USAGE: convert needs a file of cells, or --simulate/);
    const two = await ddsc("convert", data, "--simulate", "5", "--out", join(folder, "none"));
    expect(two.stderr).toMatch(/^ddsc: USAGE: a file and --simulate exclude each other/);
  });
});
