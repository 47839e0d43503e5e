import { describe, expect, it } from "vitest";
import { RankTask } from "../../lib/training/rank_task.js";
import { Validator } from "../../lib/training/validation.js";
import { tokensOfSome } from "../../lib/training/validation_cells.js";
import { smallModel, smallSource } from "./small_run.js";

const source = smallSource();
const options = {
  selection: {},
  cells: source.cellCount,
  limit: { kind: "cells", cells: 7 },
  seed: 3,
} as const;

describe("validation", () => {
  it("gives a model that knows nothing the NLL of a uniform guess", async () => {
    using model = await smallModel();
    const { nll, crossEntropy, cells, tokens } = await (
      await Validator.create(model, new RankTask(model), source, model.tokenizer, options)
    ).run();
    // The bound is exact for it: the integral of weight(t) * masked(t) * log 53 over t is log 53.
    expect(crossEntropy).toBeCloseTo(Math.log(53), 5);
    expect(nll / Math.log(53)).toBeGreaterThan(0.9);
    expect(nll / Math.log(53)).toBeLessThan(1.1);
    expect(cells).toBe(source.cellCount);
    expect(tokens).toBeGreaterThan(cells);
  });

  it("gives the same weights the same result, bit for bit, however the cells are batched", async () => {
    using model = await smallModel();
    const validator = await Validator.create(model, new RankTask(model), source, model.tokenizer, options);
    const first = await validator.run();
    expect(await validator.run()).toEqual(first);
    const inOne = { ...options, limit: { kind: "tokens", tokens: 1e6 } } as const;
    const { nll } = await (
      await Validator.create(model, new RankTask(model), source, model.tokenizer, inOne)
    ).run();
    expect(nll).toBeCloseTo(first.nll, 6);
  });

  it("measures the moving average, not the weights", async () => {
    using model = await smallModel();
    const validator = await Validator.create(model, new RankTask(model), source, model.tokenizer, options);
    const before = await validator.run();
    const bias = Float32Array.from({ length: 54 }, (_, token) => (token === 2 ? 3 : 0));
    await model.writeParameter("output_layer.linear.bias", bias);
    expect(await validator.run()).toEqual(before);
    await model.writeParameter("output_layer.linear.bias", bias, "ema");
    expect((await validator.run()).nll).not.toBe(before.nll);
  });

  it("takes so many cells and always the same", async () => {
    using model = await smallModel();
    const few = { ...options, cells: 9 };
    const one = await (
      await Validator.create(model, new RankTask(model), source, model.tokenizer, few)
    ).run();
    expect(one.cells).toBe(9);
    expect(
      await (await Validator.create(model, new RankTask(model), source, model.tokenizer, few)).run(),
    ).toEqual(one);
  });

  it("takes cells of its selection alone, from few parts or many", async () => {
    using model = await smallModel();
    const held = Int32Array.from({ length: 50 }, (_, i) => 3 * i);
    const selection = { rows: held };
    for (const cells of [5, 40, 1000]) {
      const result = await tokensOfSome(source, model.tokenizer, { selection, cells, seed: 1 });
      const expected = Math.min(cells, held.length);
      expect(result.cells).toHaveLength(expected);
      expect(new Set(result.cells).size).toBe(expected);
      expect([...result.cells].every((row) => held.includes(row))).toBe(true);
      expect([...result.cells]).toEqual([...result.cells].sort((a, b) => a - b));
    }
  });

  it("leaves mean matching out of the NLL", async () => {
    using plain = await smallModel();
    using matching = await smallModel({ diffusion: { meanMatching: 5 } });
    const nll = async (model: typeof plain) =>
      (await (await Validator.create(model, new RankTask(model), source, model.tokenizer, options)).run())
        .nll;
    expect(await nll(matching)).toBe(await nll(plain));
  });

  it("says that no held-out cell can be used", async () => {
    using model = await smallModel({ tokenizer: { minGenes: 1000 } });
    await expect(
      Validator.create(model, new RankTask(model), source, model.tokenizer, options),
    ).rejects.toThrow(/DATA_NO_CELLS.*no held-out cell/);
  });
});
