import { describe, expect, it } from "vitest";
import { didYouMeanGene } from "../../lib/tokenizer/gene_suggestion.js";
import { GeneVocabulary } from "../../lib/tokenizer/index.js";

const vocabulary = GeneVocabulary.fromGenes([
  { id: "FTH1", aliases: ["ENSG00000167996"] },
  { id: "Ftx", aliases: [] },
  { id: "FTL", aliases: ["ENSG00000087086"] },
  { id: "HLA-DRA", aliases: [] },
]);

describe("didYouMeanGene", () => {
  it.each([
    ["ftl", "FTL"],
    ["FTX", "Ftx"],
    ["HLADRA", "HLA-DRA"],
    ["FTHL1", "FTH1"],
    ["ensg00000087086", "ENSG00000087086"],
  ])("finds the name nearest to %s", (typed, name) => {
    expect(didYouMeanGene(typed, vocabulary)).toBe(` (did you mean "${name}"?)`);
  });

  it.each(["GAPDH", "ENSG00000087087", "<pdd>"])("finds nothing near %s", (typed) => {
    expect(didYouMeanGene(typed, vocabulary)).toBe("");
  });

  it("takes a vocabulary without genes", () => {
    expect(didYouMeanGene("FTL", GeneVocabulary.fromIds([]))).toBe("");
  });
});
