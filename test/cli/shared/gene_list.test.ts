import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findListedGenes, readGeneList } from "../../../lib/cli/shared/gene_list.js";
import { Output } from "../../../lib/cli/shared/output.js";
import { GeneVocabulary } from "../../../lib/tokenizer/index.js";

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

describe("findListedGenes", () => {
  const vocabulary = GeneVocabulary.fromIds(["FTL", "VIM", "CD74"]);
  /** The genes found and the notes written. */
  function found(listed: readonly string[], skipUnknown: boolean) {
    const notes = new PassThrough();
    const output = new Output({ results: undefined, notes, quiet: true });
    const genes = findListedGenes(listed, { vocabulary, skipUnknown, output });
    return { genes, notes: String(notes.read() ?? "") };
  }

  it("refuses a list with an unknown gene, naming it and what to do", () => {
    expect(() => found(["FTL", "CD4", "x"], false)).toThrow(
      'GENE_UNKNOWN: gene "CD4" of --genes is not in the model\'s vocabulary (other genes with similar names: CD74); ' +
        "leave it out, or pass --skip-unknown",
    );
    expect(() => found(["<pad>"], false)).toThrow("GENE_UNKNOWN");
  });

  it("leaves unknown genes out with a note that counts and names them, where that is asked for", () => {
    const { genes, notes } = found(["VIM", "CD4", "FTL", "Sox2"], true);
    expect(genes).toEqual({ names: ["VIM", "FTL"], ids: Int32Array.of(4, 3), skipped: ["CD4", "Sox2"] });
    expect(notes).toBe("left out 2 of 4 genes of --genes, not in the model's vocabulary: CD4, Sox2\n");
    expect(found(["VIM"], true).notes).toBe("");
  });

  it("refuses a list of which nothing is left", () => {
    expect(() => found(["CD4", "Sox2"], true)).toThrow(
      "GENE_UNKNOWN: none of the 2 genes of --genes is in the model's vocabulary: CD4, Sox2",
    );
  });
});
