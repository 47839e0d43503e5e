import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ended, start, writeStudy } from "../cli/program.js";
import { nodeProgramOf } from "../node_program.js";
import { emulated, ROOT } from "./emulated.js";
import { gpuUnderTest, isReal } from "./gpu.js";

/** Runs `ddsc` on the GPU under test, or on an emulated one of these properties. */
const onGpu = (gpu: string, ...words: readonly string[]) =>
  ended(start(words, gpu === "" ? gpuUnderTest() : emulated(gpu)));

const REASONS = [
  ["no-driver", "no NVIDIA driver is installed"],
  ["old-driver", "the NVIDIA driver is too old: it serves CUDA 11.4, and CUDA 13.0 is needed"],
  ["no-gpu", "the NVIDIA driver sees no GPU"],
  ["old-gpu", "compute capability 7.5 is too old: 8.0 (Ampere) or later is needed"],
] as const;

let folder: string;
let data: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-gpu-"));
  data = join(folder, "cells.h5ad");
  await writeStudy(data);
});
afterAll(() => rm(folder, { recursive: true }));

/** A command that computes, but for a device it does not get. */
const computing = (device: string) => ["demo", "--short", "--device", device] as const;

describe.skipIf(isReal)("where there is no GPU to be had", () => {
  it.each(REASONS)("%s: an explicit device is refused with the reason", async (gpu, reason) => {
    for (const device of ["cuda", "cuda:0"]) {
      const { code, stderr } = await onGpu(gpu, ...computing(device));
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringMatching(/^ddsc: DEVICE_UNAVAILABLE: cuda.*\n$/),
      });
      expect(stderr).toContain(reason);
    }
  });

  it.each(REASONS)("%s: `ddsc devices` says so", async (gpu, reason) => {
    const { code, stdout, json } = await onGpu(gpu, "devices", "--json");
    expect(code).toBe(0);
    expect(stdout).toContain(reason);
    expect(json()).toMatchObject({ cuda: { isBuilt: true } });
  });

  it("auto computes on the CPU and tells why in one line", async () => {
    const { code, stdout } = await onGpu("no-driver", "demo", "--short", "--out", join(folder, "demo.html"));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^device cpu \(.*\): no GPU can be used: no NVIDIA driver is installed$/m);
  });
});

describe("a GPU's number", () => {
  it("is refused where there are fewer", async () => {
    const { code, stderr } = await onGpu("", ...computing("cuda:3"));
    expect(code).toBe(1);
    expect(stderr).toBe("ddsc: DEVICE_UNAVAILABLE: cuda:3: this machine has 1 GPU, numbered from 0\n");
  });

  it.each(["gpu", "cuda:", "cuda:x", "CUDA"])("is a number, which %s is not", async (device) => {
    const { code, stderr } = await onGpu("", ...computing(device));
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^ddsc: DEVICE_UNKNOWN: expected auto, cpu, cuda or cuda:N for --device but received .*\n$/,
    );
  });
});

describe("a library for products", () => {
  const withGemm = (DDSC_GEMM: string) => ended(start(computing("cuda"), { ...gpuUnderTest(), DDSC_GEMM }));

  // A machine with a GPU may well have it.
  it.skipIf(isReal)(
    "that is asked for and cannot be had is an error with the reason and the remedy",
    async () => {
      const { code, stderr } = await withGemm("cublaslt");
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /^ddsc: GEMM_UNAVAILABLE: .*cannot open shared object file.*LD_LIBRARY_PATH, or unset DDSC_GEMM\n$/,
      );
    },
  );

  it.skipIf(isReal)("of instructions that the GPU does not have is refused", async () => {
    const { code, stderr } = await ended(
      start(computing("cuda"), { ...emulated("ampere"), DDSC_GEMM: "hopper" }),
    );
    expect(code).toBe(1);
    expect(stderr).toBe(
      "ddsc: GEMM_UNAVAILABLE: DDSC_GEMM asks for the instructions of Hopper GPUs, which this GPU (emulated GPU) does not have; unset DDSC_GEMM\n",
    );
  });

  it("is one of those there are", async () => {
    const { code, stderr } = await withGemm("mkl");
    expect(code).toBe(1);
    expect(stderr).toBe(
      'ddsc: GEMM_UNKNOWN: expected own, hopper, cublaslt or auto for DDSC_GEMM but received "mkl"\n',
    );
  });
});

describe.skipIf(isReal)("a GPU with too little memory", () => {
  it("is found out before a training starts", async () => {
    const out = join(folder, "run");
    const training = [
      "train",
      "--values",
      "ranks",
      "--data",
      data,
      "--device",
      "cuda",
      "--out",
      out,
    ] as const;
    const { code, stderr } = await onGpu("memory=16", ...training, "--preset", "small");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^ddsc: TRAIN_MEMORY: .* and cuda:0 has 0\.02 GiB; try .*--preset\n$/);
  });

  it("says what was asked, what is free and what lowers it", async () => {
    const { code, stderr } = await onGpu("memory=16", ...computing("cuda"));
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^ddsc: CUDA_OUT_OF_MEMORY: the GPU has no \d+ MiB for this call: \d+ MiB of 16 MiB are free.*--recompute.*\n$/,
    );
  });
});

describe.skipIf(isReal)("a GPU that fails", () => {
  const script = `
    import { Denoiser, GeneVocabulary } from "./lib/index.ts";
    const vocabulary = GeneVocabulary.fromIds(["A", "B", "C"]);
    const make = (device) => Denoiser.create({ values: "ranks", vocabulary, device, shape: { hidden: 32, heads: 2, blocks: 1 } });
    const codeOf = (work) => work().then(() => "done", ({ code }) => code);
    const model = await make("cuda");
    const read = () => codeOf(() => model.native.read("weights", 0, 4));
    let first = "done";
    for (let call = 0; call < 2000 && first === "done"; call++) first = await read();
    const outcomes = [first, await read(), await codeOf(() => make("cuda")), await codeOf(() => make("cpu"))];
    console.log(outcomes.join(" "));`;
  const run = async (gpu: string, program = script) =>
    spawnSync(process.execPath, await nodeProgramOf(program), {
      cwd: ROOT,
      encoding: "utf8",
      env: { ...process.env, ...emulated(gpu) },
    });

  it("is not used again by the process, which goes on with the CPU", async () => {
    expect((await run("fails-at=1000")).stdout).toBe("CUDA_FAILED CUDA_DEVICE_LOST CUDA_DEVICE_LOST done\n");
  });

  it("is a GPU that worked before", async () => {
    expect((await run("")).stdout).toBe("done done done done\n");
  });

  const training = `
    import { Trainer } from "./lib/index.ts";
    import { smallModel, smallOptions, smallSource } from "./test/training/small_run.ts";
    const model = await smallModel({ device: "cuda" });
    const trainer = new Trainer(model, { ...smallOptions, validation: false });
    let steps = 0;
    const codeOf = async () => {
      try {
        for await (const _ of trainer.fit(smallSource(), { steps: 3 })) steps++;
        return "done";
      } catch ({ code }) {
        return code;
      }
    };
    const outcomes = [await codeOf(), steps, trainer.state.step];
    console.log(outcomes.join(" "), steps < 3 ? await codeOf() : "");
    model[Symbol.dispose]();`;

  // A step is some 180 pieces of work, the copies of two batches among them.
  it.each([60, 150, 290, 350, 431])(
    "ends a training at its piece of work %i, with batches ahead",
    async (piece) => {
      const { stdout, stderr, status } = await run(`fails-at=${piece}`, training);
      expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
      const [first, steps, done, again] = stdout.trim().split(" ");
      expect({ first, again }).toEqual({ first: "CUDA_FAILED", again: "CUDA_DEVICE_LOST" });
      expect(done).toBe(steps);
    },
  );
});
