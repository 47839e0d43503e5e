/**
 * How long many shards behind addresses take to open, with how many requests, and how much memory each holds.
 *
 *     npm run bench:remote-shards -- [--files 2000] [--latency 30] [--groups 30]
 *
 * A process of its own answers each request after so many milliseconds; every address is the same shard, with so many row
 * groups and Tahoe-100M's number of columns. Then one cell of each file is read, for what files in use hold.
 */
import { type ChildProcess, fork } from "node:child_process";
import { readFileSync } from "node:fs";
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
import { geneTokens, writeGeneTable } from "../lib/data/tahoe/genes_write.js";
import { openCells } from "../lib/index.js";

/** Columns of Tahoe-100M beside genes, expressions and the names of cells. */
const COLUMNS = 11;
const GENES = 500;
const GROUP_CELLS = 64;

const { values } = parseArgs({
  options: {
    files: { type: "string", default: "2000" },
    latency: { type: "string", default: "30" },
    groups: { type: "string", default: "30" },
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

async function measure(): Promise<void> {
  const [files, groups] = [Number(values.files), Number(values.groups)];
  const folder = await mkdtemp(join(tmpdir(), "ddsc-shards-"));
  await writeShard(folder, groups);
  const server = fork(fileURLToPath(import.meta.url), ["--serve", folder, "--latency", values.latency], {
    execArgv: ["--import", "tsx"],
  });
  try {
    const port = await answer(server);
    const asked = async (): Promise<number> => {
      server.send("requests");
      return answer(server);
    };
    const address = (i: number) => `http://127.0.0.1:${port}/set/train-${i}.parquet`;
    // What one file brings with it is not held for each.
    (await openCells(address(files)))[Symbol.dispose]();
    const before = { memory: memory(), requests: await asked() };
    const start = performance.now();
    const source = await openCells(Array.from({ length: files }, (_, i) => address(i)));
    const seconds = (performance.now() - start) / 1000;
    const perFile = (memory() - before.memory) / files;
    const requests = (await asked()) - before.requests;
    console.log(
      `${files} files of ${groups} row groups, ${values.latency} ms a request: opened in ${seconds.toFixed(1)} s, ` +
        `${(requests / files).toFixed(2)} requests and ${(perFile / 1024).toFixed(1)} KiB a file`,
    );
    const each = source.cellCount / files;
    for (let file = 0; file < files; file += 16)
      await source.read(Int32Array.from({ length: Math.min(16, files - file) }, (_, i) => (file + i) * each));
    console.log(
      `after one cell of each was read: ${((memory() - before.memory) / files / 1024).toFixed(1)} KiB a file`,
    );
    source[Symbol.dispose]();
  } finally {
    server.kill();
    await rm(folder, { recursive: true, force: true });
  }
}

if (values.serve === undefined) await measure();
else serve(values.serve, Number(values.latency));
