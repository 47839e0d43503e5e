import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Gene } from "../../lib/data/sources/cells.js";
import { GeneVocabulary, SPECIAL_GENES } from "../../lib/tokenizer/index.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-vocabulary-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function written(text: string): Promise<string> {
  const file = join(folder, `${Math.random().toString(36).slice(2)}.json`);
  await writeFile(file, text);
  return file;
}

function gene(id: string, ...aliases: string[]): Gene {
  return { id, aliases };
}

const specials = { "<pad>": 0, "<cls>": 1, "<eoc>": 2 };

describe("a gene vocabulary", () => {
  it("starts with the specials, then holds the genes of a source in column order", () => {
    const vocabulary = GeneVocabulary.from({ name: "a", genes: [gene("Xkr4"), gene("Sox17")] });
    expect(vocabulary.entries.map(({ id, token }) => [id, token])).toEqual([
      [0, "<pad>"],
      [1, "<cls>"],
      [2, "<eoc>"],
      [3, "Xkr4"],
      [4, "Sox17"],
    ]);
    expect(vocabulary.size).toBe(5);
    expect(vocabulary.geneCount).toBe(2);
  });

  it("of several sources is their union: known genes by any name, new ones appended, names gathered", () => {
    const vocabulary = GeneVocabulary.from(
      { name: "a", genes: [gene("ENSG00000000001.2"), gene("B", "bee")] },
      { name: "b", genes: [gene("C"), gene("ENSG00000000001.5", "SYM1"), gene("bee")] },
      { name: "c", genes: [gene("SYM1"), gene("D")] },
    );
    expect(vocabulary.entries.slice(3).map(({ token }) => token)).toEqual([
      "ENSG00000000001.2",
      "B",
      "C",
      "D",
    ]);
    expect(vocabulary.find("SYM1")).toBe(3);
    expect(vocabulary.find("ENSG00000000001")).toBe(3);
  });

  it("reads a {token: id} object whose ids have gaps, sized by the largest", () => {
    const vocabulary = GeneVocabulary.fromJSON({ G1: 10, ...specials, G2: 5 });
    expect(vocabulary.size).toBe(11);
    expect(vocabulary.geneCount).toBe(2);
    expect(vocabulary.token(5)).toBe("G2");
    expect(vocabulary.token(6)).toBeUndefined();
    expect(vocabulary.id("G1")).toBe(10);
    expect(vocabulary.id("<cls>")).toBe(1);
  });

  it("is the same after saving and loading, names, aliases and fingerprint included", async () => {
    const name = fc.string({ minLength: 1, maxLength: 12 });
    const genes = fc.uniqueArray(fc.record({ id: name, aliases: fc.uniqueArray(name, { maxLength: 3 }) }), {
      selector: ({ id }) => id,
      maxLength: 30,
    });
    await fc.assert(
      fc.asyncProperty(genes, async (list) => {
        fc.pre(list.every(({ id }) => !SPECIAL_GENES.includes(id)));
        const vocabulary = GeneVocabulary.fromGenes(list);
        const file = join(folder, "saved.json");
        await vocabulary.save(file);
        const loaded = await GeneVocabulary.load(file);
        expect(loaded.entries).toEqual(vocabulary.entries);
        expect(loaded.fingerprint).toBe(vocabulary.fingerprint);
        expect(loaded.size).toBe(vocabulary.size);
      }),
      { numRuns: 30 },
    );
  });

  it("reads tokens that look like numbers or like object members", async () => {
    const file = await written('{"<pad>":0,"<cls>":1,"<eoc>":2,"7157":3,"__proto__":4,"constructor":5}');
    const vocabulary = await GeneVocabulary.load(file);
    expect(["7157", "__proto__", "constructor"].map((token) => vocabulary.find(token))).toEqual([3, 4, 5]);
    expect(vocabulary.find("toString")).toBeUndefined();
    expect(GeneVocabulary.fromJSON(JSON.parse(JSON.stringify(vocabulary))).entries).toEqual(
      vocabulary.entries,
    );
  });

  it("has a fingerprint that tells another order, another gene and another id, but not other aliases", () => {
    const { fingerprint } = GeneVocabulary.fromIds(["A", "B"]);
    expect(GeneVocabulary.fromGenes([gene("A", "a"), gene("B")]).fingerprint).toBe(fingerprint);
    expect(GeneVocabulary.fromIds(["B", "A"]).fingerprint).not.toBe(fingerprint);
    expect(GeneVocabulary.fromIds(["A", "C"]).fingerprint).not.toBe(fingerprint);
    expect(GeneVocabulary.fromJSON({ ...specials, A: 3, B: 5 }).fingerprint).not.toBe(fingerprint);
  });

  it.skipIf(!existsSync(new URL("../../../shared/data/tahoe_format/vocab.json", import.meta.url)))(
    "reads the Tahoe vocabulary",
    async () => {
      const url = new URL("../../../shared/data/tahoe_format/vocab.json", import.meta.url);
      const vocabulary = await GeneVocabulary.load(url.pathname);
      expect(vocabulary.size).toBe(1003);
      expect(vocabulary.find("ENSMUSG00000051951.7")).toBe(3);
    },
  );
});

describe("matching genes", () => {
  const vocabulary = GeneVocabulary.fromGenes([
    gene("ENSG00000000001", "TP53"),
    gene("ENSG00000000002.4", "MYC"),
    gene("RP11-34P13.7"),
    gene("twin1", "shared"),
    gene("twin2", "shared"),
  ]);

  it("finds a gene by token, by Ensembl id with or without version on either side, and by alias", () => {
    const genes = ["ENSG00000000001", "ENSG00000000002", "RP11-34P13.7"].map((id) => gene(id));
    expect([...vocabulary.match(genes).ids]).toEqual([3, 4, 5]);
    expect(vocabulary.find("ENSG00000000001.15")).toBe(3);
    expect(vocabulary.find("ENSG00000000002.9")).toBe(4);
    expect(vocabulary.find("TP53")).toBe(3);
  });

  it("takes a dot for a version in Ensembl ids alone", () => {
    expect(vocabulary.find("RP11-34P13")).toBeUndefined();
    expect(vocabulary.find("RP11-34P13.8")).toBeUndefined();
  });

  it("tries a gene's own aliases after its id", () => {
    expect([...vocabulary.match([gene("row7", "nothing", "MYC")]).ids]).toEqual([4]);
  });

  it("lists genes that are unknown, special tokens among them", () => {
    const match = vocabulary.match([gene("nowhere"), gene("<cls>"), gene("TP53")]);
    expect([...match.ids]).toEqual([-1, -1, 3]);
    expect(match.unknown).toEqual(["nowhere", "<cls>"]);
    expect(match.matched).toBe(1);
  });

  it("leaves out a name that fits two genes, and lists both", () => {
    const match = vocabulary.match([gene("shared"), gene("twin2")]);
    expect([...match.ids]).toEqual([-1, 7]);
    expect(match.ambiguous).toEqual([{ gene: "shared", candidates: ["twin1", "twin2"] }]);
  });

  it("gives a gene of the vocabulary to the best fitting column, the first among equals, and lists the others", () => {
    const match = vocabulary.match([gene("TP53"), gene("ENSG00000000001"), gene("MYC", "x"), gene("MYC")]);
    expect([...match.ids]).toEqual([-1, 3, 4, -1]);
    expect(match.duplicates).toEqual(["TP53", "MYC"]);
    expect(match.matched).toBe(2);
  });
});

describe("a bad vocabulary is refused", () => {
  const bad: [string, string, unknown][] = [
    ["a negative id", "VOCABULARY_ID", { ...specials, A: -1 }],
    ["a fractional id", "VOCABULARY_ID", { ...specials, A: 3.5 }],
    ["an id given twice", "VOCABULARY_ID", { ...specials, A: 3, B: 3 }],
    ["an id that is text", "VOCABULARY_FORMAT", { ...specials, A: "3" }],
    ["no specials", "VOCABULARY_SPECIALS", { A: 0, B: 1 }],
    ["specials elsewhere", "VOCABULARY_SPECIALS", { A: 0, "<pad>": 1, "<cls>": 2, "<eoc>": 3 }],
    ["nothing at all", "VOCABULARY_SPECIALS", {}],
    ["a list", "VOCABULARY_FORMAT", ["A"]],
    ["null", "VOCABULARY_FORMAT", null],
    [
      "a version from the future",
      "VOCABULARY_FORMAT",
      { ...GeneVocabulary.fromIds(["A"]).toJSON(), version: 2 },
    ],
    [
      "entries of another shape",
      "VOCABULARY_FORMAT",
      { ...GeneVocabulary.fromIds([]).toJSON(), entries: [{ id: 1 }] },
    ],
    [
      "changed entries",
      "VOCABULARY_CORRUPT",
      { ...GeneVocabulary.fromIds(["A"]).toJSON(), fingerprint: "0" },
    ],
  ];
  it.each(bad)("for %s: %s", (_, code, json) => {
    expect(() => GeneVocabulary.fromJSON(json, "v.json")).toThrow(new RegExp(`^${code}: v\\.json`));
  });

  it("for a gene given twice or named like a special token", () => {
    expect(() => GeneVocabulary.fromIds(["A", "A"])).toThrow("VOCABULARY_DUPLICATE");
    expect(() => GeneVocabulary.fromIds(["<cls>"])).toThrow("VOCABULARY_DUPLICATE");
  });

  it("for a token that the file writes twice, however it is escaped", async () => {
    const file = await written('{"<pad>":0,"<cls>":1,"<eoc>":2,"A":3,"\\u0041":4}');
    await expect(GeneVocabulary.load(file)).rejects.toThrow(/VOCABULARY_DUPLICATE.*"A"/);
  });

  it("for garbage and for a file that is not there, naming it", async () => {
    const file = await written('{"<pad>": 0,');
    await expect(GeneVocabulary.load(file)).rejects.toThrow(`VOCABULARY_FORMAT: ${file}`);
    const missing = join(folder, "missing.json");
    await expect(GeneVocabulary.load(missing)).rejects.toThrow(`FILE_READ: ${missing}`);
  });

  it("leaves nothing behind where it cannot be saved", async () => {
    const before = await readdir(folder);
    const file = join(folder, "no", "such", "folder.json");
    await expect(GeneVocabulary.fromIds(["A"]).save(file)).rejects.toThrow(`FILE_WRITE: ${file}`);
    expect(await readdir(folder)).toEqual(before);
  });
});
