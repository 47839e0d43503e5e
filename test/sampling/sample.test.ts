import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concatenateBatches, selectCells } from "../../lib/batching/collate.js";
import { noiseSchedule } from "../../lib/diffusion/index.js";
import { type SamplerConfig, sample, sampleSteps } from "../../lib/sampling/index.js";
import type { RaggedBatch } from "../../lib/tokenizer/ragged_batch.js";
import { correlated, KnownJoint } from "../known_joint.js";
import { jointModel, maskedJointCells } from "./joint_model.js";

const wide = new KnownJoint(6, 3, (outcome) => outcome.reduce((sum, value, i) => sum + (value + i) ** 2, 1));
const MASK = 5;

const samplers: readonly SamplerConfig[] = [
  { kind: "ancestral", steps: 7 },
  { kind: "cached-ancestral", steps: 7 },
  { kind: "analytic", steps: 7 },
  { kind: "first-hitting" },
  { kind: "first-hitting", steps: 2 },
  { kind: "parallel", steps: 4 },
  { kind: "parallel", steps: 3, schedule: "linear" },
];

/** Batches of cells of some variables in some order: masked, known or a cls token. */
const batches: fc.Arbitrary<RaggedBatch> = fc
  .array(
    fc.tuple(
      fc.boolean(),
      fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 1 }),
      fc.array(fc.constantFrom(2, 3, 4, MASK, MASK), { minLength: 6, maxLength: 6 }),
      fc.nat(2 ** 40),
    ),
    { minLength: 1, maxLength: 5 },
  )
  .map((cells) => {
    const offsets = [0];
    const genes: number[] = [];
    const tokens: number[] = [];
    for (const [cls, variables, values] of cells) {
      if (cls) {
        genes.push(1);
        tokens.push(0);
      }
      genes.push(...variables.map((variable) => 3 + variable));
      tokens.push(...variables.map((variable) => values[variable]!));
      offsets.push(tokens.length);
    }
    return {
      offsets: Int32Array.from(offsets),
      genes: Int32Array.from(genes),
      tokens: Int32Array.from(tokens),
      cells: Float64Array.from(cells, ([, , , index]) => index),
    };
  });

const maskedIn = (batch: RaggedBatch) =>
  Int32Array.from(
    batch.cells,
    (_, i) =>
      batch.tokens.subarray(batch.offsets[i], batch.offsets[i + 1]).filter((token) => token === MASK).length,
  );

describe.each(samplers)("sampling by $kind", (sampler) => {
  const seed = 3;

  it("fills in every mask and nothing else, with ranks", async () => {
    await fc.assert(
      fc.asyncProperty(batches, async (given) => {
        const before = given.tokens.slice();
        const { batch } = await sample(jointModel(wide), given, { sampler, seed });
        expect(given.tokens).toEqual(before);
        expect(batch.tokens.length).toBe(before.length);
        for (const [row, token] of batch.tokens.entries()) {
          if (before[row] !== MASK) expect(token).toBe(before[row]);
          else expect(token >= 2 && token < MASK).toBe(true);
        }
        expect({ ...batch, tokens: before }).toEqual(given);
      }),
      { numRuns: 25 },
    );
  });

  it("never takes back a token, and counts what is masked", async () => {
    await fc.assert(
      fc.asyncProperty(batches, async (given) => {
        let before = given.tokens;
        let time = new Float64Array(given.cells.length).fill(1);
        let steps = -1;
        for await (const state of sampleSteps(jointModel(wide), given, { sampler, seed })) {
          expect(state.step).toBe(++steps);
          for (const [row, token] of state.tokens.entries()) {
            if (before[row] !== MASK) expect(token).toBe(before[row]);
          }
          expect(state.masked).toEqual(maskedIn({ ...given, tokens: state.tokens }));
          for (const [i, t] of state.time.entries()) expect(t).toBeLessThanOrEqual(time[i]!);
          before = state.tokens;
          time = state.time as Float64Array<ArrayBuffer>;
        }
        expect(before.includes(MASK)).toBe(false);
      }),
      { numRuns: 20 },
    );
  });

  it("fills in a cell alike whichever cells are beside it and however they are split", async () => {
    await fc.assert(
      fc.asyncProperty(batches, fc.integer({ min: 1, max: 20 }), async (given, maxTokens) => {
        const model = jointModel(wide);
        const together = await sample(model, given, { sampler, seed });
        const split = await sample(model, given, { sampler, seed, maxTokens });
        expect(split).toEqual(together);
        for (const place of given.cells.keys()) {
          const alone = await sample(model, selectCells(given, [place]), { sampler, seed });
          expect(alone.batch).toEqual(selectCells(together.batch, [place]));
          expect(alone.networkEvaluations[0]).toBe(together.networkEvaluations[place]);
        }
      }),
      { numRuns: 15 },
    );
  });

  it("never runs the network for a finished cell, and frees every prediction", async () => {
    await fc.assert(
      fc.asyncProperty(batches, async (given) => {
        const model = jointModel(wide);
        const { networkEvaluations } = await sample(model, given, { sampler, seed });
        const masked = maskedIn(given);
        for (const [place, evaluations] of networkEvaluations.entries()) {
          const limit = "steps" in sampler ? sampler.steps : masked[place]!;
          expect(evaluations).toBeLessThanOrEqual(limit);
          expect(evaluations > 0).toBe(masked[place]! > 0);
        }
        expect(model.open).toBe(0);
        expect(model.calls.reduce((sum, { cells }) => sum + cells.length, 0)).toBe(
          networkEvaluations.reduce((sum, n) => sum + n, 0),
        );
      }),
      { numRuns: 20 },
    );
  });

  it("gives the same cells for a seed and others for another", async () => {
    const given = maskedJointCells(wide, 20);
    const again = (seed: number) => sample(jointModel(wide), given, { sampler, seed });
    expect(await again(1)).toEqual(await again(1));
    expect((await again(1)).batch.tokens).not.toEqual((await again(2)).batch.tokens);
  });

  it("ends with the signal's reason when aborted, with no prediction left in memory", async () => {
    const model = jointModel(wide);
    const controller = new AbortController();
    const reason = new Error("enough");
    const steps = sampleSteps(model, maskedJointCells(wide, 3), { sampler, seed, signal: controller.signal });
    await expect(async () => {
      for await (const { step } of steps) if (step === 1) controller.abort(reason);
    }).rejects.toBe(reason);
    expect(model.open).toBe(0);
  });

  it("does not start when aborted before", async () => {
    const model = jointModel(wide);
    const signal = AbortSignal.abort(new Error("never"));
    await expect(sample(model, maskedJointCells(wide, 3), { sampler, signal })).rejects.toThrow("never");
    expect(model.calls).toEqual([]);
  });
});

describe("ancestral sampling", () => {
  it("tells the network the noise at the start of each step", async () => {
    const model = jointModel(correlated, { diffusion: { schedule: { kind: "cosine" } } });
    await sample(model, maskedJointCells(correlated, 50), { sampler: { kind: "ancestral", steps: 5 } });
    const schedule = noiseSchedule({ kind: "cosine" });
    for (const [step, { conditioning }] of model.calls.entries()) {
      for (const sigma of conditioning) expect(sigma).toBeCloseTo(schedule.sigma((5 - step) / 5), 5);
    }
  });

  it("tells a model with change of variables where it is between the bounds", async () => {
    const model = jointModel(correlated, { diffusion: { changeOfVariables: true } });
    await sample(model, maskedJointCells(correlated, 50), { sampler: { kind: "ancestral", steps: 2 } });
    expect(model.calls[0]!.conditioning[0]).toBeCloseTo(1, 6);
    expect(model.calls[1]!.conditioning[0]).toBeCloseTo(1 - Math.log(2) / Math.log(1000), 6);
  });
});

describe("first-hitting sampling", () => {
  it("reveals one token of each cell in every run of the network", async () => {
    const model = jointModel(wide);
    const given = maskedJointCells(wide, 12, [undefined, 1, undefined, undefined, 0]);
    const { networkEvaluations } = await sample(model, given);
    expect(new Set(networkEvaluations)).toEqual(new Set([4]));
    for (const { rows, cells } of model.calls) expect(rows).toBe(cells.length);
  });

  it("takes no more runs than its steps, and as many as there are tokens where those are fewer", async () => {
    const given = concatenateBatches([
      maskedJointCells(wide, 3),
      maskedJointCells(wide, 3, [1, 1, 0, 2, undefined, undefined]),
    ]);
    for (const schedule of ["cosine", "linear"] as const) {
      const sampler = { kind: "first-hitting", steps: 4, schedule } as const;
      const { networkEvaluations } = await sample(jointModel(wide), given, { sampler });
      expect([...networkEvaluations]).toEqual([4, 4, 4, 2, 2, 2]);
    }
  });

  it("is exact with as many steps as tokens", async () => {
    const given = maskedJointCells(wide, 30);
    const exact = await sample(jointModel(wide), given, { seed: 7 });
    expect(
      await sample(jointModel(wide), given, { seed: 7, sampler: { kind: "first-hitting", steps: 6 } }),
    ).toEqual(exact);
  });

  it("leaves the share masked that its schedule says", async () => {
    const even = new KnownJoint(10, 2, () => 1);
    const left = async (schedule: "cosine" | "linear") => {
      const counts: number[] = [];
      const options = { sampler: { kind: "first-hitting", steps: 5, schedule } } as const;
      for await (const { masked } of sampleSteps(jointModel(even), maskedJointCells(even, 1), options)) {
        counts.push(masked[0]!);
      }
      return counts;
    };
    expect(await left("linear")).toEqual([10, 8, 6, 4, 2, 0]);
    expect(await left("cosine")).toEqual([10, 9, 8, 5, 3, 0]);
  });

  it("tells the network the noise at the time of the reveal", async () => {
    const schedule = { kind: "geometric" } as const;
    const model = jointModel(wide, { diffusion: { schedule } });
    const { sigma } = noiseSchedule(schedule);
    for await (const { step, time } of sampleSteps(model, maskedJointCells(wide, 4))) {
      if (step === 0) continue;
      for (const [i, t] of time.entries())
        expect(model.calls[step - 1]!.conditioning[i]).toBeCloseTo(sigma(t), 5);
    }
  });
});

describe("parallel decoding", () => {
  it("keeps the tokens it is surest of first", async () => {
    // Variable i is certain to a degree that grows with i, and independent of the others.
    const graded = new KnownJoint(5, 2, (outcome) =>
      outcome.reduce((product, value, i) => product * (value === 0 ? 1 : 10 ** -(i + 1)), 1),
    );
    const options = { sampler: { kind: "parallel", steps: 5, schedule: "linear" }, temperature: 0 } as const;
    const order: number[] = [];
    let before = maskedJointCells(graded, 1).tokens;
    for await (const { tokens } of sampleSteps(jointModel(graded), maskedJointCells(graded, 1), options)) {
      order.push(...[...tokens.keys()].filter((row) => tokens[row] !== before[row]));
      before = tokens;
    }
    expect(order).toEqual([4, 3, 2, 1, 0]);
  });

  it("leaves the share masked that its schedule says", async () => {
    const even = new KnownJoint(10, 2, () => 1);
    const left = async (schedule: "cosine" | "linear") => {
      const counts: number[] = [];
      const options = { sampler: { kind: "parallel", steps: 5, schedule } } as const;
      for await (const { masked } of sampleSteps(jointModel(even), maskedJointCells(even, 1), options)) {
        counts.push(masked[0]!);
      }
      return counts;
    };
    expect(await left("linear")).toEqual([10, 8, 6, 4, 2, 0]);
    expect(await left("cosine")).toEqual([10, 9, 8, 5, 3, 0]);
  });
});

describe("sampling", () => {
  it("starts from the cells as they were given", async () => {
    const given = maskedJointCells(wide, 2);
    for await (const state of sampleSteps(jointModel(wide), given)) {
      expect(state).toEqual({
        step: 0,
        time: Float64Array.of(1, 1),
        tokens: given.tokens,
        masked: Int32Array.of(6, 6),
        networkEvaluations: Int32Array.of(0, 0),
      });
      break;
    }
  });

  it("uses the weights asked for, else those the model would", async () => {
    const model = jointModel(wide);
    await sample(model, maskedJointCells(wide, 1), { weights: "ema" });
    expect(model.calls[0]!.weights).toBe("ema");
    await sample({ ...model, inferenceWeights: "ema" }, maskedJointCells(wide, 1));
    expect(model.calls.at(-1)!.weights).toBe("ema");
    await sample(model, maskedJointCells(wide, 1));
    expect(model.calls.at(-1)!.weights).toBe("weights");
  });

  it("runs as many cells at a time as fit in maxTokens, and a longer cell alone", async () => {
    const model = jointModel(wide);
    await sample(model, maskedJointCells(wide, 5), {
      sampler: { kind: "ancestral", steps: 1 },
      maxTokens: 12,
    });
    expect(model.calls.map(({ tokens }) => tokens)).toEqual([12, 12, 6]);
    model.calls.length = 0;
    await sample(model, maskedJointCells(wide, 2), {
      sampler: { kind: "ancestral", steps: 1 },
      maxTokens: 1,
    });
    expect(model.calls.map(({ tokens }) => tokens)).toEqual([6, 6]);
  });

  it("refuses options out of range", async () => {
    const given = maskedJointCells(wide, 1);
    const model = jointModel(wide);
    for (const [options, message] of [
      [{ temperature: -1 }, "ARGUMENT_RANGE: expected a number >= 0 and <= 100 for temperature"],
      [{ seed: 0.5 }, "ARGUMENT_RANGE: expected a whole number"],
      [{ maxTokens: 0 }, "ARGUMENT_RANGE"],
      [{ weights: "best" as never }, "ARGUMENT_CHOICE"],
      [{ sampler: { kind: "ancestral", steps: 0 } }, "for sampler.steps but received 0"],
      [{ sampler: { kind: "first-hitting", steps: 1.5 } }, "sampler.steps"],
      [{ sampler: { kind: "parallel", steps: 3, order: "random" as never } }, "ARGUMENT_CHOICE"],
      [
        { sampler: { kind: "gibbs" } as never },
        "SAMPLER_UNKNOWN: expected one of ancestral, cached-ancestral",
      ],
    ] as const) {
      await expect(sample(model, given, options)).rejects.toThrow(message);
    }
  });

  it("refuses a batch the model cannot take", async () => {
    const given = maskedJointCells(wide, 1);
    await expect(sample(jointModel(correlated), given)).rejects.toThrow("BATCH_INVALID");
  });
});
