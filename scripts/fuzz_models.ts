/**
 * Feeds damaged runs and models (several of their files damaged together) to what loads and uses them:
 * npx tsx scripts/fuzz_models.ts [--inputs 10000] [--first 0] [--kind counts|ranks]
 *
 * Each must end in a DdscError or in a model whose outputs are finite, in 5 s and 1 GiB. Every kind of model runs in a process of
 * its own, which is ended when it is silent for too long; a failure names the input, which --first N --inputs 1 repeats.
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { damagedRun, MODEL_KINDS, type ModelKind, originalRun, useRun } from "./damaged_models.js";

/** A single input may take so long, and the process so much memory. */
const SILENCE_MS = 60_000;
const INPUT_MS = 5000;
const MEMORY_BYTES = 2 ** 30;

/** Runs inputs one after the other; ends the process at the first that is not dealt with. */
async function work(kind: ModelKind, first: number, inputs: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "ddsc-fuzz-"));
  process.once("exit", () => void rm(folder, { recursive: true, force: true }));
  const original = await originalRun(kind, join(folder, "original"));
  const outcomes = new Map<string, number>();
  let slowest = 0;
  let largest = 0;
  for (let number = first; number < first + inputs; number++) {
    const run = join(folder, "damaged");
    const changes = await damagedRun(original, run, number);
    const start = performance.now();
    let outcome: string;
    try {
      outcome = await useRun(run);
    } catch (error) {
      console.error(`${kind} input ${number} (${changes.join("; ")}):`, error);
      process.exit(1);
    }
    const milliseconds = performance.now() - start;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    slowest = Math.max(slowest, milliseconds);
    largest = Math.max(largest, process.memoryUsage.rss());
    if (milliseconds > INPUT_MS || largest > MEMORY_BYTES) {
      const mebibytes = (largest / 2 ** 20).toFixed(0);
      console.error(
        `${kind} input ${number} (${changes.join("; ")}): ${milliseconds.toFixed(0)} ms, ${mebibytes} MiB`,
      );
      process.exit(1);
    }
    await rm(run, { recursive: true });
    if (number % 50 === 0) console.log(`${kind} ${number}`);
  }
  const counted = [...outcomes].sort(([, a], [, b]) => b - a).map(([code, count]) => `${code} ${count}`);
  console.log(
    `${kind}: ${inputs} inputs, slowest ${slowest.toFixed(0)} ms, at most ${(largest / 2 ** 20).toFixed(0)} MiB; ${counted.join(", ")}`,
  );
  await rm(folder, { recursive: true, force: true });
}

/** Runs a kind in a process of its own; whether all went well. */
function run(kind: ModelKind, first: number, inputs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const options = ["--worker", "--kind", kind, "--first", String(first), "--inputs", String(inputs)];
    const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), ...options], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let last = "";
    const alarm = setTimeout(() => {
      console.error(`${kind}: silent for ${SILENCE_MS / 1000} s after "${last}"`);
      child.kill("SIGKILL");
    }, SILENCE_MS);
    child.stdout.on("data", (text: Buffer) => {
      alarm.refresh();
      last = text.toString().trim().split("\n").at(-1) ?? last;
      if (last.includes("inputs")) console.log(last);
    });
    child.on("exit", (code, signal) => {
      clearTimeout(alarm);
      if (code !== 0) console.error(`${kind}: ended with ${signal ?? code} after "${last}"`);
      resolve(code === 0);
    });
  });
}

const { values } = parseArgs({
  options: {
    inputs: { type: "string", default: "10000" },
    first: { type: "string", default: "0" },
    kind: { type: "string" },
    worker: { type: "boolean", default: false },
  },
});
const chosen = MODEL_KINDS.filter((kind) => values.kind === undefined || values.kind === kind);
if (values.worker && chosen[0] !== undefined) {
  await work(chosen[0], Number(values.first), Number(values.inputs));
} else {
  let good = chosen.length > 0;
  for (const kind of chosen) good = (await run(kind, Number(values.first), Number(values.inputs))) && good;
  process.exitCode = good ? 0 : 1;
}
