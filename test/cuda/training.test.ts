import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tokenizeRows } from "../../lib/batching/index.js";
import { Denoiser } from "../../lib/model/denoiser.js";
import { nativeDevices } from "../../lib/native/devices.js";
import { generateCells, inpaint } from "../../lib/sampling/index.js";
import { Trainer } from "../../lib/training/trainer.js";
import { relativeError } from "../../scripts/parity/compare.js";
import { smallCountModel } from "../training/small_counts.js";
import { smallModel, smallOptions, smallSource, weightsOf } from "../training/small_run.js";
import { gpuUnderTest, isReal } from "./gpu.js";

// This process computes on the GPU under test, and beside it on the CPU of the same addon.
Object.assign(process.env, gpuUnderTest());

type DType = "fp32" | "bf16";
type Values = "ranks" | "counts";

const STEPS = 4;
const STOPPED_AFTER = 2;
const source = smallSource();
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "ddsc-cuda-"));
});
afterAll(() => rm(root, { recursive: true }));

/** Trains a fresh model, and leaves besides the whole run a copy of it as it was when half done. */
async function train(device: string, dtype: DType, values: Values) {
  const folder = join(root, `${device}-${dtype}-${values}`);
  const halfDone = `${folder}-half-done`;
  using model = await (values === "ranks" ? smallModel : smallCountModel)({ device, dtype });
  const losses: number[] = [];
  const options = { ...smallOptions, validation: { ...smallOptions.validation, cells: 4 }, folder };
  for await (const { step, loss } of new Trainer(model, options).fit(source, { steps: STEPS })) {
    losses.push(loss);
    if (step === STOPPED_AFTER) await cp(folder, halfDone, { recursive: true, verbatimSymlinks: true });
  }
  return { folder, halfDone, losses, device: model.device, ...(await weightsOf(model)) };
}

type Trained = Awaited<ReturnType<typeof train>>;

const runs = new Map<string, Promise<Trained>>();

/** The run of a device: trained once, for all tests. */
function trained(device: "cpu" | "cuda:0", dtype: DType, values: Values = "ranks"): Promise<Trained> {
  const key = `${device} ${dtype} ${values}`;
  const found = runs.get(key) ?? train(device, dtype, values);
  runs.set(key, found);
  return found;
}

/** Goes on with a copy of a run that is half done. */
async function goOn({ halfDone }: Trained, device: string) {
  const folder = await mkdtemp(join(root, "resumed-"));
  await cp(halfDone, folder, { recursive: true, verbatimSymlinks: true });
  const trainer = await Trainer.resume(folder, { device });
  using model = trainer.model;
  const losses: number[] = [];
  for await (const { loss } of trainer.fit(source)) losses.push(loss);
  return { losses, ...(await weightsOf(model)) };
}

describe("a model on a GPU", () => {
  it("is made where auto finds one", async () => {
    expect(nativeDevices().map(({ name }) => name)).toEqual(["cpu", "cuda:0"]);
    using model = await smallModel();
    expect(model.device).toMatch(isReal ? /^cuda:0 \(NVIDIA .+\)$/ : /^cuda:0 \(emulated GPU\)$/);
    expect(model.deviceReason).toMatch(
      isReal
        ? /^the first GPU that can be used \(NVIDIA .+, compute capability \d+\.\d/
        : /^the first GPU that can be used \(emulated GPU, compute capability 9\.0/,
    );
  });

  // Adam's first steps are as large for a gradient of rounding errors as for any: weights differ where losses do not.
  it.each([
    ["ranks", "fp32", 1e-5, 1e-2],
    ["ranks", "bf16", 2e-2, 0.2],
    ["counts", "fp32", 1e-5, 1e-2],
    ["counts", "bf16", 2e-2, 0.2],
  ] as const)(
    "trains on %s in %s as the CPU, with the same masks and dropout",
    async (values, dtype, loss, weight) => {
      const [gpu, cpu] = [await trained("cuda:0", dtype, values), await trained("cpu", dtype, values)];
      expect(gpu.device).toMatch(/^cuda:0/);
      expect(cpu.device).toMatch(/^cpu/);
      expect(gpu.losses).toHaveLength(STEPS);
      expect(relativeError(gpu.losses, cpu.losses)).toBeLessThan(loss);
      expect(relativeError(gpu.weights, cpu.weights)).toBeLessThan(weight);
      expect(relativeError(gpu.ema, cpu.ema)).toBeLessThan(weight);
      expect(gpu.weights).not.toEqual(cpu.weights);
    },
  );

  it.each([
    ["ranks", "fp32"],
    ["ranks", "bf16"],
    ["counts", "fp32"],
    ["counts", "bf16"],
  ] as const)("goes on with %s in %s bit for bit from a checkpoint", async (values, dtype) => {
    const whole = await trained("cuda:0", dtype, values);
    const { losses, weights, ema } = await goOn(whole, "cuda");
    expect(losses).toEqual(whole.losses.slice(STOPPED_AFTER));
    expect({ weights, ema }).toEqual({ weights: whole.weights, ema: whole.ema });
  });

  it("goes on with the CPU where the GPU stopped", async () => {
    const whole = await trained("cpu", "fp32");
    const { losses } = await goOn(await trained("cuda:0", "fp32"), "cpu");
    expect(relativeError(losses, whole.losses.slice(STOPPED_AFTER))).toBeLessThan(1e-5);
  });

  it("draws the ranks that the CPU draws", async () => {
    const { folder } = await trained("cuda:0", "fp32");
    const fill = async (device: string) => {
      using model = await Denoiser.load(folder, { device });
      const rows = Int32Array.from({ length: 8 }, (_, row) => row);
      const { batch } = await tokenizeRows(source, model.tokenizer, rows);
      const keep = Uint8Array.from(batch.tokens, (_, i) => i % 2);
      const { filled } = await inpaint(model, batch, {
        keep,
        seed: 3,
        sampler: { kind: "ancestral", steps: 3 },
      });
      return filled;
    };
    const [gpu, cpu] = [await fill("cuda"), await fill("cpu")];
    expect(gpu.rank.length).toBeGreaterThan(40);
    expect(gpu.rank).toEqual(cpu.rank);
    expect(relativeError(gpu.probability, cpu.probability)).toBeLessThan(1e-4);
    expect(relativeError(gpu.expectedRank, cpu.expectedRank)).toBeLessThan(1e-4);
  });

  it("draws the counts that the CPU draws", async () => {
    const { folder } = await trained("cuda:0", "fp32", "counts");
    const cells = async (device: string) => {
      using model = await Denoiser.load(folder, { device });
      const blocks = [];
      for await (const { offsets, genes, counts } of generateCells(model, { cells: 12, seed: 4, batch: 5 }))
        blocks.push({ offsets, genes, counts });
      return blocks;
    };
    const [gpu, cpu] = [await cells("cuda"), await cells("cpu")];
    expect(gpu.flatMap(({ counts }) => [...counts]).length).toBeGreaterThan(40);
    expect(gpu).toEqual(cpu);
  });

  it("answers as before while what it said earlier is disposed of", async () => {
    using model = await smallModel({ device: "cuda" });
    const { batch } = await tokenizeRows(source, model.tokenizer, Int32Array.of(0));
    const rows = Int32Array.from(batch.tokens.keys());
    const predict = () => model.native.predict(batch, { conditioning: new Float32Array(1), rows });
    const first = await predict();
    const logits = await first.logits();
    const pending = predict();
    first[Symbol.dispose]();
    using second = await pending;
    expect(await second.logits()).toEqual(logits);
  });
});
