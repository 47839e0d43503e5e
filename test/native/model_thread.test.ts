import { execFile } from "node:child_process";
import { pbkdf2 } from "node:crypto";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Denoiser } from "../../lib/model/denoiser.js";
import type { NativeBatch } from "../../lib/native/types.js";
import { smallModel } from "../training/small_run.js";

let model: Denoiser;
beforeEach(async () => {
  model = await smallModel();
});
afterEach(() => model[Symbol.dispose]());

/** A cell of so many masked tokens. */
function masked(tokens: number): NativeBatch {
  return {
    offsets: Int32Array.of(0, tokens),
    genes: new Int32Array(tokens).fill(3),
    tokens: new Int32Array(tokens).fill(model.config.vocabSize - 1),
    cells: Float64Array.of(0),
  };
}

const conditioning = Float32Array.of(0);

describe("a model's calls", () => {
  it("do not wait for what fills libuv's pool", async () => {
    const ended: string[] = [];
    const hash = promisify(pbkdf2);
    const jobs = Array.from({ length: 8 }, async () => {
      await hash("password", "salt", 400_000, 64, "sha512");
      ended.push("hash");
    });
    using prediction = await model.native.predict(masked(20), { conditioning });
    await prediction.statistics();
    ended.push("statistics");
    await Promise.all(jobs);
    // In the pool's queue they would come after five of them at least.
    expect(ended.indexOf("statistics")).toBeLessThan(4);
  });

  it("run in the order in which they were made, with the arrays as they were then", async () => {
    const { native } = model;
    const ended: number[] = [];
    const values = Float32Array.of(0, 0);
    const calls = [];
    for (let i = 1; i <= 20; i++) {
      values.fill(i);
      calls.push(native.write("weights", 0, values).then(() => ended.push(2 * i)));
      const read = native.read("weights", 0, 2).then((found) => {
        ended.push(2 * i + 1);
        expect(found).toEqual(Float32Array.of(i, i));
      });
      calls.push(read);
    }
    await Promise.all(calls);
    expect(ended).toEqual(Array.from({ length: 40 }, (_, i) => i + 2));
  });

  it("are cancelled one by one, those that wait and the one under way", async () => {
    // A call looks for its cancellation once a block: with many of them the one under way is far from its last look.
    using deep = await smallModel({ shape: { hidden: 32, heads: 2, blocks: 24, condDim: 16 } });
    const { native } = deep;
    const long = masked(4096);
    const [first, third] = [new AbortController(), new AbortController()];
    const calls = [first.signal, undefined, third.signal, undefined].map((signal) =>
      native.predict(long, { conditioning }, signal),
    );
    third.abort(new Error("the third"));
    first.abort(new Error("the first"));
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "rejected", "fulfilled"]);
    expect(outcomes[0]).toMatchObject({ reason: { message: "the first" } });
    expect(outcomes[2]).toMatchObject({ reason: { message: "the third" } });
    for (const outcome of outcomes) if (outcome.status === "fulfilled") outcome.value[Symbol.dispose]();
  });

  it("end as they would have where the model is disposed of meanwhile", async () => {
    const calls = Array.from({ length: 3 }, () => model.native.read("weights", 0, 4));
    model[Symbol.dispose]();
    await expect(model.native.read("weights", 0, 4)).rejects.toThrow(/MODEL_DISPOSED/);
    for (const values of await Promise.all(calls)) expect(values).toHaveLength(4);
  });
});

describe("a process with a model", () => {
  const program = fileURLToPath(new URL("model_thread_child.ts", import.meta.url));

  async function run(way: string): Promise<{ code: number | string | null; output: string; errors: string }> {
    const options = { timeout: 60_000, env: { ...process.env, DDSC_THREADS: "1" } };
    return new Promise((resolve) => {
      execFile(process.execPath, ["--import", "tsx", program, way], options, (error, output, errors) =>
        resolve({ code: error?.code ?? error?.signal ?? 0, output, errors }),
      );
    });
  }

  it("ends by itself while the model is idle", async () => {
    expect(await run("idle")).toEqual({ code: 0, output: "", errors: "" });
  });

  it("stays alive for the calls that are pending", async () => {
    expect(await run("pending")).toEqual({ code: 0, output: "computed ", errors: "" });
  });

  it("may exit in the middle of calls", async () => {
    expect(await run("exit")).toEqual({ code: 7, output: "begun ", errors: "" });
  });

  it("goes on after a thread of it that was computing is terminated", async () => {
    expect(await run("terminated")).toEqual({ code: 0, output: "worker 1 computed ", errors: "" });
  });
});
