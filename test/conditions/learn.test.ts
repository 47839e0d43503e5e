import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { learnConditions } from "../../lib/conditions/learn.js";
import { ConcatenatedSource } from "../../lib/data/sources/concatenate.js";
import { MemorySource } from "../../lib/data/sources/memory.js";
import type { CellSource } from "../../lib/data/sources/source.js";
import { cellsWith, numbers, texts } from "./cells.js";

const CELLS = 6;
let folder: string;
let source: CellSource;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-conditions-"));
  source = await cellsWith(
    join(folder, "study.h5ad"),
    {
      cell_type: texts(["b", "a", "b", null, "a", "b"]),
      rare: texts(["x", "x", "x", "x", "x", "y"]),
      rarer: texts(["x", "x", "q", "r", "s", "t"]),
      same: texts(["x", "x", "x", "x", "x", "x"]),
      empty: texts([null, null, null, null, null, null]),
      treated: { kind: "booleans", values: Uint8Array.of(1, 0, 1, 0, 1, 1) },
      dose: numbers(0, 1, 10, 100, 10, 1),
      age: numbers(1, 2, 3, 4, Number.NaN, 5),
      cluster: numbers(3, 1, 3, 1, Number.NaN, 2),
      change: numbers(-2, 1, 0, 3, 1, 1),
      constant: numbers(2, 2, 2, 2, 2, 2),
      infinite: numbers(1, 2, 3, 4, 5, Number.POSITIVE_INFINITY),
      "odd:log": texts(["u", "v", "u", "v", "u", "v"]),
    },
    CELLS,
  );
});
afterAll(async () => {
  source[Symbol.dispose]();
  await rm(folder, { recursive: true });
});

/** The one condition of a specification. */
async function learn(specification: string) {
  const { conditions, notes } = await learnConditions(source, [specification]);
  expect(conditions).toHaveLength(1);
  return { condition: conditions[0]!, notes };
}

describe("learnConditions", () => {
  it("takes text as labels, sorted, cells without a value left out", async () => {
    const { condition, notes } = await learn("cell_type");
    expect(condition).toEqual({ kind: "labels", name: "cell_type", labels: ["a", "b"] });
    expect(notes).toEqual([]);
  });

  it("takes booleans as labels", async () => {
    const { condition } = await learn("treated");
    expect(condition).toEqual({ kind: "labels", name: "treated", labels: ["false", "true"] });
  });

  it("takes numbers as numbers, with mean and deviation over the cells that have one", async () => {
    const { condition } = await learn("age");
    expect(condition).toEqual({
      kind: "number",
      name: "age",
      scale: "linear",
      mean: 3,
      deviation: expect.closeTo(Math.sqrt(2), 12),
    });
    expect((await learn("age:number")).condition).toEqual(condition);
  });

  it("takes numbers that are names as labels with :labels, NaN being none of them", async () => {
    const { condition } = await learn("cluster:labels");
    expect(condition).toEqual({ kind: "labels", name: "cluster", labels: ["1", "2", "3"] });
  });

  it("takes log(1 + value) with :log", async () => {
    const { condition } = await learn("dose:log");
    const logs = [0, 1, 10, 100, 10, 1].map((dose) => Math.log(1 + dose));
    const mean = logs.reduce((sum, value) => sum + value, 0) / CELLS;
    const variance = logs.reduce((sum, value) => sum + (value - mean) ** 2, 0) / CELLS;
    expect(condition).toEqual({
      kind: "number",
      name: "dose",
      scale: "log",
      mean: expect.closeTo(mean, 12),
      deviation: expect.closeTo(Math.sqrt(variance), 12),
    });
  });

  it("finds a column whose name has a colon", async () => {
    expect((await learn("odd:log")).condition).toEqual({
      kind: "labels",
      name: "odd:log",
      labels: ["u", "v"],
    });
  });

  it("keeps the order in which conditions are asked for, and takes none", async () => {
    const { conditions } = await learnConditions(source, ["dose", "cell_type", "treated"]);
    expect(conditions.map(({ name }) => name)).toEqual(["dose", "cell_type", "treated"]);
    expect(await learnConditions(source, [])).toEqual({ conditions: [], notes: [] });
  });

  it("notes labels of one cell, by name where they are few", async () => {
    expect((await learn("rare")).notes).toEqual([
      expect.stringMatching(
        /^condition rare: "y" has one cell: nothing can be learnt about it; .*--where\)$/,
      ),
    ]);
    expect((await learn("rarer")).notes).toEqual([
      expect.stringContaining('condition rarer: 4 labels have one cell each ("q", "r", "s", ...)'),
    ]);
  });

  it("learns labels of all parts of a source", async () => {
    const part = (type: string) => {
      const ids = [0, 1].map((cell) => `${type}-${cell}`);
      return new MemorySource({
        name: type,
        ids,
        genes: [{ id: "A", aliases: [] }],
        offsets: Int32Array.of(0, 1, 2),
        geneColumns: Int32Array.of(0, 0),
        counts: Float32Array.of(1, 2),
        metadata: { type: [type, type] },
        notes: [],
      });
    };
    using both = new ConcatenatedSource([part("old"), part("new")], "both");
    const { conditions } = await learnConditions(both, ["type"]);
    expect(conditions).toEqual([{ kind: "labels", name: "type", labels: ["new", "old"] }]);
  });

  it.each([
    ["cel_type", "DATA_MISSING_COLUMN", 'no metadata column "cel_type" (did you mean "cell_type"?)'],
    ["dose:lg", "CONDITION_SPECIFICATION", '":lg" is none of :labels, :number and :log'],
    ["cell_type:log", "CONDITION_SPECIFICATION", "no numbers; leave"],
    ["cell_type:number", "CONDITION_SPECIFICATION", 'no numbers; leave ":number" out'],
    [
      "change:log",
      "CONDITION_LABELS",
      'column "change" holds -2, of which log(1 + value) cannot be taken; condition on change:number',
    ],
    ["same", "CONDITION_LABELS", 'column "same" has the value "x" alone'],
    ["empty", "CONDITION_LABELS", 'column "empty" has no values'],
    ["constant", "CONDITION_LABELS", 'column "constant" holds one number alone'],
    ["infinite", "CONDITION_LABELS", 'column "infinite" holds numbers that are not finite'],
  ])("refuses %s with the file and a remedy", async (specification, code, text) => {
    const failed = learnConditions(source, [specification]);
    await expect(failed).rejects.toMatchObject({ code, place: { argument: "condition" } });
    await expect(failed).rejects.toThrow(text);
  });

  it("refuses a column named twice, be it in other words", async () => {
    await expect(learnConditions(source, ["dose", "dose:log"])).rejects.toThrow(
      "CONDITION_SPECIFICATION: the condition dose is given twice; give it once",
    );
  });

  it("refuses a column of more than 10,000 values, as they name cells", async () => {
    const cells = 10_001;
    const ids = Array.from({ length: cells }, (_, cell) => `cell-${cell}`);
    using many = new MemorySource({
      name: "many",
      ids,
      genes: [{ id: "A", aliases: [] }],
      offsets: new Int32Array(cells + 1),
      geneColumns: new Int32Array(0),
      counts: new Float32Array(0),
      metadata: { barcode: ids },
      notes: [],
    });
    await expect(learnConditions(many, ["barcode"])).rejects.toThrow(
      'CONDITION_LABELS: many: column "barcode" has more than 10000 values, so it names cells',
    );
  });
});
