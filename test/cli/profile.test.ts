import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ddsc, writeStudy } from "./program.js";

let folder: string;
let data: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-profile-"));
  data = join(folder, "cells.h5ad");
  await writeStudy(data);
});
afterAll(() => rm(folder, { recursive: true }));

const size = ["--preset", "nano", "--batch", "2", "--length", "16", "--gene-count", "50"];
const small = ["--values", "ranks", ...size, "--repeats", "1", "--device", "cpu"];

describe("ddsc profile", () => {
  it("prints a table of the ops of a training step, with the whole in its last line, and as JSON", async () => {
    const { code, stdout, json } = await ddsc("profile", ...small, "--json");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^training step {2}nano, fp32 on cpu .*, 2 cells, 32 tokens, longest 16\n/);
    expect(stdout).toMatch(/\nlimits {2}\d+ GFLOP\/s in fp32, \d+\.\d GB\/s/);
    expect(stdout).toMatch(
      /\nlinear, mlp in \+ gelu +4 +\d+\.\d\d +\d+\.\d% +\d+\.\d +\d+\.\d +\d+\.\d% \w+\n/,
    );
    expect(stdout).toMatch(/\nwhole +\d+\.\d\d +100\.0% +\d+\.\d\n/);
    expect(json()).toMatchObject({
      preset: "nano",
      work: "train",
      tokens: 32,
      limits: { fp32FlopsPerSecond: expect.any(Number) },
      ops: expect.arrayContaining([expect.objectContaining({ op: "adamw", calls: 1 })]),
    });
  });

  it("profiles a run of the network on cells of a file, at their own lengths", async () => {
    const words = [
      "profile",
      "--data",
      data,
      "--forward",
      ...small,
      "--batch",
      "5",
      "--length",
      "12",
      "--json",
    ];
    const { code, stdout, json } = await ddsc(...words);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^run of the network {2}nano/);
    const { cells, tokens, longest } = json() as Record<string, number>;
    expect(cells).toBe(5);
    expect(longest).toBeLessThanOrEqual(12);
    expect(tokens).toBeLessThanOrEqual(60);
  });
});
