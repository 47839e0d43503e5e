import type { RawRows } from "./count_matrix.js";
import type { RowReader } from "./file_source.js";
import { type PartRows, rowsByPart } from "./part_table.js";

/** Reads all rows of a part. What it gives is this reader's from then on. */
export type PartReader = (part: number, signal?: AbortSignal) => Promise<RawRows>;

/** Counts kept decoded, in entries of eight bytes: the part at hand, the one after it in a read, and some more of small parts. */
const KEPT_COUNTS = 6_000_000;
/** The same of all readers of a thread together: thousands of files may be open, of each of which some rows are read. */
const ALL_KEPT_COUNTS = 4 * KEPT_COUNTS;

/** A part that is being read, or has been. */
interface KeptPart {
  readonly rows: Promise<RawRows>;
  counts: number;
  /** Calls that wait for it. */
  waiting: number;
  /** Lets go of it. */
  forget(): void;
}

/** Parts that are kept together up to a number of counts. */
class PartPool {
  readonly #most: number;
  /** The one used last at the end. */
  readonly #parts = new Set<KeptPart>();
  #counts = 0;

  constructor(most: number) {
    this.#most = most;
  }

  add(part: KeptPart): void {
    this.#parts.add(part);
    this.#counts += part.counts;
  }

  delete(part: KeptPart): void {
    if (this.#parts.delete(part)) this.#counts -= part.counts;
  }

  /** Lets go of what was used longest ago until the rest is small enough; `newest` stays, and what is being read. */
  shrink(newest: KeptPart): void {
    for (const part of this.#parts) {
      if (this.#counts <= this.#most) return;
      if (part !== newest && part.counts > 0) part.forget();
    }
  }

  forgetAll(): void {
    for (const part of this.#parts) part.forget();
  }
}

const everyPart = new PartPool(ALL_KEPT_COUNTS);

/**
 * Rows of a source that is decoded part by part. A part of which all rows are asked for at once is handed over as it is;
 * others are kept while they are used, and copied from. Of a read of several parts, two are read at the same time.
 */
export class PartRowReader implements RowReader {
  readonly #bounds: Float64Array;
  readonly #readPart: PartReader;
  /** Parts by number. */
  readonly #kept = new Map<number, KeptPart>();
  readonly #pool = new PartPool(KEPT_COUNTS);

  constructor(bounds: Float64Array, readPart: PartReader) {
    this.#bounds = bounds;
    this.#readPart = readPart;
  }

  async read(rows: Int32Array, signal?: AbortSignal): Promise<RawRows> {
    const needed = rowsByPart(this.#bounds, rows);
    const pieces: { readonly own: PartRows; readonly raw: RawRows }[] = [];
    for (const [i, own] of needed.entries()) {
      const reading = this.#part(own.part);
      const next = needed[i + 1];
      if (next !== undefined) this.#part(next.part).rows.catch(() => undefined); // thrown in its turn
      pieces.push({ own, raw: await this.#take(reading, own) });
      signal?.throwIfAborted();
    }
    const [only] = pieces;
    if (only !== undefined && pieces.length === 1) return only.raw;
    return merge(pieces, rows.length);
  }

  /** The rows asked for, which are the caller's to change. */
  async #take(entry: KeptPart, { part, rows }: PartRows): Promise<RawRows> {
    entry.waiting++;
    const raw = await entry.rows.finally(() => entry.waiting--);
    const isWhole = rows.length === raw.offsets.length - 1 && rows.every((row, i) => row === i);
    if (!isWhole || entry.waiting > 0 || this.#kept.get(part) !== entry) return gather(raw, rows);
    entry.forget();
    return { ...raw, owned: true };
  }

  #part(part: number): KeptPart {
    const known = this.#kept.get(part);
    const entry: KeptPart = known ?? {
      rows: this.#readPart(part),
      counts: 0,
      waiting: 0,
      forget: () => {
        this.#pool.delete(entry);
        everyPart.delete(entry);
        if (this.#kept.get(part) === entry) this.#kept.delete(part);
      },
    };
    known?.forget();
    this.#keep(part, entry);
    if (known === undefined) {
      entry.rows.then(
        ({ columns }) => {
          // Out of the pools and in again, which count.
          if (this.#kept.get(part) !== entry) return;
          entry.forget();
          entry.counts = columns.length;
          this.#keep(part, entry);
          this.#pool.shrink(entry);
          everyPart.shrink(entry);
        },
        () => entry.forget(),
      );
    }
    return entry;
  }

  #keep(part: number, entry: KeptPart): void {
    this.#kept.set(part, entry);
    this.#pool.add(entry);
    everyPart.add(entry);
  }

  forget(): void {
    this.#pool.forgetAll();
  }
}

/** Copies of some rows of a part, in the order given. */
function gather(part: RawRows, rows: Int32Array): RawRows {
  const offsets = new Int32Array(rows.length + 1);
  for (const [i, row] of rows.entries())
    offsets[i + 1] = (offsets[i] ?? 0) + (part.offsets[row + 1] ?? 0) - (part.offsets[row] ?? 0);
  const columns = new Int32Array(offsets[rows.length] ?? 0);
  const values = new Float32Array(columns.length);
  for (let i = 0; i < rows.length; ) {
    // Neighbours are copied at once.
    const first = rows[i] ?? 0;
    let run = 1;
    while (rows[i + run] === first + run) run++;
    const from = part.offsets[first] ?? 0;
    const to = part.offsets[first + run] ?? 0;
    columns.set(part.columns.subarray(from, to), offsets[i]);
    values.set(part.values.subarray(from, to), offsets[i]);
    i += run;
  }
  return { offsets, columns, values, checked: part.checked === true, owned: true };
}

/** Rows of several parts in the order in which they were asked for. */
function merge(pieces: readonly { readonly own: PartRows; readonly raw: RawRows }[], count: number): RawRows {
  const offsets = new Int32Array(count + 1);
  for (const { own, raw } of pieces) {
    for (const [i, place] of own.places.entries())
      offsets[place + 1] = (raw.offsets[i + 1] ?? 0) - (raw.offsets[i] ?? 0);
  }
  for (let i = 0; i < count; i++) offsets[i + 1] = (offsets[i + 1] ?? 0) + (offsets[i] ?? 0);
  const columns = new Int32Array(offsets[count] ?? 0);
  const values = new Float32Array(columns.length);
  let checked = true;
  for (const { own, raw } of pieces) {
    checked &&= raw.checked === true;
    for (const [i, place] of own.places.entries()) {
      const from = raw.offsets[i] ?? 0;
      const to = raw.offsets[i + 1] ?? 0;
      columns.set(raw.columns.subarray(from, to), offsets[place]);
      values.set(raw.values.subarray(from, to), offsets[place]);
    }
  }
  return { offsets, columns, values, checked, owned: true };
}
