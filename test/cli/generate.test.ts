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
