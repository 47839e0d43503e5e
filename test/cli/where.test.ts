import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ddsc, writeStudy } from "./program.js";

let folder: string;
let data: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-cli-"));
  data = join(folder, "cells.h5ad");
  await writeStudy(data);
});
afterAll(() => rm(folder, { recursive: true }));

describe("conditions on cells", () => {
  it("choose what is trained on and what is held out, and are remembered", async () => {
    const out = join(folder, "chosen");
    const words = ["--where", "library_size > 0", "--holdout", "cell_type = 'type-3'", "--batch", "8"];
    const trained = await ddsc(
      "train",
      "--values",
      "ranks",
      "--data",
      data,
      ...words,
      "--steps",
      "2",
      "--out",
      out,
    );
    expect(trained.code).toBe(0);
    const { data: record } = JSON.parse(await readFile(join(out, "last", "training.json"), "utf8"));
    expect(record.where).toBe("library_size > 0");
    const inspected = await ddsc("inspect", out);
    expect(inspected.stdout).toContain("60 cells, 24 genes, those where library_size > 0\n");
    expect(inspected.stdout).toContain("held out    cells where cell_type = 'type-3'\n");
    expect(record.heldOut).toEqual({ kind: "where", where: "cell_type = 'type-3'" });
    const evaluated = await ddsc("evaluate", "--model", out, "--by", "cell_type", "--json");
    const { groups } = evaluated.json() as unknown as { groups: Record<string, unknown> };
    expect(Object.keys(groups)).toEqual(["type-3"]);
  });

  it("are refused with their place and exit code 2", async () => {
    const { code, stderr } = await ddsc("inspect", data, "--where", "cell_type = ");
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^ddsc: ARGUMENT_WHERE: expected a value but found the end, at character 13 of: .*\n$/,
    );
  });
});
