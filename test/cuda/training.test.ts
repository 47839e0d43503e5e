import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tokenizeRows } from "../../lib/batching/index.js";
import { Denoiser } from "../../lib/model/denoiser.js";
import { nativeDevices } from "../../lib/native.js";
import { inpaint } from "../../lib/sampling/index.js";
import { Trainer } from "../../lib/training/trainer.js";
import { relativeError } from "../../scripts/parity/compare.js";
import { smallModel, smallOptions, smallSource, weightsOf } from "../training/small_run.js";
import { emulated } from "./emulated.js";

// This process computes on the emulated GPU, and beside it on the CPU of the same addon.
Object.assign(process.env, emulated());

const STEPS = 4;
const source = smallSource();
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "ddsc-cuda-"));
});
afterAll(() => rm(root, { recursive: true }));

async function train(trainer: Trainer, steps: number): Promise<number[]> {
  const losses: number[] = [];
  for await (const { loss } of trainer.fit(source, { steps })) losses.push(loss);
  return losses;
}

/** Trains a fresh model in a run of its own. */
async function trained(device: string, dtype: "fp32" | "bf16", name: string, steps = STEPS) {
  const folder = join(root, `${name}-${dtype}`);
  using model = await smallModel({ device, dtype });
  const losses = await train(new Trainer(model, { ...smallOptions, folder }), steps);
  return { folder, losses, device: model.device, ...(await weightsOf(model)) };
}

describe("a model on a GPU", () => {
  it("is made where auto finds one", async () => {
    expect(nativeDevices().map(({ name }) => name)).toEqual(["cpu", "cuda:0"]);
    using model = await smallModel();
    expect(model.device).toBe("cuda:0 (emulated GPU)");
    expect(model.deviceReason).toMatch(
      /^the first GPU that can be used \(emulated GPU, compute capability 8\.0/,
    );
  });

  // Adam's first steps are as large for a gradient of rounding errors as for any: weights differ where losses do not.
  it.each([
    ["fp32", 1e-5, 1e-2],
    ["bf16", 2e-2, 0.2],
  ] as const)(
    "trains in %s as on the CPU, with the same masks and dropout",
    async (dtype, lossError, weightError) => {
      const gpu = await trained("cuda", dtype, "gpu");
      const cpu = await trained("cpu", dtype, "cpu");
      expect([gpu.device, cpu.device]).toEqual([
        expect.stringMatching(/^cuda:0/),
        expect.stringMatching(/^cpu/),
      ]);
      expect(relativeError(gpu.losses, cpu.losses)).toBeLessThan(lossError);
      expect(relativeError(gpu.weights, cpu.weights)).toBeLessThan(weightError);
      expect(gpu.weights).not.toEqual(cpu.weights);
    },
  );

  it.each(["fp32", "bf16"] as const)("goes on in %s bit for bit from a checkpoint", async (dtype) => {
    const whole = await trained("cuda:0", dtype, "whole");
    const { folder } = await trained("cuda:0", dtype, "parts", STEPS / 2);
    const second = await Trainer.resume(folder, { device: "cuda:0" });
    using model = second.model;
    await train(second, STEPS);
    expect(await weightsOf(model)).toEqual({ weights: whole.weights, ema: whole.ema });
  });

  it("goes on elsewhere: a run of the GPU on the CPU", async () => {
    const whole = await trained("cpu", "fp32", "home");
    const { folder } = await trained("cuda", "fp32", "away", STEPS / 2);
    const second = await Trainer.resume(folder, { device: "cpu" });
    using _model = second.model;
    const losses = await train(second, STEPS);
    expect(relativeError(losses, whole.losses.slice(STEPS / 2))).toBeLessThan(1e-5);
  });

  it("draws the ranks that the CPU draws", async () => {
    const { folder } = await trained("cuda", "fp32", "sampled");
    const fill = async (device: string) => {
      using model = await Denoiser.load(folder, { device });
      const { batch } = await tokenizeRows(
        source,
        model.tokenizer,
        Int32Array.from({ length: 12 }, (_, i) => i),
      );
      const keep = Uint8Array.from(batch.tokens, (_, i) => i % 2);
      const { filled } = await inpaint(model, batch, { keep, seed: 3, sampler: { kind: "first-hitting" } });
      return filled;
    };
    const [gpu, cpu] = [await fill("cuda"), await fill("cpu")];
    expect(gpu.rank.length).toBeGreaterThan(80);
    expect(gpu.rank).toEqual(cpu.rank);
    expect(relativeError(gpu.probability, cpu.probability)).toBeLessThan(1e-4);
    expect(relativeError(gpu.expectedRank, cpu.expectedRank)).toBeLessThan(1e-4);
  });

  it("is freed while its predictions are still held, and they while it works", async () => {
    using model = await smallModel({ device: "cuda" });
    const { batch } = await tokenizeRows(source, model.tokenizer, Int32Array.of(0, 1, 2));
    const rows = Int32Array.from(batch.tokens.keys());
    const conditioning = new Float32Array(3);
    const first = await model.native.predict(batch, { conditioning, rows });
    const logits = await first.logits();
    const pending = Array.from({ length: 4 }, () => model.native.predict(batch, { conditioning, rows }));
    first[Symbol.dispose]();
    for (const prediction of await Promise.all(pending)) {
      expect(await prediction.logits()).toEqual(logits);
      prediction[Symbol.dispose]();
    }
  });
});
