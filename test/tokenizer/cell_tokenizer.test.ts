import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CellBlock, Gene } from "../../lib/data/sources/cells.js";
import {
  CellTokenizer,
  type CellTokenizerOptions,
  collectCells,
  describeReport,
  GeneVocabulary,
  QuantileRanks,
} from "../../lib/tokenizer/index.js";

const geneNames = Array.from({ length: 12 }, (_, i) => `G${i}`);
const vocabulary = GeneVocabulary.fromIds(geneNames);

/** A block whose cells are lists of [column, count]. */
function blockOf(cells: readonly (readonly (readonly [number, number])[])[], firstRow = 0): CellBlock {
  const offsets = [0];
  for (const cell of cells) offsets.push(offsets.at(-1)! + cell.length);
  return {
    rows: Int32Array.from(cells.keys(), (row) => row + firstRow),
    offsets: Int32Array.from(offsets),
    columns: Int32Array.from(cells.flat(), ([column]) => column),
    counts: Float32Array.from(cells.flat(), ([, count]) => count),
  };
}

function sourceOf(names: readonly string[]): { name: string; genes: Gene[] } {
  return { name: "cells.h5ad", genes: names.map((id) => ({ id, aliases: [] })) };
}

function tokenize(
  cells: readonly (readonly (readonly [number, number])[])[],
  options: Partial<CellTokenizerOptions> = {},
  epoch = 0,
  names = geneNames,
) {
  const tokenizer = new CellTokenizer({ vocabulary, ...options });
  return tokenizer.tokenize(blockOf(cells), tokenizer.map(sourceOf(names)), epoch);
}

function ranksOf(counts: number[]): number[] {
  const out = new Int32Array(counts.length);
  new QuantileRanks().encode(Float32Array.from(counts), out);
  return [...out];
}

const allGenes = geneNames.map((_, column) => [column, column + 1] as const);

describe("the cell tokenizer", () => {
  it("writes cls, then one token a gene: its id and its rank + 2", () => {
    const { batch, report } = tokenize([
      [
        [0, 5],
        [3, 1],
        [4, 9],
      ],
      [[1, 2]],
    ]);
    expect([...batch.offsets]).toEqual([0, 4, 6]);
    expect([...batch.genes]).toEqual([1, 3, 6, 7, 1, 4]);
    expect([...batch.tokens]).toEqual([0, ...ranksOf([5, 1, 9]).map((rank) => rank + 2), 0, 2]);
    expect([...batch.cells]).toEqual([0, 1]);
    expect(report).toMatchObject({ cells: 2, tokens: 6, emptyCells: 0, shortenedCells: 0 });
  });

  it("leaves cls out where asked to", () => {
    expect([...tokenize([[[2, 4]]], { cls: false }).batch.genes]).toEqual([5]);
  });

  it("gives the same tokens whatever the order of the file's columns", () => {
    const reversed = [...geneNames].reverse();
    const cell = [
      [0, 4],
      [5, 1],
      [11, 7],
    ] as const;
    const mirrored = cell.map(([column, count]) => [11 - column, count] as const).reverse();
    const options = { maxLength: 3 };
    expect(tokenize([mirrored], options, 2, reversed).batch).toEqual(tokenize([cell], options, 2).batch);
  });

  it("samples genes anew each epoch, the same ones for the same seed, epoch and row", () => {
    const draw = (epoch: number, seed: number) => [
      ...tokenize([allGenes], { maxLength: 6, seed }, epoch).batch.genes,
    ];
    expect(draw(0, 1)).toEqual(draw(0, 1));
    const samples = new Set([0, 1, 2, 3, 4, 5].map((epoch) => draw(epoch, 1).join()));
    expect(samples.size).toBeGreaterThan(3);
    expect(new Set([1, 2, 3, 4, 5, 6].map((seed) => draw(0, seed).join())).size).toBeGreaterThan(3);
  });

  it("samples a cell the same alone and among others", () => {
    const tokenizer = new CellTokenizer({ vocabulary, maxLength: 5 });
    const mapping = tokenizer.map(sourceOf(geneNames));
    const both = tokenizer.tokenize(blockOf([allGenes, allGenes], 40), mapping, 3).batch;
    const second = tokenizer.tokenize(blockOf([allGenes], 41), mapping, 3).batch;
    expect([...both.genes.subarray(5)]).toEqual([...second.genes]);
    expect([...both.genes.subarray(0, 5)]).not.toEqual([...second.genes]);
  });

  it("keeps every gene equally often over many epochs", () => {
    const tokenizer = new CellTokenizer({ vocabulary, maxLength: 5, cls: false });
    const mapping = tokenizer.map(sourceOf(geneNames));
    const seen = new Map<number, number>();
    const epochs = 6000;
    for (let epoch = 0; epoch < epochs; epoch++) {
      for (const gene of tokenizer.tokenize(blockOf([allGenes]), mapping, epoch).batch.genes) {
        seen.set(gene, (seen.get(gene) ?? 0) + 1);
      }
    }
    const expected = (epochs * 5) / 12;
    const deviation = Math.sqrt(epochs * (5 / 12) * (7 / 12));
    expect(seen.size).toBe(12);
    for (const times of seen.values()) expect(Math.abs(times - expected)).toBeLessThan(4 * deviation);
  });

  it("takes ranks over all expressed genes before it samples", () => {
    const ranks = ranksOf(allGenes.map(([, count]) => count));
    const { batch, report } = tokenize([allGenes], { maxLength: 5, cls: false });
    expect([...batch.tokens]).toEqual([...batch.genes].map((id) => ranks[id - 3]! + 2));
    expect(report).toMatchObject({ shortenedCells: 1, leftOutGenes: 7 });
  });

  it("takes ranks over the genes of the vocabulary alone, and counts the others", () => {
    const names = ["G0", "alien", "G1", "stranger"];
    const { batch, report } = tokenize(
      [
        [
          [0, 1],
          [1, 50],
          [2, 2],
          [3, 60],
        ],
      ],
      { cls: false },
      0,
      names,
    );
    expect([...batch.tokens]).toEqual(ranksOf([1, 2]).map((rank) => rank + 2));
    expect(report).toMatchObject({ unknownCounts: 2, unknownGenes: ["alien", "stranger"] });
  });

  it("truncates to the genes of the lowest ids", () => {
    expect([...tokenize([allGenes], { maxLength: 4, selection: "truncate" }).batch.genes]).toEqual([
      1, 3, 4, 5,
    ]);
  });

  it("fills the rest with unexpressed genes that the source measures, at rank 0", () => {
    const cell = [
      [1, 4],
      [2, 8],
    ] as const;
    const names = geneNames.slice(0, 8);
    const { batch } = tokenize([cell], { maxLength: 6, includeUnexpressed: true, seed: 3 }, 0, names);
    const genes = [...batch.genes];
    expect(genes.length).toBe(6);
    expect(new Set(genes).size).toBe(6);
    expect(genes).toEqual([...genes].sort((a, b) => a - b));
    expect(genes).toEqual(expect.arrayContaining([1, 4, 5]));
    expect(Math.max(...genes)).toBeLessThan(3 + 8);
    const ranks = ranksOf([4, 8]);
    genes.forEach((gene, i) => {
      expect(batch.tokens[i]).toBe(gene === 1 ? 0 : gene === 5 ? ranks[1]! + 2 : 2);
    });
  });

  it("stops filling where the source measures no more, and samples where the cell has enough", () => {
    const few = tokenize([[[1, 4]]], { includeUnexpressed: true }, 0, geneNames.slice(0, 4));
    expect([...few.batch.genes]).toEqual([1, 3, 4, 5, 6]);
    const many = tokenize([allGenes], { includeUnexpressed: true, maxLength: 5 });
    expect(many.batch.genes.length).toBe(5);
    expect(many.report.leftOutGenes).toBe(8);
  });

  it("measures exactly the lengths it writes", () => {
    const count = fc.integer({ min: 0, max: 9 });
    const cells = fc.array(fc.array(fc.tuple(fc.nat(15), count), { maxLength: 16 }), { maxLength: 8 });
    const names = [...geneNames.slice(2), "u1", "u2", "u3", "u4", "u5", "u6"];
    fc.assert(
      fc.property(
        cells,
        fc.boolean(),
        fc.boolean(),
        fc.integer({ min: 2, max: 14 }),
        (drawn, cls, fill, maxLength) => {
          const block = blockOf(drawn.map((cell) => [...new Map(cell)].sort((a, b) => a[0] - b[0])));
          const tokenizer = new CellTokenizer({
            vocabulary,
            cls,
            includeUnexpressed: fill,
            maxLength,
            minGenes: 2,
          });
          const mapping = tokenizer.map(sourceOf(names));
          const { batch, report } = tokenizer.tokenize(block, mapping, 1);
          const { lengths, skipped } = tokenizer.measure(block, mapping);
          const written = new Int32Array(block.rows.length);
          batch.cells.forEach((row, i) => {
            written[row] = batch.offsets[i + 1]! - batch.offsets[i]!;
          });
          expect(lengths).toEqual(written);
          expect(Math.max(0, ...lengths)).toBeLessThanOrEqual(maxLength);
          expect(skipped.emptyCells).toBe(report.emptyCells);
          expect(skipped.unknownOnlyCells + skipped.smallCells).toBe(
            report.unknownOnlyCells + report.smallCells,
          );
          expect(report.cells + skipped.emptyCells + skipped.unknownOnlyCells + skipped.smallCells).toBe(
            drawn.length,
          );
        },
      ),
    );
  });

  it("is the same tokenizer again after toJSON and fromJSON", () => {
    const tokenizer = new CellTokenizer({
      vocabulary,
      strategy: new QuantileRanks({ bins: 9 }),
      maxLength: 7,
      cls: false,
      selection: "truncate",
      includeUnexpressed: true,
      minGenes: 2,
      seed: 12,
    });
    const again = CellTokenizer.fromJSON(structuredClone(tokenizer.toJSON()));
    expect(again.toJSON()).toEqual(tokenizer.toJSON());
  });
});

describe("what the cell tokenizer leaves out", () => {
  it("a cell with no expressed gene is skipped and counted, stored zeros being unexpressed", () => {
    const { batch, report } = tokenize([[], [[2, 3]], [[1, 0]]]);
    expect([...batch.cells]).toEqual([1]);
    expect([...batch.offsets]).toEqual([0, 2]);
    expect(report).toMatchObject({ cells: 1, emptyCells: 2, skippedRows: [0, 2] });
  });

  it("cells with unknown genes alone, or with too few genes, are skipped and counted apart", () => {
    const names = ["alien", ...geneNames.slice(0, 5)];
    const { batch, report } = tokenize(
      [
        [[0, 3]],
        [
          [1, 3],
          [2, 1],
        ],
        [
          [1, 1],
          [2, 2],
          [3, 3],
        ],
      ],
      { minGenes: 3 },
      0,
      names,
    );
    expect([...batch.cells]).toEqual([2]);
    expect(report).toMatchObject({
      cells: 1,
      unknownOnlyCells: 1,
      smallCells: 1,
      emptyCells: 0,
      skippedRows: [0, 1],
    });
  });

  it("is told in words", () => {
    const names = ["alien", ...geneNames.slice(0, 5)];
    const cells = [
      [[0, 3]],
      [],
      [[1, 3]],
      [
        [0, 1],
        [1, 1],
        [2, 2],
        [3, 3],
      ],
    ] as const;
    const { report } = tokenize(cells, { minGenes: 2, maxLength: 3 }, 0, names);
    expect(describeReport(report, 2)).toEqual([
      "skipped 3 cells: 1 without an expressed gene, 1 without an expressed gene of the vocabulary, " +
        "1 with fewer than 2 expressed genes of the vocabulary (rows 0, 1, 2)",
      "dropped 2 counts of genes that are not in the vocabulary, such as alien",
      "shortened 1 cell by 1 gene in all",
    ]);
    expect(describeReport(tokenize([[[1, 3]]]).report, 1)).toEqual([]);
  });

  it.each([
    ["DATA_NEGATIVE_COUNT", -3],
    ["DATA_NOT_FINITE", Number.NaN],
    ["DATA_NOT_FINITE", Number.POSITIVE_INFINITY],
    ["DATA_NOT_FINITE", Number.NEGATIVE_INFINITY],
  ])("%s for a count of %d, naming file, row and gene", (code, count) => {
    const tokenizer = new CellTokenizer({ vocabulary });
    const mapping = tokenizer.map(sourceOf(geneNames));
    const bad = blockOf(
      [
        [[0, 1]],
        [
          [0, 1],
          [4, count],
        ],
      ],
      6,
    );
    const thrown = expect(() => tokenizer.tokenize(bad, mapping, 0));
    thrown.toThrow(expect.objectContaining({ code, place: { file: "cells.h5ad", row: 7, gene: "G4" } }));
    expect(() => tokenizer.measure(bad, mapping)).toThrow(code);
    // The failed cell leaves nothing behind.
    expect(tokenizer.tokenize(blockOf([[[0, 1]]]), mapping, 0).batch.genes.length).toBe(2);
  });

  it("DATA_DUPLICATE_GENE for a gene that a cell stores twice", () => {
    expect(() =>
      tokenize([
        [
          [2, 1],
          [2, 4],
        ],
      ]),
    ).toThrow(
      expect.objectContaining({
        code: "DATA_DUPLICATE_GENE",
        place: { file: "cells.h5ad", row: 0, gene: "G2" },
      }),
    );
  });

  it("DATA_NO_KNOWN_GENES for a source of other genes", () => {
    const tokenizer = new CellTokenizer({ vocabulary });
    expect(() => tokenizer.map(sourceOf(["x", "y"]))).toThrow(
      /DATA_NO_KNOWN_GENES: cells\.h5ad.*x, y.*G0, G1/,
    );
  });

  it("options out of range are refused by name", () => {
    expect(() => new CellTokenizer({ vocabulary, maxLength: 1 })).toThrow(/ARGUMENT_RANGE.*>= 2.*maxLength/);
    expect(() => new CellTokenizer({ vocabulary, minGenes: 0 })).toThrow("minGenes");
    expect(() => new CellTokenizer({ vocabulary, seed: -1 })).toThrow("seed");
    expect(() => new CellTokenizer({ vocabulary, selection: "first" as "sample" })).toThrow(
      "ARGUMENT_CHOICE",
    );
  });
});

describe("cells given by gene names", () => {
  it("are collected into a block over the genes met, zeros left out", () => {
    const cells = collectCells([
      { genes: ["B", "A"], counts: [2, 1] },
      { genes: ["A", "C", "B"], counts: [0, 4, 3] },
    ]);
    expect(cells.genes.map(({ id }) => id)).toEqual(["B", "A", "C"]);
    expect([...cells.block.offsets]).toEqual([0, 2, 4]);
    expect([...cells.block.columns]).toEqual([0, 1, 0, 2]);
    expect([...cells.block.counts]).toEqual([2, 1, 3, 4]);
  });

  it("tokenize like the same cells of a file", () => {
    const tokenizer = new CellTokenizer({ vocabulary });
    const cells = collectCells([{ genes: ["G4", "G0", "G3"], counts: [9, 5, 1] }]);
    const { batch } = tokenizer.tokenize(cells.block, tokenizer.map(cells), 0);
    expect(batch).toEqual(
      tokenize([
        [
          [0, 5],
          [3, 1],
          [4, 9],
        ],
      ]).batch,
    );
  });

  it.each([
    ["DATA_NEGATIVE_COUNT", ["A", "B"], [1, -1]],
    ["DATA_NOT_FINITE", ["A", "B"], [1, Number.NaN]],
    ["DATA_NOT_FINITE", ["A", "B"], [1, "7"]],
    ["DATA_NOT_FINITE", ["A", "B"], [1, undefined]],
    ["DATA_NOT_FINITE", ["A", "B"], [1, 1e300]],
    ["DATA_DUPLICATE_GENE", ["A", "A"], [1, 1]],
    ["DATA_LENGTH", ["A", "B"], [1]],
  ])("end in %s for genes %j with counts %j", (code, genes, counts) => {
    const good = { genes: ["A"], counts: [1] };
    expect(() => collectCells([good, { genes, counts: counts as number[] }])).toThrow(
      expect.objectContaining({ code, place: expect.objectContaining({ row: 1 }) }),
    );
  });
});
