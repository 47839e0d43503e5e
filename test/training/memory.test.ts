import { describe, expect, it } from "vitest";
import { cellLengths } from "../../lib/batching/collate.js";
import { BatchLoader, tokenizeRows } from "../../lib/batching/index.js";
import { MemorySource } from "../../lib/data/sources/memory.js";
import { Denoiser } from "../../lib/model/denoiser.js";
import type { NativeCountLossInput } from "../../lib/native/types.js";
import { GeneVocabulary } from "../../lib/tokenizer/index.js";
import { batchTask } from "../../lib/training/kinds.js";
import { estimateTrainingMemory, largestBatch } from "../../lib/training/memory.js";
import { trainerSettings } from "../../lib/training/options.js";
import { smallCells } from "../batching/small_source.js";
import { learnBase, smallCountModel } from "./small_counts.js";
import { smallModel, smallSource } from "./small_run.js";

const source = smallSource();
const description = Denoiser.describe({
  values: "ranks",
  vocabulary: GeneVocabulary.from(source),
  shape: { hidden: 32, heads: 2, blocks: 4, condDim: 16 },
  tokenizer: { maxLength: 24 },
});

describe("estimateTrainingMemory", () => {
  it("expects a batch as large as the limit in tokens, of cells as they are long", async () => {
    const { batch } = await tokenizeRows(
      source,
      description.tokenizer,
      Int32Array.from({ length: 160 }, (_, i) => i),
    );
    const lengths = cellLengths(batch);
    const expected = await largestBatch(source, description.tokenizer, {
      limit: { kind: "tokens", tokens: 200 },
      lengthBuckets: true,
      lanes: 1,
      maxLength: 24,
      queries: null,
    });
    expect(expected).toMatchObject({ tokens: 200, longest: Math.max(...lengths), maskedShare: 1 });
    expect(expected.cells).toBeGreaterThanOrEqual(Math.ceil(200 / Math.max(...lengths)));
    expect(expected.cells).toBeLessThanOrEqual(Math.ceil(200 / Math.min(...lengths)));
  });

  it("is not exceeded by any batch of an epoch", async () => {
    for (const lengthBuckets of [false, true]) {
      const limit = { kind: "cells", cells: 16 } as const;
      const expected = await largestBatch(source, description.tokenizer, {
        limit,
        lengthBuckets,
        lanes: 1,
        maxLength: 24,
        queries: null,
      });
      await using loader = new BatchLoader(source, description.tokenizer, {
        limit,
        lengthBuckets,
        seed: 3,
        worker: false,
      });
      for (let i = 0; i < 10; i++) {
        const { value } = await loader.next();
        expect(value?.batch.cells.length).toBeLessThanOrEqual(expected.cells);
        expect(value?.batch.tokens.length).toBeLessThanOrEqual(expected.tokens);
      }
    }
  });

  it("is not exceeded by what a rank has of any batch, whatever its lanes hold", async () => {
    // Cells of the first parts are short, those of the last are long.
    const rows = Array.from({ length: 640 }, (_, cell) => 2 + Math.floor((20 * cell) / 640));
    const sorted = new MemorySource(
      smallCells(
        rows.map((length) => Array.from({ length }, (_, gene) => [gene, 1 + gene] as const)),
        24,
      ),
    );
    const partBounds = Float64Array.from({ length: 33 }, (_, part) => 20 * part);
    const cells = Object.assign(sorted, { partBounds });
    const { tokenizer } = Denoiser.describe({
      values: "ranks",
      vocabulary: GeneVocabulary.from(cells),
      shape: { hidden: 32, heads: 2, blocks: 4, condDim: 16 },
      tokenizer: { maxLength: 24 },
    });
    const limit = { kind: "cells", cells: 64 } as const;
    for (const [lanes, world] of [
      [8, 2],
      [8, 4],
      [5, 3],
    ] as const) {
      const settings = { limit, lengthBuckets: false, lanes, maxLength: 24, queries: null };
      const expected = await largestBatch(cells, tokenizer, settings, world);
      let [most, mostCells] = [0, 0];
      for (let rank = 0; rank < world; rank++) {
        const share = { rank, world };
        await using loader = new BatchLoader(cells, tokenizer, {
          limit,
          lanes,
          share,
          seed: 3,
          worker: false,
          epochs: 2,
        });
        for await (const { batch } of loader) {
          most = Math.max(most, batch.tokens.length);
          mostCells = Math.max(mostCells, batch.cells.length);
        }
      }
      expect(most).toBeLessThanOrEqual(expected.tokens);
      expect(mostCells).toBeLessThanOrEqual(expected.cells);
      expect(expected.cells).toBeLessThanOrEqual(64 * (2 / world) + 3);
    }
  });

  it("is not exceeded by a step on counts, nor much too large where few expressed genes are asked about", async () => {
    using model = await smallCountModel();
    await learnBase(model, source);
    const settings = trainerSettings(
      { queries: { zeros: 4, expressed: 3 } },
      { maxLength: model.tokenizer.maxLength, ofCounts: true, hidden: 32 },
    );
    const expected = await largestBatch(source, model.tokenizer, {
      ...settings,
      limit: { kind: "cells", cells: 40 },
    });
    const rows = Int32Array.from({ length: 40 }, (_, cell) => 4 * cell);
    const { batch } = await tokenizeRows(source, model.tokenizer, rows);
    const task = await batchTask(model, batch, settings);
    const [tokens, longest]: [number[], number[]] = [[], []];
    for (let step = 1; step <= 50; step++) {
      const { tokens: all, inputs } = await task.stepInput([batch], { seed: 1, step });
      tokens.push(all);
      for (const { rows } of inputs as readonly NativeCountLossInput[])
        for (let cell = 0; cell < 40; cell++) longest.push(rows.offsets[cell + 1]! - rows.offsets[cell]!);
    }
    expect(Math.max(...tokens)).toBeLessThanOrEqual(expected.tokens);
    expect(Math.max(...longest)).toBeLessThanOrEqual(expected.longest);
    const mean = tokens.reduce((sum, one) => sum + one, 0) / tokens.length;
    expect(expected.tokens).toBeLessThan(1.4 * mean);
  });

  it("never expects more than all cells of the data", async () => {
    const { batch } = await estimateTrainingMemory(description, source, { batchTokens: 1_000_000 });
    expect(batch.tokens).toBeLessThanOrEqual(160 * 24);
    const { batch: cells } = await estimateTrainingMemory(description, source, { batchCells: 10_000 });
    expect(cells.cells).toBe(160);
  });

  it("is what a trainer's model is made to reserve, and less with recomputation", async () => {
    const options = { batchCells: 8, validation: false } as const;
    const kept = await estimateTrainingMemory(description, source, options);
    const recomputed = await estimateTrainingMemory(description, source, { ...options, recompute: true });
    expect(recomputed.activations).toBeLessThan(kept.activations);
    using model = await smallModel({ shape: { hidden: 32, heads: 2, blocks: 4, condDim: 16 } });
    const { cells, tokens, longest } = kept.batch;
    const reserved = await model.native.reserve({
      work: "train",
      batch: { cells, tokens, longest, masked: tokens },
      recompute: false,
      severalBatches: false,
      validation: false,
    });
    expect(reserved).toEqual({
      parameters: kept.parameters,
      activations: kept.activations,
      scratch: kept.scratch,
    });
  });
});
