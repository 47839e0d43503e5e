/**
 * Feeds damaged Parquet and Arrow files, and damaged compressed blocks, to their readers:
 * npx tsx scripts/fuzz_data.ts [--inputs 10000] [--first 0] [--format parquet|arrow]
 *
 * Each must end in a DdscError or in well-formed cells, in bounded time and memory. Every format runs in a process of its
 * own, which is ended when it is silent for too long; a failure names the input, which --first N --inputs 1 repeats.
 */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { tableFromIPC, tableToIPC } from "apache-arrow";
import { DdscError } from "../lib/base/errors.js";
import { Purpose, RandomStream } from "../lib/base/random.js";
import { openArrow } from "../lib/data/arrow/arrow.js";
import { checkRange, closedError, type RandomAccess } from "../lib/data/io/random_access.js";
import { openParquet } from "../lib/data/parquet/parquet.js";
import { rowRange } from "../lib/data/sources/parts.js";
import type { CellSource } from "../lib/data/sources/source.js";
import { damaged } from "./damaged.js";

const FIXTURES = fileURLToPath(new URL("../test/fixtures/tahoe/", import.meta.url));
const FORMATS = ["parquet", "arrow"] as const;
type Format = (typeof FORMATS)[number];

/** A single input may take so long, and the process so much memory. */
const SILENCE_MS = 60_000;
const INPUT_MS = 5000;
const MEMORY_BYTES = 2 ** 30;
/** Rows of an input that are read: a header may claim billions. */
const MOST_ROWS = 200;

/** Bytes in memory in place of a file. */
class MemoryFile implements RandomAccess {
  readonly name: string;
  readonly remote = false;
  readonly #bytes: Uint8Array;
  #closed = false;

  constructor(name: string, bytes: Uint8Array) {
    this.name = name;
    // A plain copy: a Buffer's slices would share its memory.
    this.#bytes = new Uint8Array(bytes);
  }

  get size(): number {
    return this.#bytes.length;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    checkRange(this.name, this.size, offset, length);
    if (this.#closed) throw closedError(this.name);
    return this.#bytes.slice(offset, offset + length);
  }

  close(): void {
    this.#closed = true;
  }
}

/** The damaged input of a number. */
function inputOf(format: Format, number: number, originals: ReadonlyMap<string, Buffer>): MemoryFile {
  const stream = new RandomStream(number, Purpose.draw);
  const random = (below: number): number => stream.below(below);
  const names = [...originals.keys()].filter((name) => name.endsWith(`.${format}`));
  const name = names[random(names.length)] ?? "";
  // The table of genes is looked for beside the file.
  return new MemoryFile(join(FIXTURES, name), damaged(originals.get(name) ?? Buffer.alloc(0), random));
}

/** Reads what an opened source gives, and checks that it is well-formed. */
async function readAll(opened: CellSource): Promise<void> {
  using source = opened;
  const count = Math.min(source.cellCount, MOST_ROWS);
  const ends = rowRange(Math.max(count, source.cellCount - 5), source.cellCount);
  for (const rows of [rowRange(0, count), ends]) {
    const { offsets, columns, counts } = await source.read(rows);
    if (offsets.length !== rows.length + 1 || offsets[0] !== 0)
      throw new Error("offsets do not fit the rows");
    for (let cell = 0; cell < rows.length; cell++) {
      const start = offsets[cell] ?? -1;
      const end = offsets[cell + 1] ?? -1;
      if (end < start || end > columns.length || end > counts.length)
        throw new Error(`cell ${cell} has bad bounds`);
      for (let i = start; i < end; i++) {
        const gene = columns[i] ?? -1;
        const value = counts[i] ?? Number.NaN;
        if (gene < 0 || gene >= source.genes.length || (i > start && gene <= (columns[i - 1] ?? 0)))
          throw new Error(`cell ${cell} has genes out of range or order`);
        if (!(value > 0 && value < Number.POSITIVE_INFINITY)) throw new Error(`cell ${cell} has a bad count`);
      }
    }
    if ((await source.cellIds(rows)).length !== rows.length) throw new Error("names do not fit the rows");
    const table = await source.metadata({ rows });
    if (source.metadataColumns.length > 0 && table.numRows !== rows.length)
      throw new Error("metadata does not fit");
  }
}

/** Runs inputs one after the other; ends the process at the first that is not dealt with. */
async function work(format: Format, first: number, inputs: number): Promise<void> {
  const names = readdirSync(FIXTURES).filter(
    (name) => name.endsWith(`.${format}`) && name !== "gene_metadata.parquet",
  );
  const originals = new Map(names.map((name) => [name, readFileSync(join(FIXTURES, name))]));
  // apache-arrow writes the schema of a file into its footer alone.
  for (const name of names.filter((written) => /^(stream|coded|wide)\.arrow$/.test(written)))
    originals.set(`footer_${name}`, Buffer.from(tableToIPC(tableFromIPC(originals.get(name)), "file")));
  const outcomes = new Map<string, number>();
  let slowest = 0;
  let largest = 0;
  for (let number = first; number < first + inputs; number++) {
    const start = performance.now();
    let outcome = "read whole";
    try {
      const file = inputOf(format, number, originals);
      await readAll(await (format === "arrow" ? openArrow(file, {}) : openParquet(file, {})));
    } catch (error) {
      if (!(error instanceof DdscError)) {
        console.error(`${format} input ${number}:`, error);
        process.exit(1);
      }
      outcome = error.code;
    }
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    slowest = Math.max(slowest, performance.now() - start);
    largest = Math.max(largest, process.memoryUsage.rss());
    if (slowest > INPUT_MS || largest > MEMORY_BYTES) {
      console.error(
        `${format} input ${number}: ${slowest.toFixed(0)} ms, ${(largest / 2 ** 20).toFixed(0)} MiB`,
      );
      process.exit(1);
    }
    if (number % 500 === 0) console.log(`${format} ${number}`);
  }
  const counted = [...outcomes].sort(([, a], [, b]) => b - a).map(([code, count]) => `${code} ${count}`);
  console.log(
    `${format}: ${inputs} inputs, slowest ${slowest.toFixed(0)} ms, at most ${(largest / 2 ** 20).toFixed(0)} MiB; ${counted.join(", ")}`,
  );
}

/** Runs a format in a process of its own; whether all went well. */
function run(format: Format, first: number, inputs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const options = ["--worker", "--format", format, "--first", String(first), "--inputs", String(inputs)];
    const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), ...options], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let last = "";
    const alarm = setTimeout(() => {
      console.error(`${format}: silent for ${SILENCE_MS / 1000} s after "${last}"`);
      child.kill("SIGKILL");
    }, SILENCE_MS);
    child.stdout.on("data", (text: Buffer) => {
      alarm.refresh();
      last = text.toString().trim().split("\n").at(-1) ?? last;
      if (last.includes("inputs")) console.log(last);
    });
    child.on("exit", (code, signal) => {
      clearTimeout(alarm);
      if (code !== 0) console.error(`${format}: ended with ${signal ?? code} after "${last}"`);
      resolve(code === 0);
    });
  });
}

const { values } = parseArgs({
  options: {
    inputs: { type: "string", default: "10000" },
    first: { type: "string", default: "0" },
    format: { type: "string" },
    worker: { type: "boolean", default: false },
  },
});
const chosen = FORMATS.filter((format) => values.format === undefined || values.format === format);
if (values.worker && chosen[0] !== undefined) {
  await work(chosen[0], Number(values.first), Number(values.inputs));
} else {
  let good = chosen.length > 0;
  for (const format of chosen)
    good = (await run(format, Number(values.first), Number(values.inputs))) && good;
  process.exitCode = good ? 0 : 1;
}
