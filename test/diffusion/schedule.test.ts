import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { lossWeight, noiseSchedule, type ScheduleConfig } from "../../lib/diffusion/index.js";
import { SafetensorsFile } from "../../lib/model/safetensors.js";

const fixtures = new URL("../fixtures/schedules.safetensors", import.meta.url).pathname;

const schedules: readonly ScheduleConfig[] = [
  { kind: "loglinear" },
  { kind: "linear" },
  { kind: "geometric" },
  { kind: "cosine" },
  { kind: "cosine-squared" },
];

/** |actual - expected| / |expected|, in the 2-norm. */
function relativeError(actual: ArrayLike<number>, expected: Float32Array): number {
  const difference = expected.map((value, i) => actual[i]! - value);
  return Math.hypot(...difference) / Math.hypot(...expected);
}

describe.each(schedules)("the $kind schedule", (config) => {
  const schedule = noiseSchedule(config);

  it("has the reference's noise and rate", async () => {
    await using file = await SafetensorsFile.open(fixtures);
    const name = config.kind === "cosine-squared" ? "cosinesqr" : config.kind;
    const times = await file.read("in.t");
    const sigma = await file.read(`out.${name}.sigma`);
    const rate = await file.read(`out.${name}.dsigma`);
    expect(times.length).toBe(99);
    expect(relativeError(times.map(schedule.sigma), sigma)).toBeLessThan(1e-5);
    expect(relativeError(times.map(schedule.rate), rate)).toBeLessThan(1e-5);
    // The reference takes the logarithm of a float32 near one: small noise has that number's rounding, no more.
    for (const [i, time] of times.entries()) {
      expect(Math.abs(schedule.sigma(time) - sigma[i]!)).toBeLessThan(2e-7 + 1e-5 * sigma[i]!);
      expect(Math.abs(schedule.rate(time) / rate[i]! - 1)).toBeLessThan(1e-5);
    }
  });

  it("has a rate that is the derivative of its noise", () => {
    const h = 1e-5;
    for (let time = 0.01; time < 0.995; time += 0.01) {
      const slope = (schedule.sigma(time + h) - schedule.sigma(time - h)) / (2 * h);
      expect(Math.abs(schedule.rate(time) / slope - 1)).toBeLessThan(1e-6);
    }
  });

  it("has a loss weight that is the derivative of the logarithm of the move chance", () => {
    const h = 1e-6;
    for (let time = 0.01; time < 0.995; time += 0.01) {
      const slope = Math.log(schedule.moveChance(time + h) / schedule.moveChance(time - h)) / (2 * h);
      expect(Math.abs(lossWeight(schedule, time) / slope - 1)).toBeLessThan(1e-6);
    }
  });

  it("has a move chance of 1 - exp(-sigma)", () => {
    for (let time = 0.01; time < 1; time += 0.01) {
      expect(schedule.moveChance(time)).toBeCloseTo(1 - Math.exp(-schedule.sigma(time)), 12);
    }
  });

  it("finds the time of a move chance", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-4, max: 1 - 1e-6, noNaN: true }), (time) => {
        expect(schedule.timeOf(schedule.moveChance(time))).toBeCloseTo(time, 7);
      }),
    );
  });

  it("stays within 0 and 1 for move chances it does not reach", () => {
    expect(schedule.timeOf(0)).toBe(0);
    expect(schedule.timeOf(1)).toBe(1);
    expect(schedule.timeOf(schedule.moveChance(1))).toBeCloseTo(1, 7);
  });
});

describe("constants of a schedule", () => {
  it("are taken from the configuration", () => {
    expect(noiseSchedule({ kind: "loglinear", eps: 0.1 }).moveChance(1)).toBeCloseTo(0.9, 12);
    expect(noiseSchedule({ kind: "geometric", min: 0.01, max: 4 }).sigma(0)).toBeCloseTo(0.01, 12);
    expect(noiseSchedule({ kind: "linear", min: 0.01, max: 4 }).sigma(1)).toBeCloseTo(4, 12);
  });

  it("are refused where they make no schedule", () => {
    expect(() => noiseSchedule({ kind: "loglinear", eps: 0 })).toThrow("ARGUMENT_RANGE");
    expect(() => noiseSchedule({ kind: "linear", min: 2, max: 1 })).toThrow("DIFFUSION_CONFIG");
    expect(() => noiseSchedule({ kind: "square" } as never)).toThrow(
      "DIFFUSION_CONFIG: expected one of loglinear, linear, geometric, cosine, cosine-squared for schedule.kind but received square",
    );
  });
});
