/**
 * How fast Parquet shards of cells are read, to two arrays of numbers, beside the Parquet readers of npm: whether reading
 * them ourselves still pays (lib/data/parquet/README.md).
 *
 *   npx tsx bench/parquet_peers.ts [--cells 5000] [--genes 1500] [--repeats 5]
 *
 * Programs run in turns; ratios are medians over the turns. Those of processor time do not depend on what else the machine
 * does. ddsc also looks up genes and checks the counts; the peers only decode.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { orUsage, wholeOption } from "./options.js";
import { parquetReaders, type Read } from "./parquet_readers.js";
import { writeShards } from "./shards.js";
import { median } from "./statistics.js";
import { recompressShards } from "./zstandard_shards.js";

const USAGE = "usage: npx tsx bench/parquet_peers.ts [--cells N] [--genes N] [--repeats N]";

const { cells, genes, repeats } = orUsage(USAGE, () => {
  const { values } = parseArgs({
    options: {
      cells: { type: "string", default: "5000" },
      genes: { type: "string", default: "1500" },
      repeats: { type: "string", default: "5" },
    },
  });
  return {
    cells: wholeOption("--cells", values.cells),
    genes: wholeOption("--genes", values.genes),
    repeats: wholeOption("--repeats", values.repeats),
  };
});

/** What one run took, in seconds. */
interface Run {
  readonly time: number;
  readonly processor: number;
}

async function compare(codec: string, folder: string, readers: ReadonlyMap<string, Read>): Promise<void> {
  const path = join(folder, "train-00000.parquet");
  const runs = new Map([...readers.keys()].map((name) => [name, [] as Run[]]));
  const pairs = await readers.get("ddsc")?.(path);
  for (let repeat = 0; repeat <= repeats; repeat++) {
    for (const [name, read] of readers) {
      const start = performance.now();
      const before = process.cpuUsage();
      const found = await read(path);
      const { user, system } = process.cpuUsage(before);
      if (found !== pairs) throw new Error(`${name} read ${found} of ${pairs} pairs`);
      // The first turn warms up.
      const run = { time: (performance.now() - start) / 1000, processor: (user + system) / 1e6 };
      if (repeat > 0) runs.get(name)?.push(run);
    }
  }
  const ours = runs.get("ddsc") ?? [];
  for (const [name, own] of runs) {
    const ratio = (of: keyof Run): string =>
      median(own.map((run, turn) => run[of] / (ours[turn]?.[of] ?? 1))).toFixed(1);
    const rate = Math.round(cells / median(own.map(({ time }) => time))).toLocaleString("en");
    const compared =
      name === "ddsc" ? "" : `: ${ratio("time")} times the time, ${ratio("processor")} the processor time`;
    console.log(`${codec}, ${name}: ${rate} cells/s${compared}`);
  }
}

const folder = mkdtempSync(join(tmpdir(), "ddsc-bench-parquet-"));
try {
  const readers = await parquetReaders();
  console.log(`${cpus()[0]?.model}, ${cpus().length} cores; ${cells} cells of ${genes} genes`);
  await writeShards(join(folder, "snappy"), cells, genes, cells);
  await recompressShards(join(folder, "snappy"), join(folder, "zstandard"));
  await compare("Snappy", join(folder, "snappy"), readers);
  await compare("Zstandard", join(folder, "zstandard"), readers);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
