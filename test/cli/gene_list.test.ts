import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readGeneList } from "../../lib/cli/gene_list.js";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-genes-"));
});
afterAll(() => rm(folder, { recursive: true }));

describe("readGeneList", () => {
  it("takes names separated by commas, each once", async () => {
    expect(await readGeneList("FTL, VIM,FTL,,HLA-DRA")).toEqual(["FTL", "VIM", "HLA-DRA"]);
  });

  it.each([
    ["one a line", "FTL\nVIM\n\nACTB\n"],
    ["one a line as Windows ends them, after a byte order mark", "\uFEFFFTL\r\nVIM\r\nACTB"],
    ["several a line, by commas", "FTL,VIM\nACTB,\n"],
    ["several a line, by tabs", "FTL\tVIM\tACTB\n"],
  ])("reads a file of %s", async (_, text) => {
    const file = join(folder, "genes");
    await writeFile(file, text);
    expect(await readGeneList(file)).toEqual(["FTL", "VIM", "ACTB"]);
  });

  it.each(["genes.txt", "my,genes.csv", "lists/genes", "/nowhere/genes.tsv"])(
    "says of %s, which can only be a file, that it is not there",
    async (value) => {
      await expect(readGeneList(value)).rejects.toThrow(
        `USAGE: --genes ${value} cannot be read: there is no such file`,
      );
    },
  );

  it("refuses a file without a name", async () => {
    const file = join(folder, "empty");
    await writeFile(file, "\n,\t\n");
    await expect(readGeneList(file)).rejects.toThrow("names no gene");
  });
});
