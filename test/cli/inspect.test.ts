import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ddsc, trainRanks } from "./program.js";

let folder: string;
let data: string;
let run: string;

beforeAll(async () => {
  ({ folder, data, run } = await trainRanks());
});
afterAll(() => rm(folder, { recursive: true }));

describe("ddsc inspect, devices and demo", () => {
  it("shows what is in a file of counts", async () => {
    const { stdout, json } = await ddsc("inspect", data, "--json");
    expect(stdout).toContain("60 cells x 24 genes");
    expect(json()).toMatchObject({ cells: 60, genes: 24, emptyCells: 0 });
  });

  it("shows what is in the folder of a run", async () => {
    const { stdout, json } = await ddsc("inspect", run, "--json");
    expect(stdout).toContain("4 blocks, 128 wide, 2 heads");
    expect(json()).toMatchObject({ genes: 24, config: { hidden: 128 } });
  });

  it("shows genes' names and columns of a file, and the training of a run", async () => {
    const cells = await ddsc("inspect", data, "--json");
    const { geneNames } = cells.json() as unknown as { geneNames: string[] };
    expect(geneNames).toHaveLength(5);
    expect(cells.stdout).toContain(`\ngenes: ${geneNames.join(", ")}, ...\n`);
    expect(cells.stdout).toMatch(/\ncolumns of the table of genes \(--gene-column\)\n {2}\S+: \S+, \.\.\.\n/);
    const trainedRun = await ddsc("inspect", join(run, "last"), "--json");
    expect(trainedRun.stdout).toContain(`24 genes: ${geneNames.join(", ")}, ...`);
    expect(trainedRun.stdout).toMatch(/\nstep {8}3 of 3; best \d+\.\d{4} nats a token at step \d\n/);
    expect(trainedRun.stdout).toContain(`data        ${data}: 60 cells, 24 genes\n`);
    expect(trainedRun.json()).toMatchObject({
      geneNames,
      training: { step: 3, steps: 3, data: { name: data, where: null, heldOut: { kind: "fraction" } } },
    });
  });

  it("lists the devices", async () => {
    const { json } = await ddsc("devices", "--json");
    expect(json()).toMatchObject({ devices: [{ name: "cpu" }] });
  });

  it("goes the whole way in the short demo", async () => {
    const { code, stdout, json } = await ddsc(
      "demo",
      "--short",
      "--json",
      "--out",
      join(folder, "demo.html"),
    );
    expect(code).toBe(0);
    for (const part of ["Simulated", "Training", "kNN smoothing", "true count", "chance to be expressed"])
      expect(stdout).toContain(part);
    expect(json()).toMatchObject({ evaluation: { verdict: expect.anything() } });
    expect((json() as unknown as { hidden: unknown[] }).hidden).toHaveLength(10);
  });

  it("prints nothing but the object with --json and --quiet", async () => {
    for (const words of [["inspect", data], ["evaluate", "--model", run], ["devices"]]) {
      const { code, stdout } = await ddsc(...words, "--json", "--quiet");
      expect(code).toBe(0);
      expect(stdout.trimEnd().split("\n").length).toBe(1);
      expect(JSON.parse(stdout)).toBeInstanceOf(Object);
    }
  });

  it("says in a command's help what its own --out and its own steps are", async () => {
    const help = async (command: string) => (await ddsc("help", command)).stdout.replace(/\s+/g, " ");
    expect(await help("train")).toContain("the folder of the run");
    expect(await help("convert")).toContain("what to write: NAME.h5ad, NAME.zarr");
    expect(await help("generate")).toContain(
      "(default: counts: 64; ranks: 32; first-hitting: as many as there are hidden genes, which is exact;",
    );
    expect(await help("impute")).toContain("(default: 1; with --sampler 32, but first-hitting");
  });

  it("shows every command and option in its help", async () => {
    const { code, stdout } = await ddsc("help", "train");
    expect(code).toBe(0);
    for (const flag of ["--data <FILE>", "--learning-rate <N>", "--resume", "--config <FILE>"])
      expect(stdout).toContain(flag);
  });
});
