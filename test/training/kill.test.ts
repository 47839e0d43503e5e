import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Purpose, RandomStream } from "../../lib/base/random.js";
import { nodeProgram } from "../node_program.js";

const program = await nodeProgram(new URL("run_child.ts", import.meta.url));
const STEPS = 24;
const KILLS = { ranks: 6, counts: 3 } as const;

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "ddsc-kill-"));
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

/** Runs the training program to its end, or kills it `delay` ms after its `lines`-th line. Whether it got to the end. */
async function run(
  folder: string,
  values: keyof typeof KILLS,
  kill?: { lines: number; delay: number },
): Promise<boolean> {
  const child = spawn(process.execPath, [...program, folder, String(STEPS), values], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let problems = "";
  let doomed: Promise<void> | undefined;
  child.stderr.on("data", (text) => {
    problems += text;
  });
  child.stdout.on("data", (text) => {
    output += text;
    if (kill === undefined || doomed !== undefined || output.split("\n").length <= kill.lines) return;
    doomed = setTimeout(kill.delay).then(() => void child.kill("SIGKILL"));
  });
  const code = await new Promise<number | null>((resolve) => child.on("exit", resolve));
  await doomed;
  if (code !== null && code !== 0) throw new Error(`the program failed with ${code}: ${problems}`);
  return output.endsWith("done\n");
}

/** What must not depend on how a run was interrupted. */
async function outcome(folder: string) {
  const read = (name: string) => readFile(join(folder, "last", name));
  const { state, ...training } = JSON.parse(String(await read("training.json")));
  const { seconds: _, ...progress } = state;
  const lines = String(await readFile(join(folder, "metrics.jsonl")))
    .trimEnd()
    .split("\n");
  return {
    training,
    progress,
    files: (await readdir(folder)).sort(),
    counted: await Promise.all(
      ["base.json", "summary.json"].map((name) => read(name).then(String, () => "")),
    ),
    best: String(await readFile(join(folder, "best", "training.json"))).match(/"step": \d+/)?.[0],
    weights: (await read("model.safetensors")).toString("base64"),
    ema: (await read("ema.safetensors")).toString("base64"),
    moments: (await read("optimizer.safetensors")).toString("base64"),
    losses: lines.map((line) => {
      const { step, loss, gradientNorm, validation } = JSON.parse(line);
      return { step, loss, gradientNorm, validation };
    }),
  };
}

describe("a training that is killed", () => {
  it.each(["ranks", "counts"] as const)(
    "ends with the same weights, bit for bit, as one never stopped, whenever it is killed and resumed (%s)",
    {
      timeout: 300_000,
    },
    async (values) => {
      const whole = join(root, "whole");
      expect(await run(whole, values)).toBe(true);
      const expected = await outcome(whole);
      expect(expected.progress.step).toBe(STEPS);
      expect(expected.losses.map(({ step }) => step)).toEqual(Array.from({ length: STEPS }, (_, i) => i + 1));

      const seed = Date.now();
      const random = new RandomStream(seed, Purpose.draw);
      const killed = join(root, "killed");
      const kills: string[] = [];
      let done = false;
      for (let attempt = 0; !done; attempt++) {
        const kill = { lines: 1 + random.below(7), delay: random.below(60) };
        kills.push(`${kill.lines} lines + ${kill.delay} ms`);
        done = await run(killed, values, attempt < KILLS[values] ? kill : undefined);
      }
      expect(await outcome(killed), `seed ${seed}, killed after ${kills.join(", ")}`).toEqual(expected);
    },
  );
});
