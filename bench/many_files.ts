/**
 * How long many shards of Parquet take to open, and how much memory each holds.
 *
 *     npm run bench:many-files -- [--files 2000] [--groups 30] [--latency 30 | --local]
 *
 * Every file is the same shard, with so many row groups and Tahoe-100M's number of columns: behind addresses, for which a process of its own
 * answers each request after so many milliseconds, or links in a folder. Then one cell of each file is read, for what files in use hold.
 * Under a launcher (`mpirun -n 2 node --import tsx bench/many_files.ts --local`) all processes open the links together.
 */
import { type ChildProcess, fork } from "node:child_process";
import { copyFileSync, linkSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { tableFromArrays } from "apache-arrow";
import { TahoeShardWriter } from "../lib/data/parquet/write.js";
import { handoverOf } from "../lib/data/sources/source.js";
import { geneTokens, writeGeneTable } from "../lib/data/tahoe/genes_write.js";
import { type CellSource, joinCluster, openCells } from "../lib/index.js";

/** Columns of Tahoe-100M beside genes, expressions and the names of cells. */
const COLUMNS = 11;
const GENES = 500;
const GROUP_CELLS = 64;
const MOST_LINKS = 50_000;

const { values } = parseArgs({
  options: {
    files: { type: "string", default: "2000" },
    latency: { type: "string", default: "30" },
    groups: { type: "string", default: "30" },
    local: { type: "boolean", default: false },
    serve: { type: "string" },
  },
});

/** Answers ranges of the files of a folder, whatever the folder of an address. */
function serve(folder: string, latency: number): void {
  const files = new Map<string, Buffer>();
  for (const name of ["shard.parquet", "gene_metadata.parquet"])
    files.set(name, readFileSync(join(folder, name)));
  let requests = 0;
  const server = createServer(async ({ url = "", headers }, response) => {
    requests++;
    await setTimeout(latency);
    const isTable = url.endsWith("/gene_metadata.parquet");
    const bytes = files.get(isTable ? "gene_metadata.parquet" : "shard.parquet") ?? Buffer.alloc(0);
    const [, first = "0", last = "0"] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? [];
    const end = Math.min(Number(last) + 1, bytes.length);
    response.writeHead(206, { etag: '"1"', "content-range": `bytes ${first}-${end - 1}/${bytes.length}` });
    response.end(bytes.subarray(Number(first), end));
  });
  server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
  process.on("message", () => process.send?.(requests));
}

async function writeShard(folder: string, groups: number): Promise<void> {
  const columns = Array.from({ length: COLUMNS }, (_, i) => ({ name: `column_${i}`, kind: "text" as const }));
  const tokens = geneTokens(GENES);
  const writer = await TahoeShardWriter.create(join(folder, "shard.parquet"), {
    tokens,
    columns,
    rowGroupCells: GROUP_CELLS,
  });
  const rows = Int32Array.from({ length: GROUP_CELLS }, (_, row) => row);
  const block = {
    rows,
    offsets: Int32Array.from({ length: GROUP_CELLS + 1 }, (_, row) => row * 3),
    columns: Int32Array.from({ length: GROUP_CELLS * 3 }, (_, i) => (i % 3) * 100),
    counts: new Float32Array(GROUP_CELLS * 3).fill(1),
  };
  const words = columns.map(({ name }) => [name, Array.from(rows, (row) => `${name} ${row % 7}`)] as const);
  for (let group = 0; group < groups; group++) {
    const ids = Array.from(rows, (row) => `cell ${group}-${row}`);
    await writer.write(block, ids, tableFromArrays(Object.fromEntries(words)));
  }
  await writer.close();
  const genes = Array.from({ length: GENES }, (_, i) => ({
    id: `ENSG${String(i).padStart(11, "0")}`,
    aliases: [],
  }));
  await writeGeneTable(folder, genes, tokens);
}

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

function memory(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function answer(server: ChildProcess): Promise<number> {
  return new Promise((resolve) => server.once("message", (message) => resolve(Number(message))));
}

/** Where the files are: `files` of them and one more. */
interface Place extends AsyncDisposable {
  readonly paths: readonly string[];
  /** Requests that were answered. */
  requests(): Promise<number>;
}

async function behindAddresses(folder: string, files: number): Promise<Place> {
  const server = fork(fileURLToPath(import.meta.url), ["--serve", folder, "--latency", values.latency], {
    execArgv: ["--import", "tsx"],
  });
  const port = await answer(server);
  return {
    paths: Array.from({ length: files + 1 }, (_, i) => `http://127.0.0.1:${port}/set/train-${i}.parquet`),
    requests: () => {
      server.send("requests");
      return answer(server);
    },
    [Symbol.asyncDispose]: async () => void server.kill(),
  };
}

function inFolder(folder: string, files: number): Place {
  const paths = Array.from({ length: files + 1 }, (_, i) => join(folder, `train-${i}.parquet`));
  const shard = join(folder, "shard.parquet");
  for (const [i, path] of paths.entries()) {
    // File systems allow some 65,000 links to a file.
    if (i % MOST_LINKS === 0) copyFileSync(shard, path);
    else linkSync(paths[i - (i % MOST_LINKS)] ?? shard, path);
  }
  return { paths, requests: async () => 0, [Symbol.asyncDispose]: async () => undefined };
}

/** Bytes of what is known of the files that lie in a file, for all processes of the machine. */
function mapped(source: CellSource): number {
  const handed = handoverOf(source);
  if (handed.kind !== "pool" || !("descriptor" in handed.arrays)) return 0;
  return handed.arrays.layout.bytes;
}

/** Several processes, which open the same links. */
async function measureTogether(cluster: Awaited<ReturnType<typeof joinCluster>>): Promise<void> {
  const [files, groups] = [Number(values.files), Number(values.groups)];
  const [folder = ""] = await cluster.gather(
    cluster.rank === 0 ? await mkdtemp(join(tmpdir(), "ddsc-shards-")) : "",
  );
  try {
    if (cluster.rank === 0) {
      await writeShard(folder, groups);
      inFolder(folder, files - 1);
    }
    await cluster.barrier();
    const before = memory();
    const start = performance.now();
    const source = await openCells(join(folder, "train-*.parquet"), {}, cluster);
    const seconds = (performance.now() - start) / 1000;
    const kept = memory() - before - mapped(source);
    console.log(
      `rank ${cluster.rank} of ${cluster.world}: ${files} files of ${groups} row groups opened together in ${seconds.toFixed(1)} s; ` +
        `${(kept / 2 ** 20).toFixed(1)} MiB of its own, ${(mapped(source) / 2 ** 20).toFixed(1)} MiB for all of the machine in a file`,
    );
    source[Symbol.dispose]();
    await cluster.barrier();
  } finally {
    if (cluster.rank === 0) await rm(folder, { recursive: true, force: true });
  }
  await cluster.leave();
}

async function measure(): Promise<void> {
  const [files, groups] = [Number(values.files), Number(values.groups)];
  const folder = await mkdtemp(join(tmpdir(), "ddsc-shards-"));
  try {
    await writeShard(folder, groups);
    await using place = values.local ? inFolder(folder, files) : await behindAddresses(folder, files);
    const { paths } = place;
    // What one file brings with it is not held for each.
    (await openCells(paths.slice(files)))[Symbol.dispose]();
    const before = { memory: memory(), requests: await place.requests() };
    const start = performance.now();
    const source = await openCells(paths.slice(0, files));
    const seconds = (performance.now() - start) / 1000;
    const perFile = () => `${((memory() - before.memory) / files / 1024).toFixed(2)} KiB a file`;
    const requests = (await place.requests()) - before.requests;
    const how = values.local ? "in a folder" : `${values.latency} ms a request`;
    const asked = values.local ? "" : `${(requests / files).toFixed(2)} requests and `;
    console.log(
      `${files} files of ${groups} row groups, ${how}: opened in ${seconds.toFixed(1)} s, ${asked}${perFile()}`,
    );
    const each = source.cellCount / files;
    for (let file = 0; file < files; file += 16)
      await source.read(Int32Array.from({ length: Math.min(16, files - file) }, (_, i) => (file + i) * each));
    console.log(`after one cell of each was read: ${perFile()}`);
    const peak = process.resourceUsage().maxRSS / 1024;
    console.log(`the process took ${peak.toFixed(0)} MiB at most`);
    source[Symbol.dispose]();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const cluster = await joinCluster();
if (cluster.world > 1) await measureTogether(cluster);
else if (values.serve === undefined) await measure();
else serve(values.serve, Number(values.latency));
