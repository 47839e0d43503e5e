import { describe, expect, it } from "vitest";
import { tokenizeRows } from "../../lib/batching/index.js";
import type { Denoiser } from "../../lib/model/denoiser.js";
import { profileStep, type StepProfile } from "../../lib/training/profile.js";
import { smallModel, smallSource } from "./small_run.js";

const source = smallSource();

async function batchFor(model: Denoiser) {
  const { batch } = await tokenizeRows(source, model.tokenizer, Int32Array.of(3, 4, 5));
  return batch;
}

function sumOf(profile: StepProfile, key: "seconds" | "share"): number {
  return profile.ops.reduce((sum, op) => sum + op[key], 0);
}

describe("profileStep", () => {
  it("accounts for the whole of a training step, op by op", async () => {
    using model = await smallModel({ profile: true });
    const batch = await batchFor(model);
    const profile = await profileStep(model, batch, { repeats: 2 });
    expect(profile).toMatchObject({ work: "train", dtype: "fp32", cells: 3, tokens: batch.tokens.length });
    expect(sumOf(profile, "seconds") + profile.outside).toBeCloseTo(profile.seconds, 9);
    const names = profile.ops.map(({ op, place }) => `${op} ${place}`.trim());
    expect(names).toEqual(
      expect.arrayContaining(["linear qkv", "weight gradient mlp in", "attention", "loss", "adamw"]),
    );
    expect(new Set(names).size).toBe(names.length);
    const seconds = profile.ops.map((op) => op.seconds);
    expect(seconds).toEqual([...seconds].sort((a, b) => b - a));
  });

  it("counts the operations of each product, and compares with the device's own limits", async () => {
    using model = await smallModel({ profile: true });
    const batch = await batchFor(model);
    const { ops, limits } = await profileStep(model, batch, { repeats: 1 });
    const { hidden, blocks } = model.config;
    const qkv = ops.find(({ op, place }) => op === "linear" && place === "qkv");
    expect(qkv).toMatchObject({
      calls: blocks,
      flops: 2 * batch.tokens.length * 3 * hidden * hidden * blocks,
    });
    for (const op of ops) {
      const limit = Math.max(op.flops / limits.fp32FlopsPerSecond, op.bytes / limits.bytesPerSecond);
      expect(op.shareOfLimit).toBeCloseTo(op.seconds > 0 ? limit / op.seconds : 0, 9);
      expect(op.bound).toBe(
        op.flops / limits.fp32FlopsPerSecond > op.bytes / limits.bytesPerSecond ? "compute" : "memory",
      );
    }
  });

  it("runs the network alone on half-masked cells, leaving the model as it is", async () => {
    using model = await smallModel({ profile: true, trainable: false });
    const batch = await batchFor(model);
    const before = await model.native.read("weights", 0, model.native.bufferSize);
    const { ops, work } = await profileStep(model, batch, { work: "forward", repeats: 1 });
    expect(work).toBe("forward");
    expect(ops.some(({ op }) => op.includes("gradient") || op === "adamw")).toBe(false);
    // Of cells of n tokens, floor(n / 2) are masked: the head sees these only.
    const masked = batch.cells.reduce(
      (sum, _, i) => sum + Math.floor((batch.offsets[i + 1]! - batch.offsets[i]!) / 2),
      0,
    );
    const head = ops.find(({ op, place }) => op === "linear" && place === "head");
    expect(head?.flops).toBe(2 * masked * model.config.hidden * model.config.vocabSize);
    expect(await model.native.read("weights", 0, model.native.bufferSize)).toEqual(before);
  });

  it("refuses a model that keeps no profile, or cannot be trained", async () => {
    using plain = await smallModel();
    const batch = await batchFor(plain);
    await expect(profileStep(plain, batch)).rejects.toMatchObject({ code: "MODEL_PROFILE" });
    using predicting = await smallModel({ profile: true, trainable: false });
    await expect(profileStep(predicting, batch)).rejects.toMatchObject({ code: "TRAIN_MODEL" });
    await expect(profileStep(plain, batch, { repeats: 0 })).rejects.toMatchObject({ code: "ARGUMENT_RANGE" });
  });
});
