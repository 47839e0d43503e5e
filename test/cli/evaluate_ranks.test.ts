import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ddsc, trainRanks, writeStudy } from "./program.js";

let folder: string;
let data: string;
let run: string;

beforeAll(async () => {
  ({ folder, data, run } = await trainRanks());
});
afterAll(() => rm(folder, { recursive: true }));

describe("ddsc evaluate on ranks", () => {
  it("finds the run's held-out cells by itself, whether or not it is told the data", async () => {
    const alone = await ddsc("evaluate", "--model", run, "--json");
    const told = await ddsc("evaluate", "--model", run, "--data", data, "--json");
    expect(alone.code).toBe(0);
    expect(told.json()).toEqual(alone.json());
    const scores = {
      maskedAccuracy: expect.any(Number),
      accuracy: expect.any(Number),
      crossEntropy: expect.any(Number),
      rankMae: expect.any(Number),
    };
    const { crossEntropy: _, ...withoutProbabilities } = scores;
    expect(alone.json()).toMatchObject({
      ratios: { "0.2": scores, "0.5": scores, "0.8": scores },
      baselines: { globalMode: withoutProbabilities, geneMode: withoutProbabilities, geneMarginal: scores },
    });
    expect(alone.stdout).toContain("gene's rank distribution");
  });

  it("scores groups of the cells for which a condition holds", async () => {
    const words = ["--where", "cell_type in ('type-1', 'type-2')", "--by", "cell_type"];
    const result = await ddsc("evaluate", "--model", run, "--data", data, ...words, "--json");
    expect(result.code).toBe(0);
    const { groups, cells } = result.json() as unknown as {
      groups: Record<string, { cells: number }>;
      cells: number;
    };
    expect(
      Object.keys(groups)
        .sort()
        .every((group) => ["type-1", "type-2"].includes(group)),
    ).toBe(true);
    expect(Object.values(groups).reduce((sum, group) => sum + group.cells, 0)).toBe(cells);
    const unknown = await ddsc("evaluate", "--model", run, "--by", "cel_type");
    expect(unknown.stderr).toContain("DATA_MISSING_COLUMN: ");
  });

  it("knows the run's own data again in another format", async () => {
    const copy = join(folder, "converted");
    expect((await ddsc("convert", data, "--out", copy)).code).toBe(0);
    const own = await ddsc("evaluate", "--model", run, "--json");
    const converted = await ddsc("evaluate", "--model", run, "--data", copy, "--json");
    expect(converted.json()).toEqual({ ...own.json(), data: expect.stringContaining(copy) });
  });

  it("says which condition left no cell to score", async () => {
    const out = join(folder, "conditioned");
    const train = [
      "train",
      "--values",
      "ranks",
      "--data",
      data,
      "--steps",
      "1",
      "--batch",
      "8",
      "--out",
      out,
    ];
    const own = "cell_type in ('type-0', 'type-1', 'type-2')";
    await ddsc(...train, "--where", own, "--holdout", "cell_type = 'type-1'");
    const refused = async (...words: string[]) => {
      const { code, stderr } = await ddsc("evaluate", "--model", out, ...words);
      expect(code).toBe(1);
      expect(stderr).toContain("EVALUATION_EMPTY: ");
      return stderr;
    };
    expect(await refused("--where", "cell_type = 'type-99'")).toContain(
      "--where cell_type = 'type-99' holds for no cell;",
    );
    expect(await refused("--where", "cell_type = 'type-3'")).toContain(
      `the run was trained with --where ${own}, which excludes every cell for which --where cell_type = 'type-3' holds;`,
    );
    expect(await refused("--where", "cell_type = 'type-2'")).toMatch(
      /none of the \d+ cells for which --where cell_type = 'type-2' holds is held out by the run;/,
    );
    await ddsc(...train, "--overwrite", "--validation", "0");
    expect(await refused()).toContain("the run was trained with --validation 0, so it held out no cells;");
  });

  it("takes all cells of other data", async () => {
    const other = join(folder, "other.h5ad");
    await writeStudy(other, { cells: 10 });
    const { code, json } = await ddsc(
      "evaluate",
      "--model",
      run,
      "--data",
      other,
      "--ratios",
      "0.5",
      "--json",
    );
    expect(code).toBe(0);
    expect(json()).toMatchObject({ cells: 10, ratios: { "0.5": expect.anything() } });
  });
});
