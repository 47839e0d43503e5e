import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CellConditions } from "../../lib/conditions/cell_conditions.js";
import { type Condition, conditionSizes, conditionsFrom } from "../../lib/conditions/condition.js";
import type { CellSource } from "../../lib/data/sources/source.js";
import { cellsWith, numbers, texts } from "./cells.js";

const conditions: readonly Condition[] = [
  { kind: "labels", name: "cell_type", labels: ["B cell", "T cell", "monocyte"] },
  { kind: "number", name: "dose", scale: "log", mean: 1, deviation: 2 },
  { kind: "labels", name: "donor", labels: ["1", "2"] },
  { kind: "number", name: "age", scale: "linear", mean: 40, deviation: 10 },
];
const e = Math.E;
let folder: string;
let source: CellSource;
let told: CellConditions;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-told-"));
  source = await cellsWith(
    join(folder, "study.h5ad"),
    {
      cell_type: texts(["T cell", null, "monocyte", "B cell"]),
      dose: numbers(0, e ** 3 - 1, Number.NaN, e - 1),
      donor: numbers(2, 1, Number.NaN, 1),
      age: numbers(40, 50, 20, Number.NaN),
    },
    4,
  );
  told = await CellConditions.read(source, conditions);
});
afterAll(async () => {
  source[Symbol.dispose]();
  await rm(folder, { recursive: true });
});

const some = (rows: readonly number[]) => Float64Array.from(rows);

describe("CellConditions", () => {
  it("tells labels by number + 1 and numbers in standard units, and none where a cell has no value", () => {
    const { labels, numbers: values } = told.of(some([0, 1, 2, 3]));
    expect([...labels]).toEqual([2, 2, 0, 1, 3, 0, 1, 1]);
    const expected = [-0.5, 0, 1, 1, Number.NaN, -2, 0, Number.NaN];
    expect([...values].map((value) => Math.round(1e6 * value) / 1e6)).toEqual(expected);
  });

  it("tells of any rows in any order", () => {
    const { labels, numbers: values } = told.of(some([3, 0]));
    expect([...labels]).toEqual([1, 1, 2, 2]);
    expect(values[2]).toBeCloseTo(-0.5, 6);
    expect(told.of(some([])).labels).toHaveLength(0);
  });

  it("tells nothing of cells that are told nothing", () => {
    const { labels, numbers: values } = CellConditions.none(conditions).of(some([0, 3]));
    expect([...labels]).toEqual([0, 0, 0, 0]);
    expect([...values].every(Number.isNaN)).toBe(true);
    expect(values).toHaveLength(4);
  });

  it("leaves out each condition by itself with the chance asked for", () => {
    const steps = 4000;
    const chance = 0.3;
    let [first, second, both] = [0, 0, 0];
    for (let step = 1; step <= steps; step++) {
      const { labels } = told.of(some([0]), { chance, seed: 9, step });
      if (labels[0] === 0) first++;
      if (labels[1] === 0) second++;
      if (labels[0] === 0 && labels[1] === 0) both++;
    }
    // Five standard deviations.
    const near = (count: number, p: number) =>
      expect(Math.abs(count - steps * p)).toBeLessThan(5 * Math.sqrt(steps * p * (1 - p)));
    near(first, chance);
    near(second, chance);
    near(both, chance ** 2);
  });

  it("leaves out by seed, step and cell alone, whatever else is in the batch", () => {
    const drop = { chance: 0.5, seed: 4, step: 17 };
    const whole = told.of(some([0, 1, 2, 3]), drop);
    expect(told.of(some([0, 1, 2, 3]), drop)).toEqual(whole);
    for (let row = 0; row < 4; row++) {
      const alone = told.of(some([row]), drop);
      expect([...alone.labels]).toEqual([...whole.labels.subarray(2 * row, 2 * row + 2)]);
      expect([...alone.numbers]).toEqual([...whole.numbers.subarray(2 * row, 2 * row + 2)]);
    }
    const others = Array.from({ length: 64 }, (_, step) =>
      [...told.of(some([0, 1]), { ...drop, step }).labels].join(),
    );
    expect(new Set(others).size).toBeGreaterThan(4);
  });

  it("leaves out nothing at a chance of 0 and everything at 1", () => {
    const rows = some([0, 1, 2, 3]);
    expect(told.of(rows, { chance: 0, seed: 1, step: 1 })).toEqual(told.of(rows));
    expect(told.of(rows, { chance: 1, seed: 1, step: 1 })).toEqual(CellConditions.none(conditions).of(rows));
  });

  it("refuses other data's label with file, row and near names", async () => {
    using other = await cellsWith(join(folder, "other.h5ad"), { cell_type: texts(["T cell", "T cel"]) }, 2);
    const failed = CellConditions.read(other, conditions.slice(0, 1));
    await expect(failed).rejects.toMatchObject({
      code: "CONDITION_LABEL_UNKNOWN",
      place: { argument: "cell_type", file: other.name, row: 1 },
    });
    await expect(failed).rejects.toThrow(
      /other\.h5ad: row 1: the model has not learnt cell_type "T cel" \(did you mean "T cell"\?\); it knows B cell, T cell, monocyte$/,
    );
  });

  it("refuses numbers that the scale has no place for, text where numbers are, and data without the column", async () => {
    const read = async (name: string, columns: Parameters<typeof cellsWith>[1], from: number) => {
      using other = await cellsWith(join(folder, `${name}.h5ad`), columns, 2);
      await CellConditions.read(other, conditions.slice(from, from + 1));
    };
    await expect(read("negative", { dose: numbers(1, -1) }, 1)).rejects.toThrow(
      /CONDITION_NUMBER: .*negative\.h5ad: row 1: dose: -1 has no place on a log scale; give a finite number above -1/,
    );
    await expect(read("words", { dose: texts(["high", "low"]) }, 1)).rejects.toThrow(
      /CONDITION_NUMBER: .*words\.h5ad: row 0: dose: "high" is no number/,
    );
    await expect(read("without", { age: numbers(1, 2) }, 1)).rejects.toThrow(/DATA_MISSING_COLUMN: .*"dose"/);
  });
});

describe("conditions as JSON", () => {
  it("come back as they were", () => {
    expect(conditionsFrom(JSON.parse(JSON.stringify(conditions)))).toEqual(conditions);
    expect(conditionsFrom([])).toEqual([]);
  });

  it("give the network their numbers of labels, 0 for numbers", () => {
    expect(conditionSizes(conditions)).toEqual([3, 0, 2, 0]);
  });

  it.each([
    [null],
    [{}],
    [[null]],
    [[{ kind: "labels", labels: ["a"] }]],
    [[{ kind: "labels", name: "x", labels: "a" }]],
    [[{ kind: "labels", name: "x", labels: ["a", 1] }]],
    [[{ kind: "number", name: "x", scale: "square", mean: 0, deviation: 1 }]],
    [[{ kind: "number", name: "x", scale: "log", mean: "0", deviation: 1 }]],
    [[{ kind: "number", name: "x", scale: "log", mean: 0, deviation: 0 }]],
    [[{ kind: "odd", name: "x" }]],
  ])("are refused where they are damaged: %j", (json) => {
    expect(() => conditionsFrom(json)).toThrow(
      /CONDITION_FORMAT: .*damaged or was changed by hand: restore it/,
    );
  });
});
