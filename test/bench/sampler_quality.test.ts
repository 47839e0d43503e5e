import { describe, expect, it } from "vitest";
import { notingSurprise, surpriseOf } from "../../bench/drawn_surprise.js";
import { filledCrossEntropy } from "../../bench/filled_cross_entropy.js";
import { publishedLoop } from "../../bench/published_loop.js";
import { compareQuality, type FilledCells, qualityTable } from "../../bench/quality_report.js";
import { samplerFrom } from "../../bench/sampler_spec.js";
import { Purpose, RandomStream } from "../../lib/base/random.js";
import { sample } from "../../lib/sampling/index.js";
import { correlated, KnownJoint } from "../known_joint.js";
import { jointModel, maskedJointCells } from "../sampling/joint_model.js";

const everyRow = (cells: number, positions: number) =>
  Array.from({ length: cells }, (_, cell) =>
    Int32Array.from({ length: positions }, (_, i) => cell * positions + i),
  );

describe("the cross-entropy of filled-in cells", () => {
  it("is the entropy of what is drawn exactly from the model", async () => {
    const cells = 3000;
    const { batch } = await sample(jointModel(correlated), maskedJointCells(correlated, cells));
    const nats = await filledCrossEntropy(jointModel(correlated), batch, everyRow(cells, 3), 3);
    const mean = nats.reduce((sum, value) => sum + value, 0) / cells;
    expect(Math.abs(mean - correlated.entropy)).toBeLessThan(0.05);
  });

  it("is -log p of the very cell where tokens do not depend on each other, whatever the sets", async () => {
    const independent = new KnownJoint(4, 3, (outcome) =>
      outcome.reduce((product, value) => product * (1 + value), 1),
    );
    const { batch } = await sample(jointModel(independent), maskedJointCells(independent, 5));
    const replicates = 4000;
    const nats = await filledCrossEntropy(jointModel(independent), batch, everyRow(5, 4), replicates);
    for (let cell = 0; cell < 5; cell++) {
      const outcome = [...batch.tokens.subarray(4 * cell, 4 * cell + 4)].map((token) => token - 2);
      const exact = -Math.log(independent.probabilities[independent.index(outcome)]!);
      expect(Math.abs(nats[cell]! - exact)).toBeLessThan(0.05);
    }
  });

  it("is higher for tokens drawn as if independent, and lower for the most probable ones", async () => {
    const cells = 2000;
    const score = async (options: Parameters<typeof sample>[2]) => {
      const { batch } = await sample(jointModel(correlated), maskedJointCells(correlated, cells), options);
      const nats = await filledCrossEntropy(jointModel(correlated), batch, everyRow(cells, 3), 3);
      return nats.reduce((sum, value) => sum + value, 0) / cells;
    };
    const exact = await score({});
    expect(await score({ sampler: { kind: "first-hitting", steps: 1 } })).toBeGreaterThan(exact + 0.1);
    expect(await score({ temperature: 0 })).toBeLessThan(exact - 0.1);
  });
});

describe("the surprise of draws", () => {
  it("is -log p less the entropy", () => {
    const p = [0.5, 0.3, 0.2];
    const entropy = -p.reduce((sum, share) => sum + share * Math.log(share), 0);
    for (const [value, share] of p.entries()) {
      const logits = Float32Array.from(p, (other) => Math.log(other) + 3);
      expect(surpriseOf(logits, value)).toBeCloseTo(-Math.log(share) - entropy, 5);
    }
  });

  it("is noted for every token that was filled in, and leaves the draws as they are", async () => {
    const cells = 4000;
    for (const sampler of [
      { kind: "first-hitting" },
      { kind: "ancestral", steps: 5 },
      { kind: "parallel", steps: 1 },
    ] as const) {
      const noting = notingSurprise(jointModel(correlated));
      const given = maskedJointCells(correlated, cells);
      const noted = await sample(noting, given, { sampler });
      expect(noted).toEqual(await sample(jointModel(correlated), given, { sampler }));
      expect(noting.surprise.size).toBe(cells);
      const mean = [...noting.surprise.values()].reduce((sum, value) => sum + value, 0) / cells;
      expect(Math.abs(mean)).toBeLessThan(0.06);
    }
  });
});

it("fills in by the published loop what ancestral sampling does, with more runs of the network", async () => {
  const loop = jointModel(correlated, { timeConditioning: false });
  const saving = jointModel(correlated, { timeConditioning: false });
  const given = maskedJointCells(correlated, 20, [undefined, 1, undefined]);
  const { batch, networkEvaluations } = await sample(saving, given, {
    sampler: { kind: "ancestral", steps: 30 },
    seed: 3,
  });
  expect(await publishedLoop(loop, given, 30, 3)).toEqual(batch.tokens);
  const runs = loop.calls.reduce((sum, { cells }) => sum + cells.length, 0);
  expect(runs).toBeGreaterThan(3 * networkEvaluations.reduce((sum, count) => sum + count, 0));
  expect(loop.open).toBe(0);
});

describe("the comparison of samplers", () => {
  const cells = (crossEntropy: number[], surprise: number[]): FilledCells => ({
    crossEntropy: Float64Array.from(crossEntropy),
    surprise: Float64Array.from(surprise),
    tokens: new Float64Array(crossEntropy.length).fill(2),
  });

  it("takes draws that were lucky for what they are", () => {
    const random = new RandomStream(1, Purpose.simulate);
    const drawn = (luck: number) => {
      const surprise = Array.from({ length: 400 }, () => random.normal() + luck);
      return cells(
        surprise.map((value) => 20 + value + 0.1 * random.normal()),
        surprise,
      );
    };
    const reference = drawn(0);
    const { difference, standardError } = compareQuality(drawn(-0.2), reference);
    expect(Math.abs(difference)).toBeLessThan(0.2);
    expect(standardError).toBeLessThan(0.1);
    expect(compareQuality(reference, reference)).toMatchObject({ difference: 0, standardError: 0 });
  });

  it("says by how many percent a sampler is off", () => {
    const reference = cells([2, 2, 2, 2], [0, 0, 0, 0]);
    expect(compareQuality(cells([2.2, 2.2, 2.2, 2.2], [0, 0, 0, 0]), reference).difference).toBeCloseTo(
      10,
      9,
    );
    expect(compareQuality(cells([1.8, 2, 1.8, 2], [0, 0, 0, 0]), reference).difference).toBeCloseTo(-5, 9);
  });

  it("is a table", () => {
    const quality = { crossEntropy: 1.23456, difference: -0.5, standardError: 0.25 };
    const row = {
      ...quality,
      masked: 0.5,
      sampler: "first-hitting:8",
      evaluations: 7.96,
      seconds: 1.5,
      faster: 12,
    };
    expect(qualityTable([row]).split("\n").at(-1)).toBe(
      "| 50% | first-hitting:8 | 8 | 1.5 | 12.0 | 1.235 | -0.50% ± 0.25% |",
    );
  });
});

describe("a sampler on the command line", () => {
  it("is its kind and its steps", () => {
    expect(samplerFrom("first-hitting")).toEqual({ kind: "first-hitting" });
    expect(samplerFrom("first-hitting:8")).toEqual({ kind: "first-hitting", steps: 8 });
    expect(samplerFrom("parallel:3")).toEqual({ kind: "parallel", steps: 3 });
  });

  it.each(["ancestral", "gibbs:3", "", "first-hitting:", "parallel:1.5", "parallel:-1"])(
    "is refused as %j",
    (spec) => {
      expect(() => samplerFrom(spec)).toThrow(/SAMPLER_UNKNOWN|ARGUMENT_RANGE/);
    },
  );
});
