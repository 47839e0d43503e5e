import { DdscError } from "../../base/errors.js";
import { type SharedWords, SpilledWords } from "../io/spilled_words.js";
import { lengthsOfRows, positionsByRow, type RawRows, rowRuns } from "./count_matrix.js";

/** Most entries kept in memory, 8 bytes each (64 MiB); more go to a temporary file. */
export const MEMORY_ENTRIES = 1 << 23;
/** Most entries of one row: far more than there are genes, even with every gene repeated. */
const MAX_ROW_ENTRIES = 1 << 26;
/** Rows this near to each other are read together with those between them. */
const ROW_GAP = 8;
const GIB = 2 ** 30;
/** Words of an entry: column and value, in disorder also the row before them. */
const ENTRY = 2;
const TRIPLE = 3;
/** Entries collected for a bucket before they are written. */
const BUCKET_BUFFER = 1 << 13;

/** Some entries of a matrix, in any order; the first `count` of each array hold. */
export interface EntryBatch {
  readonly rows: Int32Array;
  readonly columns: Int32Array;
  readonly values: Float32Array;
  readonly count: number;
}

/** Rows for another thread of this process, structured-clonable; good while they are open. */
export interface SharedRows {
  readonly bounds: Float64Array;
  readonly entries: SharedWords;
}

/**
 * A sparse matrix in compressed rows, made from a file that cannot be read by rows: in memory, or in a temporary file
 * where it has more than `MEMORY_ENTRIES` entries. Made by `CompactRowsWriter`.
 */
export class CompactRows implements Disposable {
  /** Number of rows. */
  readonly rows: number;
  /** Bounds of each row in entries, [rows + 1]. */
  readonly #bounds: Float64Array;
  readonly #entries: SpilledWords;

  constructor(bounds: Float64Array, entries: SpilledWords) {
    this.rows = bounds.length - 1;
    this.#bounds = bounds;
    this.#entries = entries;
  }

  /** Number of stored entries. */
  get entryCount(): number {
    return this.#bounds[this.rows] ?? 0;
  }

  /** True if the entries are in a temporary file. */
  get onDisk(): boolean {
    return this.#entries.onDisk;
  }

  /** What to tell of a temporary file; undefined if there is none. */
  get note(): string | undefined {
    if (!this.onDisk) return undefined;
    const size = ((this.entryCount * 8) / GIB).toFixed(1);
    return `${this.entryCount} counts are kept in a temporary file of ${size} GiB while the data is open`;
  }

  /** Reads rows in the order given, repeats allowed; every row number must be in [0, rows). Throws `DATA_TOO_LARGE`. */
  async read(rows: Int32Array): Promise<RawRows> {
    const bounds = this.#bounds;
    const offsets = new Int32Array(rows.length + 1);
    let total = 0;
    for (const [i, row] of rows.entries()) {
      total += (bounds[row + 1] ?? 0) - (bounds[row] ?? 0);
      if (total > 0x7fff_ffff) {
        throw new DdscError(
          "DATA_TOO_LARGE",
          "the rows asked for hold more than 2^31 counts; read fewer at a time",
        );
      }
      offsets[i + 1] = total;
    }
    const columns = new Int32Array(total);
    const values = new Float32Array(total);
    const positions = positionsByRow(rows);
    let next = 0;
    for (const run of rowRuns(rows, ROW_GAP, Number.POSITIVE_INFINITY)) {
      const first = bounds[run.first] ?? 0;
      const words = await this.#entries.read(ENTRY * first, ENTRY * (bounds[run.end] ?? 0));
      const floats = new Float32Array(words.buffer);
      for (; next < positions.length; next++) {
        const position = positions[next] ?? 0;
        const row = rows[position] ?? 0;
        if (row >= run.end) break;
        let at = ENTRY * ((bounds[row] ?? 0) - first);
        const end = offsets[position + 1] ?? 0;
        for (let target = offsets[position] ?? 0; target < end; target++) {
          columns[target] = words[at++] ?? 0;
          values[target] = floats[at++] ?? 0;
        }
      }
    }
    return { offsets, columns, values };
  }

  /** Number of entries of each of these rows; every row number must be in [0, rows). */
  storedCounts(rows: Int32Array): Int32Array {
    return lengthsOfRows(this.#bounds, rows);
  }

  /** The rows for another thread: nothing is copied but their bounds. */
  share(): SharedRows {
    return { bounds: this.#bounds, entries: this.#entries.share() };
  }

  /** The rows that another thread shares. Throws `DATA_CLOSED`. */
  static async from({ bounds, entries }: SharedRows): Promise<CompactRows> {
    return new CompactRows(bounds, await SpilledWords.from(entries));
  }

  /** Frees memory or temporary file. */
  [Symbol.dispose](): void {
    this.#entries[Symbol.dispose]();
  }
}

/**
 * Collects the entries of a matrix in any order and gives them back as compressed rows; entries of a row keep the order
 * they came in. Memory is bounded by `memoryEntries`: entries in order of their rows are stored as they come; others take
 * one more pass, over a temporary file if they are many.
 */
export class CompactRowsWriter {
  readonly #memoryEntries: number;
  /** Entries of each row so far; grows by doubling. */
  #lengths: Int32Array;
  #rowCount = 0;
  #lastRow = 0;
  /** Pairs while rows have come in order, triples since they have not. */
  #entries: SpilledWords;
  #ordered = true;

  constructor(memoryEntries = MEMORY_ENTRIES) {
    this.#memoryEntries = memoryEntries;
    this.#lengths = new Int32Array(1 << 10);
    this.#entries = new SpilledWords(ENTRY * memoryEntries);
  }

  /** Adds entries; rows and columns must be >= 0. Throws `FILE_WRITE`, `DATA_TOO_LARGE` for an endless row. */
  async add(batch: EntryBatch): Promise<void> {
    const { rows, columns, values, count } = batch;
    let stays = this.#ordered;
    for (let i = 0; i < count && stays; i++) {
      const row = rows[i] ?? 0;
      stays = row >= this.#lastRow;
      this.#lastRow = row;
    }
    if (this.#ordered && !stays) await this.#numberEntries();
    const width = this.#ordered ? ENTRY : TRIPLE;
    const words = new Int32Array(count * width);
    const floats = new Float32Array(words.buffer);
    let at = 0;
    let run = 0;
    for (let i = 0; i < count; i++) {
      const row = rows[i] ?? 0;
      run++;
      if (i + 1 === count || rows[i + 1] !== row) {
        this.#count(row, run);
        run = 0;
      }
      if (width === TRIPLE) words[at++] = row;
      words[at++] = columns[i] ?? 0;
      floats[at++] = values[i] ?? 0;
    }
    await this.#entries.append(words);
  }

  /** The matrix, of `rowCount` rows: at least as many as were added to. The writer is used up. */
  async finish(rowCount: number): Promise<CompactRows> {
    const bounds = new Float64Array(rowCount + 1);
    for (let row = 0; row < rowCount; row++) {
      bounds[row + 1] = (bounds[row] ?? 0) + (row < this.#rowCount ? (this.#lengths[row] ?? 0) : 0);
    }
    if (this.#ordered) return new CompactRows(bounds, this.#entries);
    const sorted = new SpilledWords(ENTRY * this.#memoryEntries);
    try {
      await this.#sortInto(sorted, bounds);
    } catch (error) {
      sorted[Symbol.dispose]();
      throw error;
    } finally {
      this.#entries[Symbol.dispose]();
    }
    return new CompactRows(bounds, sorted);
  }

  /** Frees what was collected, where it does not come to `finish`. */
  [Symbol.dispose](): void {
    this.#entries[Symbol.dispose]();
  }

  #count(row: number, entries: number): void {
    if (row >= this.#lengths.length) {
      const longer = new Int32Array(Math.max(2 * this.#lengths.length, row + 1));
      longer.set(this.#lengths);
      this.#lengths = longer;
    }
    if (row >= this.#rowCount) this.#rowCount = row + 1;
    const length = (this.#lengths[row] ?? 0) + entries;
    if (length > MAX_ROW_ENTRIES) {
      throw new DdscError(
        "DATA_TOO_LARGE",
        `row ${row} has more than ${MAX_ROW_ENTRIES} entries; the file is damaged`,
      );
    }
    this.#lengths[row] = length;
  }

  /** Puts the row before each entry so far: known from the rows' lengths, as they have come in order. */
  async #numberEntries(): Promise<void> {
    const triples = new SpilledWords(ENTRY * this.#memoryEntries);
    let row = 0;
    let left = this.#lengths[0] ?? 0;
    for await (const words of this.#entries.pieces(ENTRY)) {
      const numbered = new Int32Array((words.length / ENTRY) * TRIPLE);
      for (let from = 0, to = 0; from < words.length; from += ENTRY) {
        while (left === 0) left = this.#lengths[++row] ?? 0;
        left--;
        numbered[to++] = row;
        numbered[to++] = words[from] ?? 0;
        numbered[to++] = words[from + 1] ?? 0;
      }
      await triples.append(numbered);
    }
    this.#entries[Symbol.dispose]();
    this.#entries = triples;
    this.#ordered = false;
  }

  async #sortInto(sorted: SpilledWords, bounds: Float64Array): Promise<void> {
    const buckets = bucketRows(bounds, this.#memoryEntries);
    if (buckets.length === 2) {
      await sorted.append(await sortBucket(this.#entries.pieces(TRIPLE), bounds, 0, bounds.length - 1));
      return;
    }
    const divided = await divide(this.#entries, bounds, buckets);
    try {
      for (let bucket = 0; bucket + 1 < buckets.length; bucket++) {
        const first = buckets[bucket] ?? 0;
        const end = buckets[bucket + 1] ?? 0;
        const triples = await divided.read(TRIPLE * (bounds[first] ?? 0), TRIPLE * (bounds[end] ?? 0));
        await sorted.append(await sortBucket([triples], bounds, first, end));
      }
    } finally {
      divided[Symbol.dispose]();
    }
  }
}

/** Bounds of runs of rows with at most `entries` entries each (or one row), [buckets + 1]. */
function bucketRows(bounds: Float64Array, entries: number): number[] {
  const rows = bounds.length - 1;
  const buckets = [0];
  for (let row = 0; row < rows; row++) {
    const first = buckets.at(-1) ?? 0;
    if (row > first && (bounds[row + 1] ?? 0) - (bounds[first] ?? 0) > entries) buckets.push(row);
  }
  buckets.push(rows);
  return buckets;
}

/** The triples, those of each bucket of rows together, in a file. */
async function divide(
  triples: SpilledWords,
  bounds: Float64Array,
  buckets: readonly number[],
): Promise<SpilledWords> {
  const divided = new SpilledWords(0);
  try {
    await divided.reserve(triples.length);
    const bucketOf = new Int32Array(bounds.length);
    for (let bucket = 0; bucket + 1 < buckets.length; bucket++)
      bucketOf.fill(bucket, buckets[bucket], buckets[bucket + 1]);
    const buffers = Array.from({ length: buckets.length - 1 }, () => new Int32Array(TRIPLE * BUCKET_BUFFER));
    const used = new Int32Array(buffers.length);
    const places = Float64Array.from(buffers, (_, bucket) => TRIPLE * (bounds[buckets[bucket] ?? 0] ?? 0));
    const flush = async (bucket: number): Promise<void> => {
      const count = used[bucket] ?? 0;
      await divided.writeAt(buffers[bucket]?.subarray(0, count) ?? new Int32Array(0), places[bucket] ?? 0);
      places[bucket] = (places[bucket] ?? 0) + count;
      used[bucket] = 0;
    };
    for await (const words of triples.pieces(TRIPLE)) {
      for (let at = 0; at < words.length; at += TRIPLE) {
        const bucket = bucketOf[words[at] ?? 0] ?? 0;
        const to = used[bucket] ?? 0;
        const buffer = buffers[bucket];
        if (buffer === undefined) continue;
        buffer[to] = words[at] ?? 0;
        buffer[to + 1] = words[at + 1] ?? 0;
        buffer[to + 2] = words[at + 2] ?? 0;
        used[bucket] = to + TRIPLE;
        if (to + TRIPLE === buffer.length) await flush(bucket);
      }
    }
    for (const bucket of buffers.keys()) await flush(bucket);
    return divided;
  } catch (error) {
    divided[Symbol.dispose]();
    throw error;
  }
}

/** The triples of rows [first, end) as pairs, by row; each row's in the order they came in. */
async function sortBucket(
  pieces: AsyncIterable<Int32Array> | Iterable<Int32Array>,
  bounds: Float64Array,
  first: number,
  end: number,
): Promise<Int32Array> {
  const start = bounds[first] ?? 0;
  const pairs = new Int32Array(ENTRY * ((bounds[end] ?? 0) - start));
  // Pairs of a bucket are few enough, and whole numbers of 32 bits much the faster.
  const places = Int32Array.from(
    { length: end - first },
    (_, i) => ENTRY * ((bounds[first + i] ?? 0) - start),
  );
  for await (const words of pieces) {
    for (let at = 0; at < words.length; at += TRIPLE) {
      const row = (words[at] ?? 0) - first;
      const to = places[row] ?? 0;
      pairs[to] = words[at + 1] ?? 0;
      pairs[to + 1] = words[at + 2] ?? 0;
      places[row] = to + ENTRY;
    }
  }
  return pairs;
}
