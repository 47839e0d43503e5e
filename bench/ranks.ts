/**
 * Whether several processes train as fast as the threads of one: N processes of one thread, which MPI started, beside one process of
 * N threads, the same run in turns; and, of the model of ranks, beside PyTorch's DistributedDataParallel over gloo with as many processes of
 * one thread on cells of the same number and length. Prints tokens a second of each (median over the steps after the first three) and their ratios.
 *
 *     [DDSC_TORCH_PYTHON=PYTHON] npm run bench:ranks -- [--ranks 2] [--repeats 3] [--launcher mpirun.openmpi] [--exchange]
 *
 * --exchange says instead what of a step the exchange between ranks takes, for one process and several, of one thread each, the same batch
 * shared out, with and without --shard-optimizer.
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { presets } from "../lib/model/config.js";
import { readMetrics } from "../lib/training/metrics_lines.js";
import type { Exchange, ExchangeCase } from "./ranks_child.js";
import { median } from "./statistics.js";

const { values } = parseArgs({
  options: {
    ranks: { type: "string", default: "2" },
    repeats: { type: "string", default: "3" },
    launcher: { type: "string", default: "mpirun.openmpi" },
    exchange: { type: "boolean", default: false },
  },
});
const ranks = Number(values.ranks);
const repeats = Number(values.repeats);
/** Steps that open data and warm up. */
const FIRST = 3;
const PROGRAM = join(import.meta.dirname, "../dist/cli/main.js");

const CASES = [
  {
    name: "ranks, tiny, 4 cells of 1,024 tokens",
    simulate: ["--simulate", "64", "--simulated-genes", "3000", "--simulated-depth", "20000"],
    train: ["--values", "ranks", "--preset", "tiny", "--batch", "4", "--max-length", "1024", "--steps", "9"],
    peer: { batch: 4, length: 1024, genes: 3003 },
  },
  {
    name: "counts, nano, 64 cells of 1,000 genes",
    simulate: ["--simulate", "2000", "--simulated-genes", "1000"],
    train: ["--preset", "nano", "--batch", "64", "--steps", "12"],
    peer: undefined,
  },
];

const EXCHANGES: readonly ExchangeCase[] = [{ preset: "nano", genes: 1000, cells: 64 }];

/** Words and variables by which several processes of one thread start. */
const LAUNCH = ["--oversubscribe", "--bind-to", "none", "-n", String(ranks), process.execPath];
const ONE_THREAD = { DDSC_THREADS: "1", OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1" };

/** Prints the pieces of a step of each case, the median of the repeats. */
async function exchange(): Promise<void> {
  const child = ["--import", "tsx", join(import.meta.dirname, "ranks_child.ts")];
  const ms = (seconds: readonly number[]) => `${(1000 * median(seconds)).toFixed(1)} ms`;
  console.log(
    "| | processes | step | waited for the gradient | update | a sum by itself |\n|---|---|---|---|---|---|",
  );
  for (const each of EXCHANGES) {
    const found: Record<string, Exchange[]> = { 1: [], [ranks]: [], [`${ranks}, --shard-optimizer`]: [] };
    for (let repeat = 0; repeat < repeats; repeat++) {
      for (const [name, all] of Object.entries(found)) {
        const words = [...child, JSON.stringify({ ...each, shared: name.includes("-") })];
        const output =
          name === "1"
            ? await run(process.execPath, words, { ...ONE_THREAD, DDSC_CLUSTER: "off" })
            : await run(values.launcher, [...LAUNCH, ...words], ONE_THREAD);
        all.push(JSON.parse(output.trim().split("\n").at(-1) ?? ""));
      }
    }
    const { preset, genes, cells } = each;
    for (const [name, all] of Object.entries(found)) {
      const what = `${preset}, ${((all[0]?.parameters ?? 0) / 1e6).toFixed(1)} million parameters, ${cells} cells of ${genes} genes`;
      const pieces = (["step", "waited", "update", "alone"] as const).map((piece) =>
        ms(all.map((one) => one[piece])),
      );
      console.log(`| ${what} | ${name} | ${pieces.join(" | ")} |`);
    }
  }
}

const folder = await mkdtemp(join(tmpdir(), "ddsc-ranks-"));

/** Runs a program; gives what it prints. */
function run(command: string, words: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, words, {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [output, problem] = ["", ""];
    child.stdout.on("data", (text: Buffer) => {
      output += text.toString();
    });
    child.stderr.on("data", (text: Buffer) => {
      problem = (problem + text.toString()).slice(-2000);
    });
    child.on("error", reject);
    child.on("exit", (code) => (code === 0 ? resolve(output) : reject(new Error(`${command}: ${problem}`))));
  });
}

/** Tokens a second of a run. */
async function speedOf(out: string): Promise<number> {
  const { lines } = await readMetrics(join(out, "metrics.jsonl"));
  return median(lines.slice(FIRST).flatMap(({ tokensPerSecond }) => tokensPerSecond ?? []));
}

/** Tokens a second of PyTorch. */
async function peerSpeed(
  python: string,
  cells: { batch: number; length: number; genes: number },
): Promise<number> {
  const { hidden, blocks, heads, condDim } = presets.tiny;
  const own = {
    ...cells,
    batch: cells.batch / ranks,
    threads: 1,
    vocabulary: 54,
    shape: { hidden, blocks, heads, condDim },
    dropout: 0.1,
    what: "train step",
    compile: false,
    dtype: "fp32",
  };
  const script = join(import.meta.dirname, "peer/ddp.py");
  const output = await run(python, [script, JSON.stringify(own), String(ranks), "9"], {
    PYTHONDONTWRITEBYTECODE: "1",
  });
  const seconds = JSON.parse(output) as number[];
  return (cells.batch * cells.length) / median(seconds.slice(FIRST));
}

/** Ratios of pairs of runs, for people. */
function ratiosOf(speeds: readonly number[], others: readonly number[]): string {
  const ratios = speeds.map((speed, repeat) => speed / (others[repeat] ?? Number.NaN));
  return `${median(ratios).toFixed(2)} (${ratios.map((ratio) => ratio.toFixed(2)).join(", ")})`;
}

const { DDSC_TORCH_PYTHON: python = "" } = process.env;
try {
  if (values.exchange) await exchange();
  for (const [i, { name, simulate, train, peer }] of values.exchange ? [] : CASES.entries()) {
    const data = join(folder, `${i}.h5ad`);
    await run(process.execPath, [PROGRAM, "convert", ...simulate, "--out", data], {});
    const speeds = { threads: [] as number[], ranks: [] as number[], peer: [] as number[] };
    for (let repeat = 0; repeat < repeats; repeat++) {
      const words = [
        PROGRAM,
        "train",
        "--data",
        data,
        "--validation",
        "0",
        ...train,
        "--quiet",
        "--overwrite",
      ];
      const one = join(folder, "one");
      await run(process.execPath, [...words, "--out", one], {
        DDSC_THREADS: String(ranks),
        DDSC_CLUSTER: "off",
      });
      speeds.threads.push(await speedOf(one));
      const several = join(folder, "several");
      await run(values.launcher, [...LAUNCH, ...words, "--out", several], ONE_THREAD);
      speeds.ranks.push(await speedOf(several));
      if (peer !== undefined && python !== "") speeds.peer.push(await peerSpeed(python, peer));
    }
    const [threads, several] = [median(speeds.threads), median(speeds.ranks)];
    console.log(
      `${name}: ${ranks} processes of one thread ${several.toFixed(0)} tokens/s, one process of ${ranks} threads ` +
        `${threads.toFixed(0)}: ratio ${ratiosOf(speeds.ranks, speeds.threads)}`,
    );
    if (speeds.peer.length > 0)
      console.log(
        `  PyTorch, ${ranks} processes: ${median(speeds.peer).toFixed(0)}: ratio ${ratiosOf(speeds.ranks, speeds.peer)}`,
      );
  }
} finally {
  await rm(folder, { recursive: true });
}
