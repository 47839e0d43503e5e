import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { require } from "./checks.js";
import { DDSC, run } from "./programs.js";

/** Losses of the same run on other numbers of processes may differ by this share: they differ by rounding. */
const CLOSE = 1e-4;

/** Writes simulated cells, few and small. */
export async function simulateData(file: string): Promise<string> {
  require(existsSync(DDSC[1]), `${DDSC[1]} is missing: npm run build:ts`);
  await run([...DDSC, "convert", "--simulate", "200", "--out", file, "--quiet"]);
  return file;
}

/** `ddsc train` with a small model of counts: a tenth of a second a step. */
export function trainWords(data: string, out: string, steps: number): string[] {
  const small = ["--batch", "8", "--max-length", "128", "--validate-every", String(steps)];
  return [
    "train",
    "--data",
    data,
    "--steps",
    String(steps),
    ...small,
    "--checkpoint-every",
    "2",
    "--out",
    out,
  ];
}

/** How many steps a run has done so far. */
export function stepsDone(folder: string): number {
  return metricsOf(folder).length;
}

/** Losses of a run, of which every step must be there once. */
export function lossesOf(folder: string, steps: number): number[] {
  const metrics = metricsOf(folder);
  const found = metrics.map(({ step }) => step).join();
  const wanted = Array.from({ length: steps }, (_, i) => i + 1).join();
  require(found === wanted, `${folder} has the steps ${found}, not ${wanted}`);
  return metrics.map(({ loss }) => loss);
}

/** The largest relative difference of losses that must agree but for rounding. */
export function requireClose(losses: readonly number[], expected: readonly number[]): number {
  const apart = Math.max(...losses.map((loss, i) => Math.abs(loss / (expected[i] ?? Number.NaN) - 1)));
  require(apart <= CLOSE, `losses differ by ${apart.toExponential(1)} of the loss; ${CLOSE} is allowed`);
  return apart;
}

function metricsOf(folder: string): { step: number; loss: number }[] {
  const file = join(folder, "metrics.jsonl");
  if (!existsSync(file)) return [];
  const text = readFileSync(file, "utf8");
  // What follows the last line break is being written.
  const lines = text.slice(0, text.lastIndexOf("\n") + 1).split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line));
}
