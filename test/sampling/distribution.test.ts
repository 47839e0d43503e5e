import { describe, expect, it } from "vitest";
import { noiseSchedule, type ScheduleConfig } from "../../lib/diffusion/index.js";
import { type SamplingOptions, sample, sampleSteps } from "../../lib/sampling/index.js";
import { correlated, KnownJoint } from "../known_joint.js";
import { disagreement, misfit } from "../statistics.js";
import { countOutcomes, jointModel, maskedJointCells } from "./joint_model.js";

const CELLS = 10_000;

async function outcomes(
  options: SamplingOptions,
  model = jointModel(correlated),
  count = CELLS,
  known: readonly (number | undefined)[] = [],
): Promise<number[]> {
  const { batch } = await sample(model, maskedJointCells(correlated, count, known), options);
  return countOutcomes(correlated, batch);
}

describe("the distribution of sampled cells", () => {
  it("is the model's own under first-hitting sampling", async () => {
    expect(misfit(await outcomes({ seed: 1 }), correlated.probabilities)).toBeLessThan(1);
  });

  it("is the model's own under ancestral sampling with many steps", async () => {
    const sampler = { kind: "ancestral", steps: 400 } as const;
    expect(
      misfit(await outcomes({ sampler, seed: 2 }, undefined, 4000), correlated.probabilities),
    ).toBeLessThan(1);
  });

  it("is the model's own under cached ancestral sampling with many steps", async () => {
    const sampler = { kind: "cached-ancestral", steps: 200 } as const;
    expect(misfit(await outcomes({ sampler, seed: 3 }), correlated.probabilities)).toBeLessThan(1);
  });

  it("is the model's own under the analytic sampler of score entropy with many steps", async () => {
    const model = jointModel(correlated, { diffusion: { objective: { kind: "sedd" } } });
    const sampler = { kind: "analytic", steps: 100 } as const;
    expect(misfit(await outcomes({ sampler, seed: 4 }, model, 2000), correlated.probabilities)).toBeLessThan(
      1,
    );
  });

  it("is the same under first-hitting and cached ancestral sampling, and under other seeds", async () => {
    const exact = await outcomes({ seed: 5 });
    const cached = await outcomes({ sampler: { kind: "cached-ancestral", steps: 200 }, seed: 6 });
    expect(disagreement(exact, cached)).toBeLessThan(1);
    expect(disagreement(exact, await outcomes({ seed: 7 }))).toBeLessThan(1);
  });

  it("loses the dependence between tokens that are revealed in one step", async () => {
    const marginals = [0, 1, 2].map((i) => correlated.conditional(i, [undefined, undefined, undefined]));
    const independent = new KnownJoint(3, 3, (outcome) =>
      outcome.reduce((product, value, i) => product * marginals[i]![value]!, 1),
    );
    for (const sampler of [
      { kind: "ancestral", steps: 1 },
      { kind: "first-hitting", steps: 1 },
      { kind: "parallel", steps: 1 },
    ] as const) {
      const counts = await outcomes({ sampler, seed: 8 });
      expect(misfit(counts, independent.probabilities)).toBeLessThan(1);
      expect(misfit(counts, correlated.probabilities)).toBeGreaterThan(10);
    }
  });

  it("is the conditional one where there is evidence", async () => {
    const known = [undefined, 2, undefined];
    const given = correlated.probabilities.map((p, i) => (correlated.outcome(i)[1] === 2 ? p : 0));
    const total = given.reduce((sum, p) => sum + p, 0);
    const counts = await outcomes({ seed: 9 }, undefined, CELLS, known);
    expect(
      misfit(
        counts,
        given.map((p) => p / total),
      ),
    ).toBeLessThan(1);
  });

  it("does not hang on the schedule under first-hitting sampling", async () => {
    for (const kind of ["linear", "geometric", "cosine"] as const) {
      const model = jointModel(correlated, { diffusion: { schedule: { kind } } });
      expect(misfit(await outcomes({ seed: 10 }, model, 5000), correlated.probabilities)).toBeLessThan(1);
    }
  });

  it("does not hang on the objective a model was trained for", async () => {
    for (const objective of [{ kind: "d3pm", steps: 1000 }, { kind: "sedd" }] as const) {
      const model = jointModel(correlated, { diffusion: { objective } });
      for (const sampler of [{ kind: "first-hitting" }, { kind: "cached-ancestral", steps: 200 }] as const) {
        expect(
          misfit(await outcomes({ sampler, seed: 11 }, model, 5000), correlated.probabilities),
        ).toBeLessThan(1);
      }
    }
  });
});

describe("temperature", () => {
  const one = new KnownJoint(1, 4, ([value = 0]) => [4, 3, 2, 1][value]!);

  async function frequencies(temperature: number): Promise<number[]> {
    const { batch } = await sample(jointModel(one), maskedJointCells(one, CELLS), { temperature, seed: 12 });
    return countOutcomes(one, batch);
  }

  it("takes probabilities to the power 1 / temperature", async () => {
    for (const temperature of [0.5, 1, 2]) {
      const powers = [4, 3, 2, 1].map((weight) => weight ** (1 / temperature));
      const total = powers.reduce((sum, weight) => sum + weight, 0);
      const counts = await frequencies(temperature);
      expect(
        misfit(
          counts,
          powers.map((weight) => weight / total),
        ),
      ).toBeLessThan(1);
    }
  });

  it("takes the most probable value at 0", async () => {
    expect(await frequencies(0)).toEqual([CELLS, 0, 0, 0]);
  });
});

describe("the number of masked tokens", () => {
  const wide = new KnownJoint(5, 2, () => 1);
  const count = 1000;
  const total = count * wide.positions;

  it.each<ScheduleConfig>([
    { kind: "loglinear" },
    { kind: "linear" },
    { kind: "geometric" },
    { kind: "cosine" },
    { kind: "cosine-squared" },
  ])("follows the $kind schedule under ancestral sampling", async (schedule) => {
    const model = jointModel(wide, { diffusion: { schedule } });
    const { moveChance } = noiseSchedule(schedule);
    for (const sampler of [
      { kind: "ancestral", steps: 10 },
      { kind: "analytic", steps: 10 },
    ] as const) {
      for await (const { time, masked, step } of sampleSteps(model, maskedJointCells(wide, count), {
        sampler,
        seed: 13,
      })) {
        const expected = step === 10 ? 0 : moveChance(time[0]!) / moveChance(1);
        const observed = masked.reduce((sum, n) => sum + n, 0) / total;
        expect(Math.abs(observed - expected)).toBeLessThanOrEqual(
          4.5 * Math.sqrt((expected * (1 - expected)) / total),
        );
      }
    }
  });

  it("follows the schedule for scores too, until the last step takes all", async () => {
    const model = jointModel(wide, {
      diffusion: { objective: { kind: "sedd" }, schedule: { kind: "geometric" } },
    });
    const { moveChance } = noiseSchedule({ kind: "geometric" });
    const sampler = { kind: "analytic", steps: 8 } as const;
    for await (const { time, masked, step } of sampleSteps(model, maskedJointCells(wide, count), {
      sampler,
      seed: 14,
    })) {
      const expected = step === 8 ? 0 : moveChance(time[0]!) / moveChance(1);
      const observed = masked.reduce((sum, n) => sum + n, 0) / total;
      expect(Math.abs(observed - expected)).toBeLessThanOrEqual(
        4.5 * Math.sqrt((expected * (1 - expected)) / total),
      );
    }
  });

  it("falls more slowly for a d3pm model that leaves mass on the mask", async () => {
    const maskMass = 0.6;
    const model = jointModel(wide, { diffusion: { objective: { kind: "d3pm", steps: 100 } }, maskMass });
    const sampler = { kind: "ancestral", steps: 4 } as const;
    const counts: number[] = [];
    for await (const { masked } of sampleSteps(model, maskedJointCells(wide, count), { sampler, seed: 15 })) {
      counts.push(masked.reduce((sum, n) => sum + n, 0) / total);
    }
    // From 1 to 3/4: values get (1/4) (1 - maskMass), the mask 3/4.
    const left = 0.75 / (0.75 + 0.25 * (1 - maskMass));
    expect(Math.abs(counts[1]! - left)).toBeLessThan(4.5 * Math.sqrt((left * (1 - left)) / total));
    expect(counts.at(-1)).toBe(0);
  });

  it("falls by one at times that are ordered uniform move chances under first-hitting sampling", async () => {
    const schedule = { kind: "cosine" } as const;
    const { moveChance } = noiseSchedule(schedule);
    const model = jointModel(wide, { diffusion: { schedule } });
    for await (const { step, time, masked } of sampleSteps(model, maskedJointCells(wide, 2000), {
      seed: 16,
    })) {
      expect(new Set(masked)).toEqual(new Set([5 - step]));
      if (step === 0) continue;
      // The k-th largest of five uniform numbers has mean (6 - k) / 6.
      const mean = time.reduce((sum, t) => sum + moveChance(t) / moveChance(1), 0) / 2000;
      expect(Math.abs(mean - (6 - step) / 6)).toBeLessThan(0.015);
    }
  });

  it("reveals every position first equally often under first-hitting sampling", async () => {
    const first = new Array<number>(5).fill(0);
    for await (const { step, tokens } of sampleSteps(jointModel(wide), maskedJointCells(wide, 5000), {
      seed: 17,
    })) {
      if (step !== 1) continue;
      for (const [row, token] of tokens.entries()) if (token !== 4) first[row % 5]!++;
    }
    expect(misfit(first, new Array(5).fill(0.2))).toBeLessThan(1);
  });
});
