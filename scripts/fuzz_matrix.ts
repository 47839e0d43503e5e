/**
 * Feeds damaged files of 10x, AnnData, Matrix Market, text tables and zarr to their readers:
 * npx tsx scripts/fuzz_matrix.ts [--inputs 10000] [--first 1] [--format tenx|h5ad|market|table|zarr]
 *
 * Each must end in a DdscError or in well-formed cells, in bounded time and memory. Every format runs in a process of its
 * own, which is ended when it is silent for too long; a failure names the input, which --first N --inputs 1 repeats.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gunzipSync, gzipSync } from "node:zlib";
import { DdscError } from "../lib/base/errors.js";
import { Purpose, RandomStream } from "../lib/base/random.js";
import { openCells } from "../lib/data/open/open_cells.js";
import type { OpenOptions } from "../lib/data/sources/cells.js";
import { rowRange } from "../lib/data/sources/parts.js";
import { zipArchive } from "../test/data/io/zip_support.js";

const FIXTURES = fileURLToPath(new URL("../test/fixtures/", import.meta.url));
/** A single input may take so long, and the process so much memory. */
const SILENCE_MS = 60_000;
const INPUT_MS = 5_000;
const MEMORY_BYTES = 2 ** 30;
const FORMATS = ["tenx", "h5ad", "market", "table", "zarr"] as const;
type Format = (typeof FORMATS)[number];

/** A whole file of each format. */
const WHOLE: Readonly<Record<Format, string>> = {
  tenx: "tenx/v2.h5",
  h5ad: "h5ad/csr.h5ad",
  market: "matrix_market/v3",
  table: "delimited/cells.csv",
  zarr: "zarr/v3.zarr.zip",
};

/** Numbers that break arithmetic, as they are written in text. */
const NUMBERS = [
  "0",
  "-1",
  "1e308",
  "2147483648",
  "9007199254740993",
  "1099511627776",
  "99999999999999999999",
  "NaN",
  "",
];

/** A whole number below the one given, the same each time for a seed. */
type Random = (below: number) => number;

function generator(seed: number): Random {
  const stream = new RandomStream(seed, Purpose.draw);
  return (below) => stream.below(below);
}

/** Damages bytes: changed, cut off, repeated, removed or exchanged pieces; numbers in text. */
function damaged(bytes: Buffer, random: Random): Buffer {
  let result: Buffer = Buffer.from(bytes);
  const most = random(2) === 0 ? 1 : 4;
  for (let times = 1 + random(most); times > 0 && result.length > 0; times--) {
    const at = random(result.length);
    const length = Math.min(1 + random(random(4) === 0 ? 400 : 12), result.length - at);
    switch (random(10)) {
      case 0:
        result[at] = random(256);
        break;
      case 1:
        result[at] = (result[at] ?? 0) ^ (1 << random(8));
        break;
      case 2:
        result = result.subarray(0, at);
        break;
      case 3:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + length)]);
        break;
      case 4:
        result = Buffer.concat([result.subarray(0, at + length), result.subarray(at)]);
        break;
      case 5:
        result.fill([0, 255, 10, 34][random(4)] ?? 0, at, at + length);
        break;
      case 6:
        result = otherNumber(result, at, random);
        break;
      default:
        otherDigit(result, at, random);
    }
  }
  return Buffer.from(result);
}

/** Text with the first number after `at` exchanged; the same bytes where there is none. */
function otherNumber(bytes: Buffer, at: number, random: Random): Buffer {
  const text = bytes.toString("latin1");
  const found = /\d+/.exec(text.slice(at));
  if (found === null) return bytes;
  const start = at + found.index;
  const number = NUMBERS[random(NUMBERS.length)] ?? "";
  return Buffer.from(text.slice(0, start) + number + text.slice(start + found[0].length), "latin1");
}

/** Exchanges the first digit after `at`. */
function otherDigit(bytes: Buffer, at: number, random: Random): void {
  const place = bytes.findIndex((byte, i) => i >= at && byte >= 48 && byte <= 57);
  if (place !== -1) bytes[place] = 48 + random(10);
}

/** An input that was written to `folder`. */
interface Input {
  readonly path: string;
  readonly options: OpenOptions;
}

type Writer = (folder: string, random: Random) => Input;

function names(folder: string): string[] {
  return readdirSync(join(FIXTURES, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function pick<T>(values: readonly T[], random: Random): T {
  return values[random(values.length)] as T;
}

/** The bytes of a file damaged: as they lie, or what they hold once decompressed. */
function damagedFile(path: string, random: Random): Buffer {
  const bytes = readFileSync(path);
  const inside = path.endsWith(".gz") && random(3) > 0;
  return inside ? gzipSync(damaged(gunzipSync(bytes), random)) : damaged(bytes, random);
}

const writers: Readonly<Record<Format, Writer>> = {
  tenx: (folder, random) => {
    const path = join(folder, "cells.h5");
    const originals = names("tenx").filter((name) => !name.includes("bad_"));
    writeFileSync(path, damagedFile(pick(originals, random), random));
    return { path, options: random(4) === 0 ? { genome: "mm10" } : {} };
  },
  h5ad: (folder, random) => {
    const path = join(folder, "cells.h5ad");
    const originals = names("h5ad").filter((name) => !/bad_|outside_|elsewhere/.test(name));
    writeFileSync(path, damagedFile(pick(originals, random), random));
    return { path, options: random(3) === 0 ? { layer: "counts" } : {} };
  },
  market: (folder, random) => {
    const original = pick(["v2/mm10", "v3", "by_gene", "pattern"], random);
    const files = names(`matrix_market/${original}`);
    const victim = random(4) === 0 ? pick(files, random) : files.find((name) => /\.mtx(\.gz)?$/.test(name));
    for (const file of files) {
      const bytes = file === victim ? damagedFile(file, random) : readFileSync(file);
      writeFileSync(join(folder, file.slice(dirname(file).length + 1)), bytes);
    }
    return { path: folder, options: {} };
  },
  table: (folder, random) => {
    const path = join(folder, "table.txt");
    writeFileSync(path, damagedFile(pick(names("delimited"), random), random));
    const transpose = pick([undefined, true, false], random);
    return { path, options: transpose === undefined ? {} : { transpose } };
  },
  zarr: (folder, random) => {
    const path = join(folder, "cells.zip");
    const original = pick(["v2_csr.zarr", "v3_sharded.zarr"], random);
    const options = random(3) === 0 ? {} : { layer: "counts" };
    if (random(4) === 0) {
      const archives = names("zarr").filter((name) => name.endsWith(".zip"));
      writeFileSync(path, damagedFile(pick(archives, random), random));
      return { path, options };
    }
    const root = join(FIXTURES, "zarr", original);
    const files = names(`zarr/${original}`);
    const victims = new Set(Array.from({ length: 1 + random(3) }, () => pick(files, random)));
    const entries = files.map((file) => {
      const bytes = readFileSync(file);
      return { name: file.slice(root.length + 1), bytes: victims.has(file) ? damaged(bytes, random) : bytes };
    });
    // Checksums that fit: damage gets past them to the reader of zarr.
    writeFileSync(path, zipArchive(entries));
    return { path, options };
  },
};

/** Opens a source and reads all of it; throws where what it gives contradicts its contract. */
async function readAll(path: string, options: OpenOptions): Promise<void> {
  using source = await openCells(path, options);
  const { cellCount, genes, partBounds } = source;
  if (partBounds[0] !== 0 || partBounds.at(-1) !== cellCount) throw new Error("parts do not cover the cells");
  for (let part = 0; part + 1 < partBounds.length && part < 100; part++) {
    const rows = rowRange(partBounds[part] ?? 0, partBounds[part + 1] ?? 0);
    const block = await source.read(rows);
    if (block.offsets.length !== rows.length + 1)
      throw new Error("a block has other cells than were asked for");
    for (let cell = 0; cell < rows.length; cell++) {
      for (let at = block.offsets[cell] ?? 0, last = -1; at < (block.offsets[cell + 1] ?? 0); at++) {
        const gene = block.columns[at] ?? -1;
        const count = block.counts[at] ?? Number.NaN;
        if (gene <= last || gene >= genes.length || !(count > 0))
          throw new Error("a block's entries are not in order");
        last = gene;
      }
    }
    const ids = await source.cellIds(rows);
    if (ids.length !== rows.length) throw new Error("cells and their names differ in number");
  }
  if (cellCount <= 1e6) await source.metadata();
}

/** Runs the inputs first .. first + count - 1 of a format; gives how many were refused, by code. */
async function run(format: Format, first: number, count: number): Promise<Map<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), "ddsc-fuzz-"));
  const refused = new Map<string, number>();
  // The first file of a kind loads libraries.
  (await openCells(join(FIXTURES, WHOLE[format])))[Symbol.dispose]();
  try {
    for (let seed = first; seed < first + count; seed++) {
      const place = join(folder, "input");
      rmSync(place, { recursive: true, force: true });
      mkdirSync(place);
      const { path, options } = writers[format](place, generator(seed));
      const start = performance.now();
      try {
        await readAll(path, options);
      } catch (error) {
        if (!(error instanceof DdscError) || error.code === "INTERNAL" || error.message.includes("\n")) {
          throw new Error(`${format} ${seed}: ${error instanceof Error ? error.stack : String(error)}`);
        }
        refused.set(error.code, (refused.get(error.code) ?? 0) + 1);
      }
      if (performance.now() - start > INPUT_MS)
        throw new Error(`${format} ${seed}: took longer than ${INPUT_MS} ms`);
      const { rss } = process.memoryUsage();
      if (rss > MEMORY_BYTES) throw new Error(`${format} ${seed}: ${Math.round(rss / 1e6)} MB are in use`);
      if ((seed - first) % 50 === 0) process.send?.(seed);
    }
    return refused;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a format in a process of its own; true if it went well. */
function supervise(format: Format, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const script = fileURLToPath(import.meta.url);
    const child = spawn(process.execPath, [...process.execArgv, script, "--format", format, ...args], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    let last = -1;
    const silent = (): void => {
      console.error(`${format}: no answer for ${SILENCE_MS} ms, at or soon after input ${last}`);
      child.kill("SIGKILL");
    };
    let timer = setTimeout(silent, SILENCE_MS);
    child.on("message", (seed) => {
      last = Number(seed);
      clearTimeout(timer);
      timer = setTimeout(silent, SILENCE_MS);
    });
    child.on("exit", (code) => {
      clearTimeout(timer);
      resolve(code === 0);
    });
  });
}

const { values } = parseArgs({
  options: {
    format: { type: "string" },
    inputs: { type: "string", default: "10000" },
    first: { type: "string", default: "1" },
  },
});
const format = FORMATS.find((name) => name === values.format);
if (format !== undefined) {
  const count = Number(values.inputs);
  const refused = await run(format, Number(values.first), count);
  const codes = [...refused].map(([code, times]) => `${times} ${code}`);
  const all = [...refused.values()].reduce((sum, times) => sum + times, 0);
  console.log(`${format}: ${count} inputs, ${count - all} read, ${all} refused: ${codes.sort().join(", ")}`);
} else {
  let good = true;
  for (const name of FORMATS) {
    good = (await supervise(name, ["--inputs", values.inputs, "--first", values.first])) && good;
  }
  process.exitCode = good ? 0 : 1;
}
