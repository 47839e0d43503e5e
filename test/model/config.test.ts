import { describe, expect, it } from "vitest";
import { checkConfig, modelConfig, presets } from "../../lib/model/config.js";
import type { CountShape } from "../../lib/native/types.js";

const nano = modelConfig({ preset: "nano", values: 51, geneVocabSize: 100 });

describe("model shapes", () => {
  it.each([
    ["nano", 128, 4, 2],
    ["tiny", 512, 8, 8],
    ["small", 768, 12, 12],
    ["medium", 1024, 24, 16],
  ] as const)("%s is %i wide with %i blocks and %i heads", (preset, hidden, blocks, heads) => {
    expect(presets[preset]).toMatchObject({ hidden, blocks, heads, condDim: 128, dropout: 0.1 });
  });

  it("has a token for every rank, the special one, the reserved one and the mask", () => {
    expect(nano.vocabSize).toBe(54);
  });

  it("takes changes to a preset", () => {
    const config = modelConfig({
      preset: "nano",
      changes: { dropout: 0, blocks: 2 },
      values: 51,
      geneVocabSize: 10,
    });
    expect(config).toMatchObject({ hidden: 128, blocks: 2, dropout: 0 });
  });

  it.each([
    [{ heads: 3 }, /MODEL_CONFIG: hidden 128 cannot be split into 3 heads.*multiple of 6/],
    [{ heads: 128 }, /MODEL_CONFIG/],
    [{ hidden: 1.5 }, /ARGUMENT_RANGE.*hidden/],
    [{ blocks: 0 }, /ARGUMENT_RANGE.*blocks/],
    [{ dropout: 1 }, /ARGUMENT_RANGE.*dropout/],
    [{ geneVocabSize: 3 }, /ARGUMENT_RANGE.*geneVocabSize/],
    [{ rotary: "yes" as unknown as boolean }, /ARGUMENT_TYPE.*rotary/],
  ])("refuses %o", (change, message) => {
    expect(() => checkConfig({ ...nano, ...change })).toThrow(message);
  });

  it("lets a cell's state move sizes in new models of counts, and not in those saved before it could", () => {
    const config = modelConfig({ preset: "nano", values: 177, geneVocabSize: 10, conditions: [] });
    const counts = config.counts as CountShape;
    expect(counts).toMatchObject({ learntSizes: true, sizesByState: true });
    const { sizesByState: _, ...before } = counts;
    expect(checkConfig({ ...config, counts: before as CountShape }).counts).toMatchObject({
      learntSizes: true,
      sizesByState: false,
    });
    const spoilt = { ...counts, sizesByState: 1 as unknown as boolean };
    expect(() => checkConfig({ ...config, counts: spoilt })).toThrow(/ARGUMENT_TYPE.*counts.sizesByState/);
  });

  it("refuses a preset it does not have, naming those it has", () => {
    expect(() => modelConfig({ preset: "huge" as "nano", values: 51, geneVocabSize: 10 })).toThrow(
      /ARGUMENT_CHOICE.*nano, tiny, small, medium.*huge/,
    );
  });
});
