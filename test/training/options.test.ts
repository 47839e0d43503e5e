import { describe, expect, it } from "vitest";
import { interval, optionsOf, trainerSettings } from "../../lib/training/options.js";

describe("trainer options", () => {
  it("have the published defaults", () => {
    expect(trainerSettings({}, 1024)).toEqual({
      learningRate: 3e-4,
      schedule: null,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 0,
      clip: 1,
      accumulation: 1,
      recompute: false,
      ema: 0.9999,
      limit: { kind: "cells", cells: 64 },
      maxLength: 1024,
      lengthBuckets: false,
      prefetch: 4,
      worker: true,
      allowFractional: false,
      seed: 0,
      where: null,
      validation: { fraction: 0.1, where: null, every: null, cells: 512 },
      checkpoint: { every: null, keep: 2 },
    });
  });

  it.each([
    [{}],
    [{ batchTokens: 4096, validation: false, schedule: { kind: "constant" } }],
    [{ where: "depth > 3", validation: { where: "drug = 'x'", cells: 9 } }],
    [
      {
        validation: { every: 7 },
        checkpoint: { every: 3, keep: 1 },
        accumulation: 2,
        maxLength: 50,
        recompute: true,
      },
    ],
  ] as const)("come back whole from the settings saved for %o", (options) => {
    const settings = trainerSettings(options, 1024);
    expect(trainerSettings(optionsOf(JSON.parse(JSON.stringify(settings))), 9)).toEqual(settings);
  });

  it.each([
    [{ learningRate: 0 }, /learningRate/],
    [{ learningRate: Number.NaN }, /learningRate/],
    [{ beta1: 1 }, /beta1/],
    [{ ema: 1 }, /ema/],
    [{ accumulation: 0 }, /accumulation/],
    [{ batchCells: 0 }, /batchCells/],
    [{ batchTokens: 1.5 }, /batchTokens/],
    [{ validation: { fraction: 1 } }, /validation.fraction/],
    [{ checkpoint: { keep: 0 } }, /checkpoint.keep/],
    [{ seed: -1 }, /seed/],
  ])("refuse %o by name", (options, name) => {
    expect(() => trainerSettings(options, 1024)).toThrow(/ARGUMENT_RANGE/);
    expect(() => trainerSettings(options, 1024)).toThrow(name);
  });

  it("refuse a batch size in cells and in tokens at once", () => {
    expect(() => trainerSettings({ batchCells: 1, batchTokens: 1 }, 1024)).toThrow(/BATCH_SIZE_TWICE/);
  });

  it("refuse a share and a condition of held-out cells at once", () => {
    const options = { validation: { fraction: 0.1, where: "drug = 'x'" } };
    expect(() => trainerSettings(options, 1024)).toThrow(/ARGUMENT_CONFLICT/);
  });

  it("validate and save ten times in a short run, every 500 steps in a long one", () => {
    expect(interval(null, 1000)).toBe(100);
    expect(interval(null, 3)).toBe(1);
    expect(interval(null, 1e6)).toBe(500);
    expect(interval(null, undefined)).toBe(500);
    expect(interval(20, 1000)).toBe(20);
  });
});
