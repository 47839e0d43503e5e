import { describe, expect, it, vi } from "vitest";
import { tokenizeRows } from "../../lib/batching/index.js";
import type { Denoiser } from "../../lib/model/denoiser.js";
import type { NativeLoss, NativeLossInput } from "../../lib/native/denoiser.js";
import { lossInputs } from "../../lib/training/step.js";
import { Trainer } from "../../lib/training/trainer.js";
import { smallModel, smallOptions, smallSource, weightsOf } from "../training/small_run.js";
import { emulated } from "./emulated.js";

// This process computes on the emulated GPU, and beside it on the CPU of the same addon.
Object.assign(process.env, emulated());

const source = smallSource();

/** Micro-batches of 3, 5, 4 and 5 cells. */
async function severalInputs(model: Denoiser): Promise<NativeLossInput[]> {
  const batches = [];
  let row = 0;
  for (const cells of [3, 5, 4, 5]) {
    const rows = Int32Array.from({ length: cells }, () => row++);
    batches.push((await tokenizeRows(source, model.tokenizer, rows)).batch);
  }
  return lossInputs(model, batches, { seed: 2, step: 1 });
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

/** The same input, of which nothing can be told but its contents. */
const copyOf = (input: NativeLossInput): NativeLossInput => structuredClone(input);

describe.each([
  ["cpu", "fp32"],
  ["cuda", "fp32"],
  ["cuda", "bf16"],
] as const)("a micro-batch handed in with the one before it (%s, %s)", (device, dtype) => {
  const make = () => smallModel({ device, dtype });

  it("gives the bits that it gives alone", async () => {
    using plain = await make();
    const inputs = await severalInputs(plain);
    const expected = await oneByOne(plain, inputs);
    using model = await make();
    const losses: NativeLoss[] = [];
    for (const [i, input] of inputs.entries()) {
      losses.push(await model.native.accumulate(input, { ...OPTIONS, next: inputs[i + 1] }));
    }
    expect(losses).toEqual(expected.losses);
    expect(await gradientOf(model)).toEqual(expected.gradient);
    expect(losses.every(({ maskedTokens }) => maskedTokens > 0)).toBe(true);
  });

  it("is right whatever is called in between, and in its place", async () => {
    using plain = await make();
    const inputs = await severalInputs(plain);
    const [first, second, third] = inputs as [NativeLossInput, NativeLossInput, NativeLossInput];
    const expected = await oneByOne(plain, [first, second, first, copyOf(third), second]);
    const evaluated = await plain.native.evaluate(third);
    using model = await make();
    const { native } = model;
    const losses = [await native.accumulate(first, { ...OPTIONS, next: second })];
    expect(await native.evaluate(third)).toEqual(evaluated);
    using prediction = await native.predict(first.batch, {
      conditioning: first.noise.conditioning,
      rows: Int32Array.of(0),
    });
    expect(await prediction.logits()).toHaveLength(54);
    losses.push(await native.accumulate(second, { ...OPTIONS, next: third }));
    losses.push(await native.accumulate(first, { ...OPTIONS, next: third })); // in place of the third
    losses.push(await native.accumulate(copyOf(third), OPTIONS)); // the same, but another object
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
    losses.push(await native.accumulate(first, { ...OPTIONS, next: bad }));
    await expect(native.accumulate(bad, { ...OPTIONS, next: second })).rejects.toThrow(/BATCH_INVALID.*54/);
    losses.push(await native.accumulate(first, { ...OPTIONS, next: noInput }));
    await expect(native.accumulate(noInput, { ...OPTIONS, next: second })).rejects.toThrow(/ARGUMENT_TYPE/);
    losses.push(await native.accumulate(first, { ...OPTIONS, next: second }));
    losses.push(await native.accumulate(second, OPTIONS));
    expect(losses).toEqual(expected.losses);
    expect(await gradientOf(model)).toEqual(expected.gradient);
  });

  it("is forgotten by a call that is aborted, and by a model that is disposed of", async () => {
    using plain = await make();
    const [first, second] = (await severalInputs(plain)) as [NativeLossInput, NativeLossInput];
    const expected = await oneByOne(plain, [second]);
    const model = await make();
    const { native } = model;
    await native.accumulate(first, { ...OPTIONS, next: second });
    await expect(native.accumulate(second, OPTIONS, AbortSignal.abort(new Error("enough")))).rejects.toThrow(
      "enough",
    );
    await native.clearGradient();
    expect([await native.accumulate(second, { ...OPTIONS, next: first })]).toEqual(expected.losses);
    expect(await gradientOf(model)).toEqual(expected.gradient);
    const last = native.accumulate(first, { ...OPTIONS, next: second });
    model[Symbol.dispose]();
    expect((await last).loss).toBeGreaterThan(0);
    await expect(native.accumulate(second, OPTIONS)).rejects.toThrow(/MODEL_DISPOSED/);
  });
});

describe("a batch ahead on a GPU", () => {
  it("is copied in the call before its own", async () => {
    using plain = await smallModel({ device: "cuda" });
    const [first, second] = (await severalInputs(plain)) as [NativeLossInput, NativeLossInput];
    const expected = await oneByOne(plain, [first, second]);
    using model = await smallModel({ device: "cuda" });
    const losses = [await model.native.accumulate(first, { ...OPTIONS, next: second })];
    // What is on the device already cannot change any more.
    second.batch.tokens.fill(2);
    second.noise.weight.fill(0);
    losses.push(await model.native.accumulate(second, OPTIONS));
    expect(losses).toEqual(expected.losses);
    expect(await model.native.accumulate(second, OPTIONS)).not.toEqual(expected.losses[1]);
  });

  it.each(["fp32", "bf16"] as const)(
    "leaves the weights of a training in %s as they are without",
    async (dtype) => {
      const train = async (ahead: boolean) => {
        using model = await smallModel({ device: "cuda", dtype });
        const accumulate = model.native.accumulate.bind(model.native);
        let handedIn = 0;
        vi.spyOn(model.native, "accumulate").mockImplementation((input, { next, ...options }, signal) => {
          if (next !== undefined) handedIn++;
          return accumulate(input, ahead ? { ...options, next } : options, signal);
        });
        const losses: number[] = [];
        const trainer = new Trainer(model, {
          ...smallOptions,
          validation: { ...smallOptions.validation, cells: 4 },
        });
        for await (const { loss } of trainer.fit(source, { steps: 3 })) losses.push(loss);
        return { losses, handedIn, ...(await weightsOf(model)) };
      };
      const [{ handedIn, ...ahead }, { handedIn: _, ...alone }] = [await train(true), await train(false)];
      expect(ahead).toEqual(alone);
      expect(handedIn).toBeGreaterThanOrEqual(4);
    },
  );
});
