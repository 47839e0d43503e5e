import { totalmem } from "node:os";
import { describe, expect, it } from "vitest";
import { modelConfig } from "../../lib/model/config.js";
import { estimateMemory, machineMemory } from "../../lib/model/memory.js";

const config = modelConfig({ preset: "tiny", values: 51, geneVocabSize: 20_000 });
const batch = { cells: 4, tokens: 4096, longest: 1024, maskedShare: 0.5 };

describe("estimateMemory", () => {
  it("counts weights, gradient, two moments and the moving average of a model that is trained", async () => {
    const { parameters, activations, scratch, total } = await estimateMemory(config, { batch });
    const { hidden: d, blocks, condDim, vocabSize, geneVocabSize } = config;
    const modulation = (6 * blocks + 2) * d * (condDim + 1);
    const block = 12 * d * d + 2 * d + 5 * d;
    const conditioning = 256 * condDim + condDim * condDim + 2 * condDim;
    const count =
      (vocabSize + geneVocabSize) * d + conditioning + blocks * block + modulation + d + vocabSize * (d + 1);
    // Each parameter begins on a line of 16 values.
    expect(parameters).toBeGreaterThanOrEqual(5 * 4 * count);
    expect(parameters).toBeLessThan(5 * 4 * (count + 16 * 10 * (blocks + 2)));
    expect(total).toBe(parameters + activations + scratch);
  });

  it("grows with the tokens of a batch, and hardly with the cells", async () => {
    const activations = async (cells: number, tokens: number) =>
      (await estimateMemory(config, { batch: { cells, tokens, longest: 1024 } })).activations;
    const one = await activations(4, 4096);
    expect((await activations(8, 8192)) / one).toBeCloseTo(2, 1);
    expect((await activations(8, 4096)) / one).toBeCloseTo(1, 1);
  });

  it("is far less where activations are computed again, in bf16, and for predictions", async () => {
    const kept = await estimateMemory(config, { batch });
    const recomputed = await estimateMemory(config, { batch, recompute: true });
    const half = await estimateMemory(config, { batch, dtype: "bf16" });
    const predicting = await estimateMemory(config, { batch, work: "predict" });
    expect(recomputed.parameters).toBe(kept.parameters);
    expect(recomputed.activations).toBeLessThan(0.45 * kept.activations);
    expect(half.activations).toBeLessThan(0.7 * kept.activations);
    // The parameters alone, beside them gradients, averages and the optimizer's two moments.
    expect(Math.abs(predicting.parameters - kept.parameters / 5)).toBeLessThan(64);
    expect(predicting.activations).toBeLessThan(0.3 * kept.activations);
    // A quarter of the two moments.
    const shared = await estimateMemory(config, { batch, optimizerShare: { index: 1, count: 4 } });
    expect(Math.abs(shared.parameters - (kept.parameters * 3.5) / 5)).toBeLessThan(256);
    expect(shared.activations).toBe(kept.activations);
  });

  it("refuses a batch that cannot be", async () => {
    const refused = (shape: Partial<typeof batch>) =>
      expect(estimateMemory(config, { batch: { ...batch, ...shape } })).rejects.toMatchObject({
        code: "ARGUMENT_RANGE",
      });
    await refused({ cells: 0 });
    await refused({ longest: 100 });
    await refused({ longest: 5000 });
    await refused({ maskedShare: 1.5 });
  });
});

describe("machineMemory", () => {
  it("names no more than the machine has", () => {
    const { available, total } = machineMemory("cpu");
    expect(available).toBeGreaterThan(0);
    expect(total).toBeLessThanOrEqual(totalmem());
    expect(available).toBeLessThanOrEqual(total);
  });
});
