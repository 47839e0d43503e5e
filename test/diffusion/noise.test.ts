import { describe, expect, it } from "vitest";
import {
  type DiffusionConfig,
  defaultDiffusion,
  drawNoise,
  noiseConditioning,
  noiseSchedule,
  type ScheduleConfig,
} from "../../lib/diffusion/index.js";
import { correlated } from "../known_joint.js";

const VALUES = 51;
const cells = (count: number) => Float64Array.from({ length: count }, (_, i) => 1000 + i);
const configure = (change: Partial<DiffusionConfig>): DiffusionConfig => ({ ...defaultDiffusion, ...change });
const draw = (change: Partial<DiffusionConfig>, count: number, step = 0, seed = 1) =>
  drawNoise(configure(change), cells(count), { seed, step, values: VALUES });

/** Mean over many drawn times of weight * loss, for a loss that is a function of the move chance. */
function expectedLoss(change: Partial<DiffusionConfig>, loss: (moveChance: number) => number): number {
  const { moveChance, noise } = draw(change, 50_000);
  return moveChance.reduce((sum, m, i) => sum + noise.weight[i]! * loss(m), 0) / moveChance.length;
}

describe("times of a batch", () => {
  it("are spread evenly when antithetic, whatever the seed", () => {
    for (const seed of [0, 1, 2]) {
      const { time } = draw({ minimumTime: 1e-6 }, 10, 0, seed);
      const sorted = [...time].sort((a, b) => a - b);
      for (let i = 1; i < 10; i++) expect(sorted[i]! - sorted[i - 1]!).toBeCloseTo(0.1, 5);
    }
  });

  it("are uniform for every place of the batch when antithetic", () => {
    const bins = new Array<number>(10).fill(0);
    for (let step = 0; step < 2000; step++) bins[Math.floor(draw({}, 4, step).time[3]! * 10)]!++;
    for (const count of bins) expect(Math.abs(count - 200)).toBeLessThan(60);
  });

  it("are each cell's own when not antithetic", () => {
    const config = configure({ antithetic: false });
    const options = { seed: 5, step: 3, values: VALUES };
    const whole = drawNoise(config, Float64Array.of(7, 8, 9), options);
    const part = drawNoise(config, Float64Array.of(9, 7), options);
    expect([part.time[0], part.time[1]]).toEqual([whole.time[2], whole.time[0]]);
  });

  it("are never below the smallest time nor at 1", () => {
    const { time } = draw({ antithetic: false, minimumTime: 0.25 }, 5000);
    expect(Math.min(...time)).toBeGreaterThanOrEqual(0.25);
    expect(Math.min(...time)).toBeLessThan(0.26);
    expect(Math.max(...time)).toBeLessThan(1);
  });

  it("change with the step and with the seed, and repeat otherwise", () => {
    expect(draw({}, 4, 1).time).toEqual(draw({}, 4, 1).time);
    expect(draw({}, 4, 1).time).not.toEqual(draw({}, 4, 2).time);
    expect(draw({}, 4, 1, 8).time).not.toEqual(draw({}, 4, 1, 9).time);
  });

  it("lie on the grid 1/T .. 1 for d3pm, each grid time as often", () => {
    const counts = new Map<number, number>();
    const { time, noise } = draw({ objective: { kind: "d3pm", steps: 4 }, minimumTime: 1e-6 }, 4000);
    for (const t of time) counts.set(t, (counts.get(t) ?? 0) + 1);
    expect([...counts.keys()].sort()).toEqual([0.25, 0.5, 0.75, 1]);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThanOrEqual(2);
    expect(new Set(noise.weight)).toEqual(new Set([1]));
  });
});

describe("noise of a cell", () => {
  it("is that of the schedule at its time", () => {
    const { time, moveChance, noise } = draw({ schedule: { kind: "cosine" } }, 20);
    const schedule = noiseSchedule({ kind: "cosine" });
    for (const [i, t] of time.entries()) {
      expect(moveChance[i]).toBeCloseTo(schedule.moveChance(t), 12);
      expect(noise.sigma[i]).toBeCloseTo(schedule.sigma(t), 5);
      expect(noise.conditioning[i]).toBe(noise.sigma[i]);
      expect(noise.weight[i]! / (schedule.rate(t) / Math.expm1(schedule.sigma(t)))).toBeCloseTo(1, 5);
    }
  });

  it("weighs score entropy by the rate", () => {
    const { time, noise } = draw({ objective: { kind: "sedd" } }, 20);
    const schedule = noiseSchedule({ kind: "loglinear" });
    for (const [i, t] of time.entries()) expect(noise.weight[i]! / schedule.rate(t)).toBeCloseTo(1, 5);
  });

  it("has a weight for mean matching of the time weight over R - 1, where asked", () => {
    expect(draw({}, 3).noise.meanWeight).toBeUndefined();
    const { noise } = draw({ meanMatching: 2 }, 20);
    for (const [i, weight] of noise.weight.entries()) {
      expect(noise.meanWeight![i]! / ((2 * weight) / (VALUES - 1))).toBeCloseTo(1, 5);
    }
  });

  it("has one and the same weight under importance sampling and change of variables", () => {
    for (const change of [{ importanceSampling: true }, { changeOfVariables: true }]) {
      const { noise, moveChance } = draw(change, 100);
      expect(new Set(noise.weight).size).toBe(1);
      // log of 0.999 / 0.000999: the move chances at t = 1 and at t = 1e-3.
      expect(noise.weight[0]).toBeCloseTo(Math.log(1000) / 0.999, 4);
      expect(Math.min(...moveChance)).toBeGreaterThanOrEqual(0.000999 - 1e-12);
    }
  });

  it("is told to the network as t under change of variables", () => {
    const { time, noise } = draw({ changeOfVariables: true }, 20);
    for (const [i, t] of time.entries()) expect(noise.conditioning[i]).toBeCloseTo(t, 6);
  });

  it("is told to the network alike in training and when only the move chance is known", () => {
    for (const change of [{}, { importanceSampling: true }, { changeOfVariables: true }]) {
      const { moveChance, noise } = draw(change, 20);
      for (const [i, m] of moveChance.entries()) {
        expect(noise.conditioning[i]).toBeCloseTo(noiseConditioning(configure(change), m), 5);
      }
    }
  });
});

describe("the expected loss of a fixed predictor", () => {
  /** A loss that depends on how much is masked, times the share that is. */
  const loss = (m: number) => m * (0.3 + m * m);
  /** Integral of d log m (m (0.3 + m^2)) over the drawn move chances, over 1 - minimumTime. */
  const exact = (schedule: ScheduleConfig) => {
    const { moveChance } = noiseSchedule(schedule);
    const integral = (m: number) => 0.3 * m + m ** 3 / 3;
    return (integral(moveChance(1)) - integral(moveChance(1e-3))) / 0.999;
  };

  it.each<ScheduleConfig>([
    { kind: "loglinear" },
    { kind: "linear" },
    { kind: "geometric" },
    { kind: "cosine" },
    { kind: "cosine-squared" },
  ])("is the same under importance sampling and change of variables ($kind)", (schedule) => {
    for (const change of [{}, { importanceSampling: true }, { changeOfVariables: true }]) {
      for (const antithetic of [true, false]) {
        const estimate = expectedLoss({ schedule, antithetic, ...change }, loss);
        expect(Math.abs(estimate / exact(schedule) - 1)).toBeLessThan(antithetic ? 1e-3 : 3e-2);
      }
    }
  });

  it("is the same for score entropy under importance sampling", () => {
    // At a masked token the entropy of scores p / expm1(sigma) is the cross-entropy over expm1(sigma).
    const entropy = (m: number) => loss(m) / Math.expm1(-Math.log1p(-m));
    for (const change of [{}, { importanceSampling: true }]) {
      const estimate = expectedLoss({ objective: { kind: "sedd" }, ...change }, entropy);
      expect(Math.abs(estimate / exact({ kind: "loglinear" }) - 1)).toBeLessThan(1e-3);
    }
  });

  it("is the entropy of the data for a predictor that knows it, whatever the schedule", () => {
    for (const kind of ["loglinear", "linear", "geometric", "cosine", "cosine-squared"] as const) {
      const bound = expectedLoss({ schedule: { kind } }, conditionalEntropy);
      expect(Math.abs(bound / correlated.entropy - 1)).toBeLessThan(1e-2);
    }
  });
});

/** Sum over the masked tokens of H(token | tokens that are not masked), expected over what is masked with chance m. */
function conditionalEntropy(m: number): number {
  let total = 0;
  for (let masked = 0; masked < 2 ** correlated.positions; masked++) {
    const positions = [...Array(correlated.positions).keys()];
    const hidden = positions.filter((i) => (masked >> i) & 1);
    total += m ** hidden.length * (1 - m) ** (positions.length - hidden.length) * entropyOf(hidden);
  }
  return total;
}

const entropies = new Map<string, number>();

function entropyOf(hidden: readonly number[]): number {
  const key = hidden.join();
  const found = entropies.get(key);
  if (found !== undefined) return found;
  let total = 0;
  for (const [index, probability] of correlated.probabilities.entries()) {
    const outcome = correlated.outcome(index);
    const known = outcome.map((value, i) => (hidden.includes(i) ? undefined : value));
    for (const i of hidden) total -= probability * Math.log(correlated.conditional(i, known)[outcome[i]!]!);
  }
  entropies.set(key, total);
  return total;
}
