/**
 * How fast cells come from Parquet shards to ragged batches: decoding, shuffling, tokenizing and collating, on all cores;
 * beside the same work in Python where DDSC_PYTHON names one with pyarrow, numpy and torch.
 *
 *   npm run bench:data -- [--cells 20000] [--genes 1500] [--repeats 3] [--folder FOLDER]
 *
 * Shards are simulated into a folder of their own, which is removed again, or kept in FOLDER for further runs. Times are
 * the best of the repeats, run in turns; seconds of processor time do not depend on what else the machine does.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { BatchLoader, cellCount } from "../lib/batching/index.js";
import { openCells } from "../lib/data/index.js";
import { TahoeShardWriter } from "../lib/data/parquet_write.js";
import type { CellBlock, Gene } from "../lib/data/source.js";
import { geneTokens, writeGeneTable } from "../lib/data/tahoe_genes_write.js";
import { CellTokenizer, GeneVocabulary } from "../lib/tokenizer/index.js";
import { orUsage, wholeOption } from "./options.js";

const USAGE = "usage: npm run bench:data -- [--cells N] [--genes N] [--repeats N] [--folder FOLDER]";
const MEASURED_GENES = 20_000;
const SHARD_CELLS = 10_000;
const BLOCK_CELLS = 1000;
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

/** Uniform numbers in [0, 1), fast and good enough to make up counts (xorshift). */
function uniforms(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Cells with about `expressed` of the genes each, a few of which are common and many rare, and counts that fall off geometrically. */
function simulate(cells: number, expressed: number, next: () => number): CellBlock {
  const weights = Float64Array.from(
    { length: MEASURED_GENES },
    (_, gene) => 1 / (1 + ((gene * 7919) % MEASURED_GENES) / 400),
  );
  const scale = expressed / weights.reduce((sum, weight) => sum + weight, 0);
  const offsets = new Int32Array(cells + 1);
  const genes: number[] = [];
  const counts: number[] = [];
  for (let cell = 0; cell < cells; cell++) {
    const size = scale * (0.5 + next());
    for (const [gene, weight] of weights.entries()) {
      const chance = 1 - Math.exp(-size * weight);
      if (next() >= chance) continue;
      genes.push(gene);
      counts.push(1 + Math.floor(Math.log(next() + 1e-9) / Math.log(0.3 * chance + 1e-3)));
    }
    offsets[cell + 1] = genes.length;
  }
  const rows = Int32Array.from({ length: cells }, (_, cell) => cell);
  return { rows, offsets, genes: Int32Array.from(genes), counts: Float32Array.from(counts) };
}

async function writeShards(folder: string, cells: number, expressed: number): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const next = uniforms(12_345);
  const tokens = geneTokens(MEASURED_GENES);
  const genes: Gene[] = Array.from(tokens, (token) => ({
    id: `ENSG${String(token).padStart(11, "0")}`,
    aliases: [],
  }));
  for (let first = 0, shard = 0; first < cells; first += SHARD_CELLS, shard++) {
    const path = join(folder, `train-${String(shard).padStart(5, "0")}.parquet`);
    const writer = await TahoeShardWriter.create(path, { tokens });
    for (let start = first; start < Math.min(cells, first + SHARD_CELLS); start += BLOCK_CELLS) {
      const count = Math.min(BLOCK_CELLS, cells - start);
      const ids = Array.from({ length: count }, (_, i) => `cell-${start + i}`);
      await writer.write(simulate(count, expressed, next), ids);
    }
    await writer.close();
  }
  await writeGeneTable(folder, genes, tokens);
}

async function runOurs(folder: string, vocabulary: GeneVocabulary): Promise<Run> {
  const opening = performance.now();
  using source = await openCells(folder);
  const tokenizer = new CellTokenizer({ vocabulary, maxLength: LENGTH });
  await using loader = new BatchLoader(source, tokenizer, {
    limit: { kind: "cells", cells: BATCH_CELLS },
    seed: 1,
    epochs: 1,
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

const options = orUsage(USAGE, () => {
  const { values } = parseArgs({
    options: {
      cells: { type: "string", default: "20000" },
      genes: { type: "string", default: "1500" },
      repeats: { type: "string", default: "3" },
      folder: { type: "string" },
    },
  });
  return {
    cells: wholeOption("--cells", values.cells),
    genes: wholeOption("--genes", values.genes),
    repeats: wholeOption("--repeats", values.repeats),
    folder: values.folder,
  };
});
const folder = options.folder ?? mkdtempSync(join(tmpdir(), "ddsc-bench-data-"));
try {
  if (!existsSync(join(folder, "gene_metadata.parquet")))
    await writeShards(folder, options.cells, options.genes);
  const vocabulary = await vocabularyOf(folder);
  const ours: Run[] = [];
  const peers: Run[] = [];
  const python = process.env.DDSC_PYTHON;
  for (let repeat = 0; repeat < options.repeats; repeat++) {
    ours.push(await runOurs(folder, vocabulary));
    if (python !== undefined) peers.push(runPeer(python, folder));
  }
  const best = report("ddsc", ours);
  console.log(`peak memory ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`);
  if (python === undefined) {
    console.log("DDSC_PYTHON is not set: no peer was run (it needs pyarrow, numpy and torch)");
  } else {
    const peer = report("pyarrow + torch", peers);
    const rate = (run: Run): number => run.cells / run.seconds;
    const ratio = rate(best) / rate(peer);
    const cpuRatio = best.cells / best.cpuSeconds / (peer.cells / peer.cpuSeconds);
    console.log(`ratio ${ratio.toFixed(1)} in time, ${cpuRatio.toFixed(1)} in processor time`);
  }
} finally {
  if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
}
