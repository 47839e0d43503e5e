import { describe, expect, it } from "vitest";
import { tokenizeRows } from "../../lib/batching/index.js";
import { CellConditions } from "../../lib/conditions/cell_conditions.js";
import { learnConditions } from "../../lib/conditions/learn.js";
import { DepthSample } from "../../lib/counts/depth_sample.js";
import { DepthStatistics } from "../../lib/counts/depth_statistics.js";
import { MemorySource } from "../../lib/data/sources/memory.js";
import { simulateCells } from "../../lib/data/sources/simulate.js";
import { CellTokenizer, CountTokens, GeneVocabulary } from "../../lib/tokenizer/index.js";

const sample = new DepthSample(Float64Array.of(10, 20, 30, 40), {
  labels: Int32Array.of(1, 2, 1, 0),
  numbers: Float32Array.of(0, 5, Number.NaN, 2),
});
const sizes = { labels: 1, numbers: 1 };

describe("a sample of depths", () => {
  it("holds the totals of cells that measure every gene, and what they are told", async () => {
    const source = new MemorySource(simulateCells({ cells: 30, genes: 20, seed: 1 }).cells);
    const vocabulary = GeneVocabulary.from(source);
    const tokenizer = new CellTokenizer({ vocabulary, strategy: new CountTokens() });
    const { panels } = tokenizer.map(source);
    const { batch } = await tokenizeRows(
      source,
      tokenizer,
      Int32Array.from({ length: 30 }, (_, row) => row),
    );
    const statistics = new DepthStatistics(vocabulary.size, panels);
    statistics.add(batch);
    const { conditions } = await learnConditions(source, ["cell_type"]);
    const told = (await CellConditions.read(source, conditions)).of(batch.cells);
    const { depth, told: kept } = DepthSample.of(batch, panels, statistics.base(), told);
    const block = await source.read(Int32Array.from(batch.cells));
    for (const [cell, value] of depth.entries()) {
      const total = block.counts
        .subarray(block.offsets[cell], block.offsets[cell + 1])
        .reduce((a, b) => a + b, 0);
      expect(value).toBeCloseTo(total, 9);
    }
    expect(kept).toEqual(told);
  });

  it("is read from what it was written as, and from nothing else", () => {
    const json = JSON.parse(JSON.stringify(sample)) as object;
    expect(DepthSample.fromJSON(json, sizes, "depths.json")).toEqual(sample);
    const damages: readonly [object, { labels: number; numbers: number }?][] = [
      [{}],
      [{ ...json, depth: [1, 2, -3, 4] }],
      [{ ...json, depth: [1, 2, 3] }],
      [{ ...json, labels: [1, 2, 1, 0.5] }],
      [{ ...json, numbers: ["a", 1, 2, 3] }],
      [{ ...json, numbers: null }],
      [json, { labels: 2, numbers: 1 }],
    ];
    for (const [damaged, other = sizes] of damages)
      expect(() => DepthSample.fromJSON(damaged, other, "depths.json")).toThrow(
        /CHECKPOINT_CONFIG: depths.json/,
      );
  });

  it("finds the cells of labels, and of these the nearest to a number", () => {
    const find = (label?: number, number?: number) => [
      ...sample.matching({ labels: [label], numbers: [number] }),
    ];
    expect(find()).toEqual([0, 1, 2, 3]);
    expect(find(1)).toEqual([0, 2]);
    expect(find(7)).toEqual([]);
    expect(find(undefined, 3)).toEqual([3, 1, 0, 2]);
    const many = new DepthSample(new Float64Array(200), {
      labels: new Int32Array(0),
      numbers: Float32Array.from({ length: 200 }, (_, i) => i),
    });
    const near = [...many.matching({ labels: [], numbers: [100] })].sort((a, b) => a - b);
    expect(near).toEqual(Array.from({ length: 50 }, (_, i) => 75 + i));
  });
});
