import { describe, expect, it } from "vitest";
import { concatenateBatches } from "../../lib/batching/collate.js";
import type { RaggedBatch } from "../../lib/batching/index.js";
import type { DiffusionConfig } from "../../lib/diffusion/index.js";
import { inpaint, type SamplerConfig, sample, sampleSteps } from "../../lib/sampling/index.js";
import { KnownJoint } from "../known_joint.js";
import { jointModel, maskedJointCells } from "./joint_model.js";
import { plainLoop } from "./plain_loop.js";
import { halfMasked, randomModel } from "./random_model.js";

/** Neighbours are mostly equal: what was said before a token was filled in is wrong afterwards. */
const wide = new KnownJoint(6, 3, (outcome) =>
  outcome.reduce((product, value, i) => product * (value === outcome[i - 1] ? 20 : 1) * (1 + value), 1),
);
const MASK = 5;

const samplers: readonly SamplerConfig[] = [
  { kind: "ancestral", steps: 20 },
  { kind: "cached-ancestral", steps: 20 },
  { kind: "analytic", steps: 20 },
  { kind: "first-hitting" },
  { kind: "first-hitting", steps: 3 },
  { kind: "parallel", steps: 4 },
];

const objectives: readonly {
  readonly diffusion: Partial<DiffusionConfig>;
  readonly maskMass?: number;
}[] = [
  { diffusion: { objective: { kind: "subs" } } },
  { diffusion: { objective: { kind: "d3pm", steps: 50 } }, maskMass: 0.4 },
  { diffusion: { objective: { kind: "sedd" }, schedule: { kind: "geometric" } } },
];

const everyCase = samplers.flatMap((sampler) =>
  objectives.flatMap((objective) =>
    [false, true].map((timeConditioning) => ({
      sampler,
      ...objective,
      timeConditioning,
      name: `${sampler.kind}${"steps" in sampler ? ` ${sampler.steps}` : ""}, ${objective.diffusion.objective?.kind}, ${
        timeConditioning ? "told the noise" : "not told the noise"
      }`,
    })),
  ),
);

/** Cells with six, two and no tokens to fill in. */
function someCells(): RaggedBatch {
  const parts = [
    maskedJointCells(wide, 8),
    maskedJointCells(wide, 3, [0, 1, undefined, 2, undefined, 1]),
    maskedJointCells(wide, 2, [0, 1, 1, 2, 0, 1]),
  ];
  const whole = concatenateBatches(parts);
  return { ...whole, cells: whole.cells.map((_, i) => 100 + i) };
}

async function states(model: Parameters<typeof sampleSteps>[0], batch: RaggedBatch, sampler: SamplerConfig) {
  const all: Int32Array[] = [];
  for await (const { step, tokens } of sampleSteps(model, batch, { sampler, seed: 4 }))
    if (step > 0) all.push(tokens);
  return all;
}

describe.each(everyCase)("the work of sampling ($name)", ({ sampler, name: _, ...model }) => {
  it("leaves the result as it is with the network run for every cell at every step", async () => {
    const batch = someCells();
    expect(await states(jointModel(wide, model), batch, sampler)).toEqual(
      await plainLoop(jointModel(wide, model), batch, sampler, 4),
    );
  });

  it("never asks the network about a cell what it was asked before", async () => {
    const asked = jointModel(wide, model);
    const { networkEvaluations } = await sample(asked, someCells(), { sampler, seed: 4 });
    const questions = asked.calls.flatMap((call) => call.questions);
    expect(new Set(questions).size).toBe(questions.length);
    expect(networkEvaluations.reduce((sum, count) => sum + count, 0)).toBe(questions.length);
  });

  it("never asks about a finished cell, nor again what describes inpainted entries", async () => {
    const asked = jointModel(wide, model);
    const { networkEvaluations } = await inpaint(asked, someCells(), { sampler, seed: 4 });
    const questions = asked.calls.flatMap((call) => call.questions);
    for (const question of questions) expect(question).toMatch(new RegExp(`[:,]${MASK}[:,]`));
    expect(new Set(questions).size).toBe(questions.length);
    expect(networkEvaluations.reduce((sum, count) => sum + count, 0)).toBe(questions.length);
    expect(asked.open).toBe(0);
  });

  it("fills in the same with and without a description of the entries", async () => {
    const { batch } = await inpaint(jointModel(wide, model), someCells(), { sampler, seed: 4 });
    expect(batch).toEqual((await sample(jointModel(wide, model), someCells(), { sampler, seed: 4 })).batch);
  });
});

describe("the work of ancestral sampling", () => {
  it.each(["ancestral", "cached-ancestral", "analytic"] as const)(
    "is a run of the network for a cell only in steps that reveal one of its tokens, and for those alone (%s)",
    async (kind) => {
      const model = jointModel(wide);
      const options = { sampler: { kind, steps: 200 }, seed: 5 } as const;
      let before = maskedJointCells(wide, 10).tokens;
      let calls = 0;
      for await (const { tokens } of sampleSteps(model, maskedJointCells(wide, 10), options)) {
        const changed = [...tokens.keys()].filter((row) => tokens[row] !== before[row]);
        const cells = new Set(changed.map((row) => Math.floor(row / 6)));
        const call = model.calls.slice(calls);
        expect(call.flatMap((one) => [...one.cells])).toEqual([...cells]);
        expect(call.reduce((sum, { rows }) => sum + rows, 0)).toBe(changed.length);
        calls = model.calls.length;
        before = tokens;
      }
    },
  );

  it("is at most a run for each masked token, whatever the steps", async () => {
    const sampler = { kind: "ancestral", steps: 500 } as const;
    const { networkEvaluations } = await sample(jointModel(wide), maskedJointCells(wide, 20), { sampler });
    expect(Math.max(...networkEvaluations)).toBeLessThanOrEqual(6);
  });
});

describe("the work of the score-based update", () => {
  const evaluations = async (timeConditioning: boolean) => {
    const model = jointModel(wide, { diffusion: { objective: { kind: "sedd" } }, timeConditioning });
    const finished = new Int32Array(10);
    let counted = new Int32Array(10);
    const options = { sampler: { kind: "analytic", steps: 60 }, seed: 6 } as const;
    for await (const state of sampleSteps(model, maskedJointCells(wide, 10), options)) {
      for (const [cell, masked] of state.masked.entries()) if (masked > 0) finished[cell] = state.step + 1;
      counted = state.networkEvaluations as Int32Array<ArrayBuffer>;
    }
    return { counted, finished };
  };

  it("is a run of the network at every step until a cell is finished where it is told the noise level", async () => {
    const { counted, finished } = await evaluations(true);
    expect(counted).toEqual(finished);
  });

  it("is at most a run for each masked token where it is not", async () => {
    const { counted, finished } = await evaluations(false);
    expect(Math.max(...counted)).toBeLessThanOrEqual(6);
    expect(Math.min(...finished)).toBeGreaterThan(6);
  });
});

describe("the work of sampling with the native network", () => {
  it.each(
    [{ kind: "subs" }, { kind: "d3pm", steps: 20 }, { kind: "sedd" }].flatMap((objective) =>
      [false, true].map((timeConditioning) => ({ objective, timeConditioning })),
    ) as { objective: DiffusionConfig["objective"]; timeConditioning: boolean }[],
  )("leaves every bit of the result ($objective.kind, told the noise: $timeConditioning)", async (one) => {
    using model = await randomModel(8, { objective: one.objective }, one.timeConditioning);
    const batch = halfMasked(model, [30, 70, 5]);
    for (const sampler of samplers)
      expect(await states(model, batch, sampler)).toEqual(await plainLoop(model, batch, sampler, 4));
  });
});
