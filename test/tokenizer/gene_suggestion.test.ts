import { describe, expect, it } from "vitest";
import { geneHint } from "../../lib/tokenizer/gene_suggestion.js";
import { GeneVocabulary } from "../../lib/tokenizer/index.js";

const vocabulary = GeneVocabulary.fromGenes([
  { id: "FTH1", aliases: ["ENSG00000167996"] },
  { id: "Ftx", aliases: [] },
  { id: "FTL", aliases: ["ENSG00000087086"] },
  { id: "HLA-DRA", aliases: [] },
  { id: "CD74", aliases: [] },
  { id: "CD3E", aliases: [] },
]);

describe("geneHint", () => {
  it.each([
    ["ftl", "FTL"],
    ["FTX", "Ftx"],
    ["HLADRA", "HLA-DRA"],
    ["FTHL1", "FTH1"],
    ["ensg00000087086", "ENSG00000087086"],
    ["ENSG00000087086.14", "ENSG00000087086"],
    ["cd3-e", "CD3E"],
  ])("finds the name nearest to %s", (typed, name) => {
    expect(geneHint(typed, vocabulary)).toEqual({
      text: ` (did you mean "${name}"?)`,
      remedy: "correct it, or leave it out",
    });
  });

  it.each(["GAPDH", "ENSG00000087087", "<pdd>"])("finds nothing near %s", (typed) => {
    expect(geneHint(typed, vocabulary)).toEqual({ text: "", remedy: "leave it out" });
  });

  it.each([
    ["CD4", "CD74"],
    ["FTH2", "FTH1"],
    ["CD4E", "CD3E"],
  ])("does not pass another gene off as a correction of %s", (typed, others) => {
    const hint = geneHint(typed, vocabulary);
    expect(hint.text).toMatch(/^ \(other genes with similar names: /);
    expect(hint.text).toContain(others);
    expect(hint.remedy).toBe("leave it out");
  });

  it("takes a vocabulary without genes", () => {
    expect(geneHint("FTL", GeneVocabulary.fromIds([])).text).toBe("");
  });
});
