import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openSource } from "../../../lib/data/open/open_cells.js";
import { ConcatenatedSource } from "../../../lib/data/sources/concatenate.js";
import { MemorySource } from "../../../lib/data/sources/memory.js";
import type { CellSource } from "../../../lib/data/sources/source.js";
import { subsetSource } from "../../../lib/data/sources/subset.js";
import { CellTokenizer, CountTokens, collectCells, GeneVocabulary } from "../../../lib/tokenizer/index.js";

/** Cells without counts that measure these genes. */
function sourceOf(genes: readonly string[], cells: number): CellSource {
  return new MemorySource({
    name: genes.join(""),
    ids: Array.from({ length: cells }, (_, i) => `${genes[0]}${i}`),
    genes: genes.map((id) => ({ id, aliases: [] })),
    offsets: new Int32Array(cells + 1),
    geneColumns: new Int32Array(0),
    counts: new Float32Array(0),
    metadata: {},
    notes: [],
  });
}

/** Names of the genes that each row of a source measures. */
function measuredBy({ panels, genes, cellCount }: CellSource): string[] {
  return Array.from({ length: cellCount }, (_, row) => {
    if (panels === undefined) return genes.map(({ id }) => id).join("");
    const run = panels.ends.findIndex((end) => end > row);
    return Array.from(panels.columns[panels.numbers[run]!]!, (column) => genes[column]!.id).join("");
  });
}

describe("panels", () => {
  it("are left out where every cell measures every gene", () => {
    expect(sourceOf(["A", "B"], 3).panels).toBeUndefined();
    const same = new ConcatenatedSource([sourceOf(["A", "B"], 3), sourceOf(["B", "A"], 2)], "both");
    expect(same.panels).toBeUndefined();
  });

  it("tell of each cell of several sources what its own source measures, equal ones once", () => {
    const parts = [["A", "B"], ["B", "C"], ["A", "B"], ["B", "A"], ["D"]].map((genes) => sourceOf(genes, 2));
    const source = new ConcatenatedSource(parts, "all");
    expect(measuredBy(source)).toEqual(["AB", "AB", "BC", "BC", "AB", "AB", "AB", "AB", "D", "D"]);
    expect(source.panels!.columns.length).toBe(3);
    expect([...source.panels!.ends]).toEqual([2, 4, 8, 10]);
  });

  it("follow the cells into subsets, sources of several and sources opened again", async () => {
    const inner = new ConcatenatedSource([sourceOf(["C", "A"], 2), sourceOf(["B"], 3)], "inner");
    const outer = new ConcatenatedSource([sourceOf(["Z", "B"], 1), inner, sourceOf(["A"], 0)], "outer");
    expect(measuredBy(outer)).toEqual(["ZB", "CA", "CA", "B", "B", "B"]);
    const subset = subsetSource(outer, Int32Array.of(4, 1, 3, 3, 0, 5));
    expect(measuredBy(subset)).toEqual(["B", "CA", "B", "B", "ZB", "B"]);
    expect(measuredBy(await openSource(subset.descriptor()))).toEqual(measuredBy(subset));
    // Only cells of one panel are left, which is not that of the source.
    expect(measuredBy(subsetSource(outer, Int32Array.of(3, 4)))).toEqual(["B", "B"]);
  });

  it("are those of every cell's own source for any sources and subset", () => {
    const list = fc.uniqueArray(fc.constantFrom("A", "B", "C", "D", "E"), { minLength: 1 });
    const sources = fc.array(fc.tuple(list, fc.nat({ max: 3 })), { minLength: 1, maxLength: 6 });
    const property = fc.property(sources, fc.array(fc.nat(), { maxLength: 9 }), (parts, picks) => {
      const whole = new ConcatenatedSource(
        parts.map(([genes, cells]) => sourceOf(genes, cells)),
        "all",
      );
      const expected = parts.flatMap(([genes, cells]) =>
        Array.from({ length: cells }, () => [...genes].sort().join("")),
      );
      const sorted = (names: readonly string[]) => names.map((name) => [...name].sort().join(""));
      expect(sorted(measuredBy(whole))).toEqual(expected);
      if (expected.length === 0) return;
      const rows = Int32Array.from(picks, (pick) => pick % expected.length);
      const subset = subsetSource(whole, rows);
      expect(sorted(measuredBy(subset))).toEqual([...rows].map((row) => expected[row]!));
    });
    fc.assert(property, { numRuns: 200 });
  });
});

describe("panels of a vocabulary", () => {
  const vocabulary = GeneVocabulary.fromIds(["C", "A", "B"]);
  const tokenizer = new CellTokenizer({ vocabulary, strategy: new CountTokens() });

  it("are its genes that a cell measures; what it does not have makes no difference", () => {
    const parts = [["A", "X"], ["A", "B"], ["Y", "A"], ["X"]].map((genes) => sourceOf(genes, 2));
    const mapping = tokenizer.map(new ConcatenatedSource(parts, "all"));
    expect(mapping.panels.map((panel) => [...panel])).toEqual([[4], [4, 5], []]);
    expect(Array.from({ length: 8 }, (_, row) => mapping.panelOf(row))).toEqual([0, 0, 1, 1, 0, 0, 2, 2]);
    expect([...mapping.measured]).toEqual([4, 5]);
  });

  it("of one source are all its genes", () => {
    const mapping = tokenizer.map(sourceOf(["B", "X", "C"], 2));
    expect(mapping.panels.map((panel) => [...panel])).toEqual([[3, 5]]);
    expect(mapping.panelOf(1)).toBe(0);
  });

  it("of cells in memory are the genes that each names, zeros too", () => {
    const cells = collectCells([
      { genes: ["A", "C"], counts: [2, 0] },
      { genes: ["C", "A"], counts: [0, 1] },
      { genes: ["B"], counts: [7] },
    ]);
    const { batch } = tokenizer.tokenize(cells.block, tokenizer.map(cells), 0);
    expect([...batch.panels!]).toEqual([0, 0, 1]);
    expect([...batch.counts!]).toEqual([0, 2, 0, 1, 0, 7]);
    expect(tokenizer.map(cells).panels.map((panel) => [...panel])).toEqual([[3, 4], [5]]);
  });
});
