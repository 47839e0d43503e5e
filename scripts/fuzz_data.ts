/**
 * Feeds damaged Parquet and Arrow files, and damaged compressed blocks, to their readers:
 * npx tsx scripts/fuzz_data.ts [--inputs 10000] [--first 0] [--format parquet|arrow]
 *
 * Each must end in a DdscError or in well-formed cells, in bounded time and memory. Every format runs in a process of its
 * own, which is ended when it is silent for too long; a failure names the input, which --first N --inputs 1 repeats.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { tableFromIPC, tableToIPC } from "apache-arrow";
import { DdscError } from "../lib/base/errors.js";
import { Purpose, RandomStream } from "../lib/base/random.js";
import { openArrow } from "../lib/data/arrow/arrow.js";
import {
  checkRange,
  closedError,
  type FileIdentity,
  type RandomAccess,
} from "../lib/data/io/random_access.js";
import { openParquet } from "../lib/data/parquet/parquet.js";
import { rowRange } from "../lib/data/sources/parts.js";
import type { CellSource } from "../lib/data/sources/source.js";
import { damaged } from "./damaged.js";
import { fuzz } from "./fuzz_run.js";

const FIXTURES = fileURLToPath(new URL("../test/fixtures/tahoe/", import.meta.url));
const FORMATS = ["parquet", "arrow"] as const;
type Format = (typeof FORMATS)[number];

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

  get identity(): FileIdentity {
    return { size: this.size, etag: null, modified: null };
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

await fuzz({
  url: import.meta.url,
  option: "format",
  kinds: FORMATS,
  every: 500,
  begin: async (format) => {
    const names = readdirSync(FIXTURES).filter(
      (name) => name.endsWith(`.${format}`) && name !== "gene_metadata.parquet",
    );
    const originals = new Map(names.map((name) => [name, readFileSync(join(FIXTURES, name))]));
    // apache-arrow writes the schema of a file into its footer alone.
    for (const name of names.filter((written) => /^(stream|coded|wide)\.arrow$/.test(written)))
      originals.set(`footer_${name}`, Buffer.from(tableToIPC(tableFromIPC(originals.get(name)), "file")));
    return { input: async (number) => ({ use: () => use(format, number, originals) }) };
  },
});

/** Reads an input whole; the code of the error where it was refused. */
async function use(format: Format, number: number, originals: ReadonlyMap<string, Buffer>): Promise<string> {
  try {
    const file = inputOf(format, number, originals);
    await readAll(await (format === "arrow" ? openArrow(file, {}) : openParquet(file, {})));
    return "read whole";
  } catch (error) {
    if (error instanceof DdscError) return error.code;
    throw error;
  }
}
