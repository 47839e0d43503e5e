import { describe, expect, it, vi } from "vitest";
import { tokenizeRows } from "../../lib/batching/index.js";
import type { Denoiser } from "../../lib/model/denoiser.js";
import { StagedBatch } from "../../lib/native/denoiser.js";
import type { NativeLoss, NativeLossInput } from "../../lib/native/types.js";
import { RankTask } from "../../lib/training/rank_task.js";
import { Trainer } from "../../lib/training/trainer.js";
import { smallModel, smallOptions, smallSource, weightsOf } from "../training/small_run.js";
import { gpuUnderTest } from "./gpu.js";

// This process computes on the GPU under test, and beside it on the CPU of the same addon.
Object.assign(process.env, gpuUnderTest());

const source = smallSource();

/** Micro-batches of 3, 5, 4 and 5 cells. */
async function severalInputs(model: Denoiser): Promise<readonly NativeLossInput[]> {
  const batches = [];
  let row = 0;
  for (const cells of [3, 5, 4, 5]) {
    const rows = Int32Array.from({ length: cells }, () => row++);
    batches.push((await tokenizeRows(source, model.tokenizer, rows)).batch);
  }
  const { inputs } = await new RankTask(model).stepInput(batches, { seed: 2, step: 1 });
  return inputs as readonly NativeLossInput[];
}

const OPTIONS = { gradientScale: 0.01, dropoutSeed: 7, step: 1 };

/** What was accumulated so far. */
const gradientOf = ({ native }: Denoiser) => native.read("gradient", 0, native.bufferSize);

/** Losses and gradient of each micro-batch alone. */
async function oneByOne(model: Denoiser, inputs: readonly NativeLossInput[]) {
  const losses: NativeLoss[] = [];
  for (const input of inputs) losses.push(await model.native.accumulate(input, OPTIONS));
  return { losses, gradient: await gradientOf(model) };
}

describe.each([
  ["cpu", "fp32"],
  ["cuda", "fp32"],
  ["cuda", "bf16"],
] as const)(
  "a micro-batch that is staged while the one before it is computed on (%s, %s)",
  (device, dtype) => {
    const make = () => smallModel({ device, dtype });

    it("gives the bits that it gives alone", async () => {
      using plain = await make();
      const inputs = await severalInputs(plain);
      const expected = await oneByOne(plain, inputs);
      using model = await make();
      const losses: NativeLoss[] = [];
      let staged = model.native.stage(inputs[0]!);
      for (const next of [...inputs.slice(1), undefined]) {
        const loss = model.native.accumulate(staged, OPTIONS);
        if (next !== undefined) staged = model.native.stage(next);
        losses.push(await loss);
      }
      expect(losses).toEqual(expected.losses);
      expect(await gradientOf(model)).toEqual(expected.gradient);
      expect(losses.every(({ maskedTokens }) => maskedTokens > 0)).toBe(true);
    });

    it("is right whatever is called in between, and in its place", async () => {
      using plain = await make();
      const inputs = await severalInputs(plain);
      const [first, second, third] = inputs as [NativeLossInput, NativeLossInput, NativeLossInput];
      const expected = await oneByOne(plain, [first, second, first, third, second]);
      const evaluated = await plain.native.evaluate(third);
      using model = await make();
      const { native } = model;
      const losses = [await native.accumulate(first, OPTIONS)];
      const stagedSecond = native.stage(second);
      expect(await native.evaluate(third)).toEqual(evaluated);
      using prediction = await native.predict(first.batch, {
        conditioning: first.noise.conditioning,
        rows: Int32Array.of(0),
      });
      expect(await prediction.logits()).toHaveLength(54);
      losses.push(await native.accumulate(stagedSecond, OPTIONS));
      using stagedThird = native.stage(third);
      losses.push(await native.accumulate(first, OPTIONS)); // in place of the third
      losses.push(await native.accumulate(stagedThird, OPTIONS));
      losses.push(await native.accumulate(second, OPTIONS));
      expect(losses).toEqual(expected.losses);
      expect(await gradientOf(model)).toEqual(expected.gradient);
    });

    it("fails in its own turn if it is wrong, and not before", async () => {
      using plain = await make();
      const [first, second] = (await severalInputs(plain)) as [NativeLossInput, NativeLossInput];
      const expected = await oneByOne(plain, [first, first, first, second]);
      const tokens = second.batch.tokens.map((token, i) => (i === 4 ? 54 : token));
      const bad = { ...second, batch: { ...second.batch, tokens } };
      const noInput = { ...second, noise: {} } as NativeLossInput;
      using model = await make();
      const { native } = model;
      const losses: NativeLoss[] = [];
      const ahead = async (input: NativeLossInput) => {
        const loss = native.accumulate(first, OPTIONS);
        const staged = native.stage(input);
        losses.push(await loss);
        return staged;
      };
      await expect(native.accumulate(await ahead(bad), OPTIONS)).rejects.toThrow(/BATCH_INVALID.*54/);
      await expect(native.accumulate(await ahead(noInput), OPTIONS)).rejects.toThrow(/ARGUMENT_TYPE/);
      losses.push(await native.accumulate(await ahead(second), OPTIONS));
      expect(losses).toEqual(expected.losses);
      expect(await gradientOf(model)).toEqual(expected.gradient);
    });

    it("is used up by a call, an aborted one included, and freed with its model", async () => {
      using plain = await make();
      const [first, second] = (await severalInputs(plain)) as [NativeLossInput, NativeLossInput];
      const expected = await oneByOne(plain, [second]);
      const model = await make();
      const { native } = model;
      const staged = native.stage(second);
      const enough = AbortSignal.abort(new Error("enough"));
      await expect(native.accumulate(staged, OPTIONS, enough)).rejects.toThrow("enough");
      await expect(native.accumulate(staged, OPTIONS)).rejects.toThrow(/MODEL_DISPOSED.*staged/);
      await native.clearGradient();
      const again = native.stage(second);
      expect([await native.accumulate(again, OPTIONS)]).toEqual(expected.losses);
      await expect(native.accumulate(again, OPTIONS)).rejects.toThrow(/MODEL_DISPOSED.*staged/);
      expect(await gradientOf(model)).toEqual(expected.gradient);
      const last = native.accumulate(first, OPTIONS);
      const left = native.stage(second);
      model[Symbol.dispose]();
      expect((await last).loss).toBeGreaterThan(0);
      await expect(native.accumulate(left, OPTIONS)).rejects.toThrow(/MODEL_DISPOSED/);
      left[Symbol.dispose]();
      await expect(native.accumulate(native.stage(second), OPTIONS)).rejects.toThrow(/MODEL_DISPOSED/);
    });

    it("is what its arrays were when it was staged", async () => {
      using plain = await make();
      const [input] = (await severalInputs(plain)) as [NativeLossInput];
      const expected = await oneByOne(plain, [input]);
      using model = await make();
      const staged = model.native.stage(input);
      input.batch.tokens.fill(2);
      input.noise.weight.fill(0);
      expect([await model.native.accumulate(staged, OPTIONS)]).toEqual(expected.losses);
      expect(await model.native.accumulate(input, OPTIONS)).not.toEqual(expected.losses[0]);
    });

    it("belongs to its model", async () => {
      using model = await make();
      using other = await make();
      const [input] = await severalInputs(model);
      const staged = other.native.stage(input!);
      await expect(model.native.accumulate(staged, OPTIONS)).rejects.toThrow(
        "ARGUMENT_RANGE: the batch was staged by another model",
      );
    });
  },
);

describe("a batch ahead on a GPU", () => {
  it("makes room for another once it is used or disposed of", async () => {
    using model = await smallModel({ device: "cuda" });
    const { native } = model;
    const [input] = await severalInputs(model);
    const one = native.stage(input!);
    const two = native.stage(input!);
    await expect(native.accumulate(native.stage(input!), OPTIONS)).rejects.toThrow(/two batches are staged/);
    one[Symbol.dispose]();
    const three = native.stage(input!);
    expect((await native.accumulate(three, OPTIONS)).loss).toEqual(
      (await native.accumulate(two, OPTIONS)).loss,
    );
  });

  it.each(["fp32", "bf16"] as const)(
    "leaves the weights of a training in %s as they are without",
    async (dtype) => {
      const train = async (ahead: boolean) => {
        using model = await smallModel({ device: "cuda", dtype });
        const { native } = model;
        const stage = vi.spyOn(native, "stage");
        const accumulate = native.accumulate.bind(native);
        let staged = 0;
        vi.spyOn(native, "accumulate").mockImplementation((input, options, signal) => {
          if (!(input instanceof StagedBatch)) return accumulate(input, options, signal);
          staged++;
          if (ahead) return accumulate(input, options, signal);
          input[Symbol.dispose]();
          const at = stage.mock.results.findIndex(({ value }) => value === input);
          return accumulate(stage.mock.calls[at]![0], options, signal);
        });
        const losses: number[] = [];
        const trainer = new Trainer(model, {
          ...smallOptions,
          validation: { ...smallOptions.validation, cells: 4 },
        });
        for await (const { loss } of trainer.fit(source, { steps: 3 })) losses.push(loss);
        return { losses, staged, ...(await weightsOf(model)) };
      };
      const [{ staged, ...ahead }, { staged: _, ...alone }] = [await train(true), await train(false)];
      expect(ahead).toEqual(alone);
      expect(staged).toBeGreaterThanOrEqual(4);
    },
  );
});
