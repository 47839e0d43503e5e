import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RaggedBatch, selectCells, tokenizeRows } from "../../lib/batching/index.js";
import type { Denoiser } from "../../lib/model/denoiser.js";
import type { NativeCountLossInput } from "../../lib/native/types.js";
import { CountTokens } from "../../lib/tokenizer/index.js";
import { CountTask } from "../../lib/training/count_task.js";
import type { LossInputs } from "../../lib/training/task.js";
import { Trainer } from "../../lib/training/trainer.js";
import { learnBase, smallCountModel, taskOf } from "./small_counts.js";
import { smallOptions, smallSource } from "./small_run.js";

const source = smallSource();
const CELLS = 10;
let model: Denoiser;
let batch: RaggedBatch;

beforeAll(async () => {
  model = await smallCountModel();
  // A model that knows something, so that its answers depend on what it is asked.
  const trainer = new Trainer(model, { ...smallOptions, learningRate: 5e-3, validation: false });
  for await (const _ of trainer.fit(source, { steps: 20 }));
  const rows = Int32Array.from({ length: CELLS }, (_, cell) => 3 * cell);
  batch = (await tokenizeRows(source, model.tokenizer, rows)).batch;
});
afterAll(() => model[Symbol.dispose]());

const inputsOf = ({ inputs }: LossInputs) => inputs as readonly NativeCountLossInput[];

/** The loss of a step as its trainer reports it, nats a gene. */
async function lossOf({ inputs, constant, divisor }: LossInputs): Promise<number> {
  let sum = constant;
  for (const input of inputs) sum += (await model.native.evaluate(input)).loss;
  return sum / divisor;
}

/** The cells with other counts where they have any. */
function withCounts(change: (count: number) => number): RaggedBatch {
  const values = new CountTokens();
  const counts = batch.counts!.map((count) => (count === 0 ? 0 : change(count)));
  const tokens = counts.map((count) => (count === 0 ? 0 : values.valueOf(count) + 2));
  return { ...batch, counts, tokens };
}

/** Gene ids of the queries of each cell. */
function queriesOf({ rows }: NativeCountLossInput): number[][] {
  return Array.from(rows.keys, (keys, cell) => [
    ...rows.genes.subarray(rows.offsets[cell]! + keys, rows.offsets[cell + 1]),
  ]);
}

describe("the loss of a step on counts", () => {
  it("is in expectation that of all hidden genes, when few of them are asked about", async () => {
    const all = await taskOf(model, source, { zeros: 2 ** 20, expressed: 2 ** 20 });
    const few = await taskOf(model, source, { zeros: 2, expressed: 2 });
    const [differences, wholes]: [number[], number[]] = [[], []];
    let [asked, hidden] = [0, 0];
    for (let step = 1; step <= 400; step++) {
      const names = { seed: 8, step };
      const whole = await all.stepInput([batch], names);
      const part = await few.stepInput([batch], names);
      const [full, some] = [inputsOf(whole)[0]!, inputsOf(part)[0]!];
      expect(some.rows.hidden).toEqual(full.rows.hidden);
      expect(some.rows.total).toEqual(full.rows.total);
      asked += some.answers.length;
      hidden += full.answers.length;
      wholes.push(await lossOf(whole));
      differences.push((await lossOf(part)) - wholes.at(-1)!);
    }
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const middle = mean(differences);
    const variance = mean(differences.map((value) => (value - middle) ** 2));
    const error = Math.sqrt(variance / differences.length);
    expect(Math.abs(middle)).toBeLessThan(4 * error);
    // The test would find a bias of a few per cent, while most hidden genes were not asked about.
    expect(error).toBeLessThan(0.02 * mean(wholes));
    expect(asked).toBeLessThan(0.4 * hidden);
  });

  it("asks about every hidden gene where no limit is in the way, each with the weight of one", async () => {
    const task = await taskOf(model, source, { zeros: 2 ** 20, expressed: 2 ** 20 });
    const [input] = inputsOf(await task.stepInput([batch], { seed: 1, step: 1 }));
    const queries = queriesOf(input!);
    expect(queries.map(({ length }) => length)).toEqual([...input!.rows.hidden]);
    let query = 0;
    for (const [cell, genes] of queries.entries()) {
      for (const _ of genes) expect(input!.weight[query++]).toBeCloseTo(1 / input!.rows.hidden[cell]!, 6);
    }
  });

  it.each([1, 2, 3.5])(
    "hides numbers of genes that are spread over the cells of a step as 1 - (1 - u)^%d of evenly spread u",
    async (mostlyHidden) => {
      const task = await taskOf(model, source, { mostlyHidden });
      const measured = model.tokenizer.map(source).panels[0]!.length;
      for (const step of [1, 2, 3]) {
        const [input] = inputsOf(await task.stepInput([batch], { seed: 1, step }));
        const shares = [...input!.rows.hidden]
          .map((hidden) => (hidden - 0.5) / measured)
          .sort((a, b) => a - b);
        for (const [place, share] of shares.entries()) {
          const least = 1 - (1 - place / CELLS) ** mostlyHidden;
          const most = 1 - (1 - (place + 1) / CELLS) ** mostlyHidden;
          expect(share).toBeGreaterThan(least - 0.5 / measured - 1e-9);
          expect(share).toBeLessThan(most + 0.5 / measured + 1e-9);
        }
      }
    },
  );

  it("hides the same genes of a cell in a step whatever batch it comes in", async () => {
    const task = await taskOf(model, source);
    const names = { seed: 5, step: 7 };
    const [whole] = inputsOf(await task.stepInput([batch], names));
    const half = Array.from({ length: CELLS / 2 }, (_, cell) => cell);
    const parts = [half, half.map((cell) => cell + CELLS / 2)].map((cells) => selectCells(batch, cells));
    const [first, second] = inputsOf(await task.stepInput(parts, names));
    expect([...queriesOf(first!), ...queriesOf(second!)]).toEqual(queriesOf(whole!));
    expect([...first!.answers, ...second!.answers]).toEqual([...whole!.answers]);
    expect([...first!.rows.total, ...second!.rows.total]).toEqual([...whole!.rows.total]);
    const { loss } = await model.native.evaluate(whole!);
    const [one, other] = [await model.native.evaluate(first!), await model.native.evaluate(second!)];
    expect((one.loss + other.loss) / loss).toBeCloseTo(1, 6);
  });

  it("gives the whole total of about as many cells as it should", async () => {
    const given = async (totalGiven: number) => {
      const task = await taskOf(model, source, { totalGiven });
      let [told, cells] = [0, 0];
      for (let step = 1; step <= 100; step++) {
        const [input] = inputsOf(await task.stepInput([batch], { seed: 2, step }));
        told += input!.rows.total.filter((total) => !Number.isNaN(total)).length;
        cells += CELLS;
      }
      return told / cells;
    };
    expect(await given(0)).toBe(0);
    expect(await given(1)).toBe(1);
    // Five standard deviations.
    expect(Math.abs((await given(0.25)) - 0.25)).toBeLessThan(5 * Math.sqrt((0.25 * 0.75) / 1000));
  });

  it("leaves out of a validation what is only for training: no total is given, nothing is thinned, each share is hidden as often", async () => {
    const task = await taskOf(model, source, {
      totalGiven: 1,
      thinning: 0.9,
      mostlyHidden: 10,
      zeros: 1,
      conditionDrop: 1,
    });
    const limit = { kind: "cells", cells: 4 } as const;
    // Counts below 64 are their values.
    const small = withCounts((count) => Math.min(count, 60));
    const { inputs, divisor } = await task.validationInputs(small, { limit, seed: 3 });
    expect(divisor).toBe(CELLS);
    const rows = (inputs as readonly NativeCountLossInput[]).map((input) => input.rows);
    expect(rows.map(({ keys }) => keys.length)).toEqual([4, 4, 2]);
    expect(rows.every(({ total }) => total.every(Number.isNaN))).toBe(true);
    const measured = model.tokenizer.map(source).panels[0]!.length;
    const least = Math.min(...rows.flatMap(({ hidden }) => [...hidden]));
    expect(least).toBeLessThanOrEqual(1 + measured / CELLS);
    const visible = rows.flatMap(({ visibleTotal }) => [...visibleTotal]);
    const answers = (inputs as readonly NativeCountLossInput[]).map((input) => input.answers);
    // Every hidden gene that is expressed is asked about.
    const total = answers.reduce((sum, some) => sum + some.reduce((a, b) => a + b, 0), 0);
    const whole = small.counts!.reduce((sum, count) => sum + count, 0);
    expect(total + visible.reduce((sum, value) => sum + value, 0)).toBe(whole);
  });

  it("adds the log widths of bins that training leaves out", async () => {
    const values = new CountTokens();
    const many = withCounts((count) => count + 200);
    const task = await taskOf(model, source);
    const { inputs, constant } = await task.stepInput([many], { seed: 1, step: 1 });
    const [input] = inputs as readonly NativeCountLossInput[];
    const expected = input!.answers.reduce(
      (sum, value, query) => sum + input!.weight[query]! * values.logWidth[value]!,
      0,
    );
    expect(expected).toBeGreaterThan(1);
    expect(constant).toBeCloseTo(expected, 3);
  });

  it("cannot be computed of a model without a base", async () => {
    using fresh = await smallCountModel();
    const task = await taskOf(fresh, source);
    await expect(task.stepInput([batch], { seed: 0, step: 1 })).rejects.toThrow(
      /MODEL_BASE: .*Trainer\.fit counts them/,
    );
    await learnBase(fresh, source);
    expect((await task.stepInput([batch], { seed: 0, step: 1 })).divisor).toBe(CELLS);
    expect(task).toBeInstanceOf(CountTask);
  });
});
