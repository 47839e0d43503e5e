/**
 * How fast cells come from Parquet or Arrow shards to ragged batches: decoding, shuffling, tokenizing and collating, on all cores;
 * beside the same work in Python where DDSC_PYTHON names one with pyarrow, numpy and torch.
 *
 *   npm run bench:data -- [--cells 20000] [--genes 1500] [--repeats 3] [--folder FOLDER] [--arrow] [--first-batch]
 *
 * With --first-batch, how long a new process of the built package takes from its start to the first batch of a single file of
 * 100,000 cells, and how much memory it has taken by then and after 100 batches.
 *
 * With --arrow, shards are Arrow IPC streams; then no peer is run.
 *
 * Shards are simulated into a folder of their own, which is removed again, or kept in FOLDER for further runs. Times are
 * the best of the repeats, run in turns; seconds of processor time do not depend on what else the machine does.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { BatchLoader, cellCount } from "../lib/batching/index.js";
import { openCells } from "../lib/data/open/open_cells.js";
import { CellTokenizer, GeneVocabulary } from "../lib/tokenizer/index.js";
import { orUsage, wholeOption } from "./options.js";
import { writeShards } from "./shards.js";

const USAGE =
  "usage: npm run bench:data -- [--cells N] [--genes N] [--repeats N] [--folder FOLDER] [--arrow] [--first-batch]";
/** So many cells are read in one run: the window read before the first batch, when the clock starts, is then a small part. */
const MEASURED_CELLS = 100_000;
const BATCH_CELLS = 64;
const LENGTH = 1024;

/** What one run took. */
interface Run {
  /** After the first batch. */
  readonly cells: number;
  /** From the first batch to the last, of time and of all cores' work. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** From nothing to the first batch, opening included. */
  readonly firstBatchSeconds: number;
}

async function runOurs(folder: string, vocabulary: GeneVocabulary, epochs: number): Promise<Run> {
  const opening = performance.now();
  using source = await openCells(folder);
  const tokenizer = new CellTokenizer({ vocabulary, maxLength: LENGTH });
  await using loader = new BatchLoader(source, tokenizer, {
    limit: { kind: "cells", cells: BATCH_CELLS },
    seed: 1,
    epochs,
  });
  await loader.next();
  const start = performance.now();
  const before = process.cpuUsage();
  let cells = 0;
  for await (const { batch } of loader) cells += cellCount(batch);
  const { user, system } = process.cpuUsage(before);
  return {
    cells,
    seconds: (performance.now() - start) / 1000,
    cpuSeconds: (user + system) / 1e6,
    firstBatchSeconds: (start - opening) / 1000,
  };
}

async function vocabularyOf(folder: string): Promise<GeneVocabulary> {
  using source = await openCells(folder);
  return GeneVocabulary.from(source);
}

function runPeer(python: string, folder: string): Run {
  const script = fileURLToPath(new URL("./peer/collate.py", import.meta.url));
  const options = ["--batch", String(BATCH_CELLS), "--length", String(LENGTH)];
  const output = execFileSync(python, [script, folder, ...options], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    // One thread a worker process: the workers already use all cores.
    env: { ...process.env, OMP_NUM_THREADS: "1" },
  });
  return JSON.parse(output) as Run;
}

function report(name: string, runs: readonly Run[]): Run {
  const best = runs.reduce((one, other) => (other.seconds < one.seconds ? other : one));
  const cpu = Math.min(...runs.map(({ cpuSeconds }) => cpuSeconds));
  const first = Math.min(...runs.map(({ firstBatchSeconds }) => firstBatchSeconds));
  const perSecond = (seconds: number): string => Math.round(best.cells / seconds).toLocaleString("en");
  console.log(
    `${name}: ${perSecond(best.seconds)} cells/s (${best.seconds.toFixed(2)} s), ${perSecond(cpu)} cells per second of a core, ` +
      `first batch after ${first.toFixed(2)} s`,
  );
  return { ...best, cpuSeconds: cpu, firstBatchSeconds: first };
}

/** What a process of its own took: see first_batch.mjs. */
interface FirstBatch {
  readonly startSeconds: number;
  readonly openSeconds: number;
  readonly firstBatchSeconds: number;
  readonly firstBatchMiB: number;
  readonly laterMiB: number;
}

function runFirstBatch(folder: string): FirstBatch {
  const script = fileURLToPath(new URL("./first_batch.mjs", import.meta.url));
  const file = join(folder, "train-00000.parquet");
  const output = execFileSync(process.execPath, [script, file, String(BATCH_CELLS), String(LENGTH)], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  return JSON.parse(output) as FirstBatch;
}

function benchFirstBatch(folder: string, repeats: number): void {
  const runs = Array.from({ length: repeats }, () => runFirstBatch(folder));
  const best = (of: keyof FirstBatch): string => Math.min(...runs.map((run) => run[of])).toFixed(2);
  const most = (of: keyof FirstBatch): number => Math.round(Math.max(...runs.map((run) => run[of])));
  console.log(
    `first batch after ${best("firstBatchSeconds")} s (process and modules ${best("startSeconds")} s, opening ${best("openSeconds")} s), ` +
      `peak memory ${most("firstBatchMiB")} MiB, after 100 batches ${most("laterMiB")} MiB`,
  );
}

async function benchThroughput(folder: string, repeats: number, epochs: number): Promise<void> {
  const vocabulary = await vocabularyOf(folder);
  const ours: Run[] = [];
  const peers: Run[] = [];
  const python = options.arrow ? undefined : process.env.DDSC_PYTHON;
  for (let repeat = 0; repeat < repeats; repeat++) {
    ours.push(await runOurs(folder, vocabulary, epochs));
    if (python !== undefined) peers.push(runPeer(python, folder));
  }
  const best = report("ddsc", ours);
  console.log(`peak memory ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`);
  if (python === undefined) {
    if (!options.arrow)
      console.log("DDSC_PYTHON is not set: no peer was run (it needs pyarrow, numpy and torch)");
    return;
  }
  const peer = report("pyarrow + torch", peers);
  const rate = (run: Run): number => run.cells / run.seconds;
  const ratio = rate(best) / rate(peer);
  const cpuRatio = best.cells / best.cpuSeconds / (peer.cells / peer.cpuSeconds);
  console.log(`ratio ${ratio.toFixed(1)} in time, ${cpuRatio.toFixed(1)} in processor time`);
}

const options = orUsage(USAGE, () => {
  const { values } = parseArgs({
    options: {
      cells: { type: "string" },
      genes: { type: "string", default: "1500" },
      repeats: { type: "string", default: "3" },
      folder: { type: "string" },
      arrow: { type: "boolean", default: false },
      "first-batch": { type: "boolean", default: false },
    },
  });
  const firstBatch = values["first-batch"];
  return {
    firstBatch,
    arrow: values.arrow && !firstBatch,
    cells: wholeOption("--cells", values.cells ?? (firstBatch ? "100000" : "20000")),
    genes: wholeOption("--genes", values.genes),
    repeats: wholeOption("--repeats", values.repeats),
    folder: values.folder,
  };
});
const { cells, genes, repeats, firstBatch } = options;
const folder = options.folder ?? mkdtempSync(join(tmpdir(), "ddsc-bench-data-"));
try {
  const format = options.arrow ? "arrow" : "parquet";
  await writeShards(folder, cells, genes, firstBatch ? cells : undefined, format);
  if (firstBatch) benchFirstBatch(folder, repeats);
  else await benchThroughput(folder, repeats, Math.max(1, Math.round(MEASURED_CELLS / cells)));
} finally {
  if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
}
