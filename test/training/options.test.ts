import { describe, expect, it } from "vitest";
import { interval, optionsOf, trainerSettings } from "../../lib/training/options.js";

const ranks = { maxLength: 1024, ofCounts: false, hidden: 128 } as const;
const counts = { maxLength: 1024, ofCounts: true, hidden: 128 } as const;

describe("trainer options", () => {
  it("of ranks have the published defaults", () => {
    expect(trainerSettings({}, ranks)).toEqual({
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
      lanes: 1,
      prefetch: 4,
      worker: true,
      allowFractional: false,
      seed: 0,
      where: null,
      validation: { fraction: 0.1, where: null, every: null, cells: 512 },
      checkpoint: { every: null, keep: 2 },
      queries: null,
      patience: 0,
    });
  });

  it("of counts have the measured defaults, and those of ranks for all else", () => {
    expect(trainerSettings({}, counts)).toEqual({
      ...trainerSettings({}, ranks),
      learningRate: 2e-3,
      weightDecay: 0.01,
      ema: 0.995,
      patience: 5,
      queries: {
        zeros: 64,
        expressed: null,
        thinning: 0,
        mostlyHidden: 2,
        totalGiven: 0.25,
        stateRate: 3,
        conditionDrop: 0.2,
      },
    });
  });

  it("of counts take some of the queries' settings and keep the others' defaults", () => {
    const { queries } = trainerSettings({ queries: { zeros: 8, thinning: 0.5 } }, counts);
    expect(queries).toEqual({
      zeros: 8,
      expressed: null,
      thinning: 0.5,
      mostlyHidden: 2,
      totalGiven: 0.25,
      stateRate: 3,
      conditionDrop: 0.2,
    });
  });

  it("refuse queries for a model of ranks, and say what to make instead", () => {
    expect(() => trainerSettings({ queries: {} }, ranks)).toThrow(
      /ARGUMENT_CONFLICT: queries are for models of counts; .* make a model of counts/,
    );
  });

  it.each([
    [{ zeros: 0 }, "queries.zeros"],
    [{ expressed: 1.5 }, "queries.expressed"],
    [{ thinning: 1 }, "queries.thinning"],
    [{ mostlyHidden: 0.5 }, "queries.mostlyHidden"],
    [{ totalGiven: -0.1 }, "queries.totalGiven"],
    [{ conditionDrop: Number.NaN }, "queries.conditionDrop"],
  ])("refuse the queries %o by name", (queries, name) => {
    expect(() => trainerSettings({ queries }, counts)).toThrow(new RegExp(`ARGUMENT_RANGE.*${name}`));
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
    for (const model of [ranks, counts]) {
      const settings = trainerSettings(options, model);
      const again = optionsOf(JSON.parse(JSON.stringify(settings)));
      expect(trainerSettings(again, { ...model, maxLength: 9 })).toEqual(settings);
    }
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
    expect(() => trainerSettings(options, ranks)).toThrow(/ARGUMENT_RANGE/);
    expect(() => trainerSettings(options, ranks)).toThrow(name);
  });

  it("refuse a batch size in cells and in tokens at once", () => {
    expect(() => trainerSettings({ batchCells: 1, batchTokens: 1 }, ranks)).toThrow(/BATCH_SIZE_TWICE/);
  });

  it("refuse a share and a condition of held-out cells at once", () => {
    const options = { validation: { fraction: 0.1, where: "drug = 'x'" } };
    expect(() => trainerSettings(options, ranks)).toThrow(/ARGUMENT_CONFLICT/);
  });

  it("validate and save ten times in a short run, every 500 steps in a long one", () => {
    expect(interval(null, 1000)).toBe(100);
    expect(interval(null, 3)).toBe(1);
    expect(interval(null, 1e6)).toBe(500);
    expect(interval(null, undefined)).toBe(500);
    expect(interval(20, 1000)).toBe(20);
  });
});
