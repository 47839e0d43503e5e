/**
 * How Parquet readers fare with damaged files: how many are read all the same, refused, end the process (or its
 * WebAssembly) or take longer than 10 s. Bytes are changed, cut out, repeated or overwritten, as
 * scripts/fuzz_data.ts does.
 *
 *   npx tsx bench/parquet_damaged.ts [--files 500]
 *
 * The shards and readers are those of parquet_peers.ts.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Purpose, RandomStream } from "../lib/base/random.js";
import { damaged } from "../scripts/damaged.js";
import { orUsage, wholeOption } from "./options.js";
import { parquetReaders } from "./parquet_readers.js";
import { writeShards } from "./shards.js";

const USAGE = "usage: npx tsx bench/parquet_damaged.ts [--files N]";
const MOST_MS = 10_000;

/** Reads files from `first` on; says of each how it ended. */
async function work(folder: string, name: string, first: number, files: number): Promise<void> {
  const read = (await parquetReaders()).get(name);
  const whole = readFileSync(join(folder, "train-00000.parquet"));
  const path = join(folder, "damaged.parquet");
  console.log("started");
  for (let number = first; number < files; number++) {
    const random = new RandomStream(number, Purpose.draw);
    writeFileSync(
      path,
      damaged(whole, (below) => random.below(below)),
    );
    try {
      await read?.(path);
      console.log("read");
    } catch (error) {
      // After a trap, WebAssembly is in no state to go on.
      if (error instanceof Error && error.name === "RuntimeError") process.exit(1);
      console.log("refused");
    }
  }
}

/** Starts a process for what is left whenever one ends before. */
async function count(folder: string, name: string, files: number): Promise<string> {
  const outcomes = { read: 0, refused: 0, ended: 0, late: 0 };
  for (let number = 0; number < files; ) {
    const options = [
      "--worker",
      name,
      "--folder",
      folder,
      "--first",
      String(number),
      "--files",
      String(files),
    ];
    const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), ...options], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    let late = false;
    let alarm: NodeJS.Timeout | undefined;
    for await (const line of createInterface({ input: child.stdout })) {
      clearTimeout(alarm);
      alarm = setTimeout(() => {
        late = true;
        child.kill("SIGKILL");
      }, MOST_MS);
      if (line === "started") continue;
      outcomes[line as "read" | "refused"]++;
      number++;
    }
    clearTimeout(alarm);
    if (number === files) break;
    outcomes[late ? "late" : "ended"]++;
    number++;
  }
  const { read, refused, ended, late } = outcomes;
  return `${name}: ${refused} of ${files} refused, ${read} read, ${ended} ended the process, ${late} took over 10 s`;
}

const options = orUsage(USAGE, () => {
  const { values } = parseArgs({
    options: {
      files: { type: "string", default: "500" },
      worker: { type: "string" },
      folder: { type: "string", default: "" },
      first: { type: "string", default: "0" },
    },
  });
  return { ...values, files: wholeOption("--files", values.files), first: Number(values.first) };
});
if (options.worker !== undefined) {
  await work(options.folder, options.worker, options.first, options.files);
} else {
  const folder = mkdtempSync(join(tmpdir(), "ddsc-bench-parquet-"));
  try {
    await writeShards(folder, 100, 300, 100);
    for (const name of (await parquetReaders()).keys()) console.log(await count(folder, name, options.files));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
