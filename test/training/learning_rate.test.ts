import { describe, expect, it } from "vitest";
import { learningRateFactor, resolveSchedule } from "../../lib/training/learning_rate.js";

describe("learning-rate schedules", () => {
  it("rise linearly over the warm-up and reach the full rate at its last step", () => {
    const schedule = { kind: "constant", warmup: 4 } as const;
    expect([1, 2, 3, 4, 5, 1e6].map((step) => learningRateFactor(schedule, step))).toEqual([
      0.25, 0.5, 0.75, 1, 1, 1,
    ]);
  });

  it("start at the full rate without a warm-up", () => {
    expect(learningRateFactor({ kind: "constant", warmup: 0 }, 1)).toBe(1);
  });

  it("follow half a cosine from the end of the warm-up to the last step", () => {
    const schedule = { kind: "cosine", warmup: 10, final: 0.2 } as const;
    expect(learningRateFactor(schedule, 10, 110)).toBe(1);
    expect(learningRateFactor(schedule, 60, 110)).toBeCloseTo(0.6, 12);
    expect(learningRateFactor(schedule, 110, 110)).toBeCloseTo(0.2, 12);
    expect(learningRateFactor(schedule, 500, 110)).toBeCloseTo(0.2, 12);
  });

  it("suit a short run by default: a tenth of it is warm-up, the rest decays", () => {
    expect(resolveSchedule(undefined, 1000)).toEqual({ kind: "cosine", warmup: 100, final: 0.05 });
  });

  it("keep the published warm-up in a long run and stay constant in one without end", () => {
    expect(resolveSchedule(undefined, 1e6)).toMatchObject({ kind: "cosine", warmup: 2500 });
    expect(resolveSchedule(undefined, undefined)).toEqual({ kind: "constant", warmup: 2500 });
  });

  it("keep what was asked for", () => {
    expect(resolveSchedule({ kind: "constant", warmup: 7 }, 10)).toEqual({ kind: "constant", warmup: 7 });
    expect(resolveSchedule({ kind: "cosine", final: 0 }, 10)).toEqual({
      kind: "cosine",
      warmup: 1,
      final: 0,
    });
  });

  it("refuse a cosine without an end, and numbers out of range", () => {
    expect(() => resolveSchedule({ kind: "cosine" }, undefined)).toThrow(/SCHEDULE_NEEDS_STEPS/);
    expect(() => resolveSchedule({ kind: "constant", warmup: -1 }, 10)).toThrow(/ARGUMENT_RANGE.*warmup/);
    expect(() => resolveSchedule({ kind: "cosine", final: 2 }, 10)).toThrow(/ARGUMENT_RANGE.*final/);
    expect(() => resolveSchedule({ kind: "step" } as never, 10)).toThrow(/ARGUMENT_CHOICE.*constant, cosine/);
  });
});
