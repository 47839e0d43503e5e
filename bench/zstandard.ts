/**
 * How fast pages of gene expression are decompressed from Zstandard: by native/zstandard, by numcodecs (WebAssembly) and, where
 * Node has it (from 22.15 on), by node:zlib: whether keeping our own still pays.
 *
 *   npx tsx bench/zstandard.ts [--cells 2000] [--genes 1500] [--repeats 9]
 *
 * Pages of a column are given at once, as the reader of Parquet does; libraries run in turns. Seconds of processor time do not
 * depend on what else the machine does.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import * as zlib from "node:zlib";
import Zstd from "numcodecs/zstd";
import { inflate } from "../lib/data/io/inflate.js";
import { LocalFile } from "../lib/data/io/random_access_local.js";
import { readFooter } from "../lib/data/parquet/footer.js";
import { parsePageHeader } from "../lib/data/parquet/pages.js";
import { orUsage, wholeOption } from "./options.js";
import { writeShards } from "./shards.js";
import { median } from "./statistics.js";
import { recompressShards } from "./zstandard_shards.js";

const USAGE = "usage: npx tsx bench/zstandard.ts [--cells N] [--genes N] [--repeats N]";

interface Page {
  readonly bytes: Uint8Array;
  readonly size: number;
}

/** The pages of each column of each row group. */
async function columnsOf(path: string): Promise<readonly Page[][]> {
  const file = await LocalFile.open(path);
  const { leaves, rowGroups } = await readFooter(file);
  file.close();
  const bytes = readFileSync(path);
  return Array.from(rowGroups.rows).flatMap((_, group) =>
    leaves.map((_leaf, column) => {
      const chunk = rowGroups.column(group, column) ?? { offset: 0, bytes: 0 };
      const pages: Page[] = [];
      for (let at = chunk.offset; at < chunk.offset + chunk.bytes; ) {
        const { headerBytes, compressedBytes, uncompressedBytes } = parsePageHeader(bytes, at);
        at += headerBytes + compressedBytes;
        pages.push({
          bytes: new Uint8Array(bytes.subarray(at - compressedBytes, at)),
          size: uncompressedBytes,
        });
      }
      return pages;
    }),
  );
}

type Decompress = (page: Page) => Promise<Uint8Array>;

function libraries(): ReadonlyMap<string, Decompress> {
  const wasm = Zstd.fromConfig({ id: "zstd" });
  const found = new Map<string, Decompress>([
    ["ddsc", ({ bytes, size }) => inflate("zstd", bytes, size)],
    ["numcodecs", ({ bytes }) => wasm.decode(bytes)],
  ]);
  const own = (zlib as unknown as { zstdDecompress?: typeof zlib.gunzip }).zstdDecompress;
  if (own !== undefined) {
    const decompress = promisify(own);
    found.set("node:zlib", ({ bytes, size }) => decompress(bytes, { maxOutputLength: size }));
  }
  return found;
}

const { cells, genes, repeats } = orUsage(USAGE, () => {
  const { values } = parseArgs({
    options: {
      cells: { type: "string", default: "2000" },
      genes: { type: "string", default: "1500" },
      repeats: { type: "string", default: "9" },
    },
  });
  return {
    cells: wholeOption("--cells", values.cells),
    genes: wholeOption("--genes", values.genes),
    repeats: wholeOption("--repeats", values.repeats),
  };
});
const folder = mkdtempSync(join(tmpdir(), "ddsc-bench-zstandard-"));
try {
  await writeShards(join(folder, "snappy"), cells, genes, cells);
  await recompressShards(join(folder, "snappy"), join(folder, "zstandard"));
  const columns = await columnsOf(join(folder, "zstandard", "train-00000.parquet"));
  const mebibytes = columns.flat().reduce((sum, { size }) => sum + size, 0) / 2 ** 20;
  console.log(
    `${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}; ${mebibytes.toFixed(1)} MiB`,
  );
  const times = new Map<string, { time: number[]; processor: number[] }>();
  for (let repeat = 0; repeat <= repeats; repeat++) {
    for (const [name, decompress] of libraries()) {
      const before = process.cpuUsage();
      const start = performance.now();
      for (const pages of columns) await Promise.all(pages.map(decompress));
      const { user, system } = process.cpuUsage(before);
      const own = times.get(name) ?? { time: [], processor: [] };
      times.set(name, own);
      // The first turn warms up.
      if (repeat === 0) continue;
      own.time.push((performance.now() - start) / 1000);
      own.processor.push((user + system) / 1e6);
    }
  }
  for (const [name, { time, processor }] of times) {
    const rate = (seconds: readonly number[]): string =>
      Math.round(mebibytes / median(seconds)).toLocaleString("en");
    console.log(`${name}: ${rate(time)} MiB/s, ${rate(processor)} MiB per second of a core`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
