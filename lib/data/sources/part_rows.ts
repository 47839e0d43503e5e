import type { RawRows } from "./count_matrix.js";
import type { RowReader } from "./file_source.js";
import { type PartRows, rowsByPart } from "./part_table.js";

/** Reads all rows of a part. What it gives is this reader's from then on. */
export type PartReader = (part: number, signal?: AbortSignal) => Promise<RawRows>;

/** Counts kept decoded, in entries of eight bytes: the part at hand, the one after it in a read, and some more of small parts. */
const KEPT_COUNTS = 6_000_000;

/** A part that is being read, or has been. */
interface KeptPart {
  readonly rows: Promise<RawRows>;
  counts: number;
  /** Calls that wait for it. */
  waiting: number;
}

/**
 * Rows of a source that is decoded part by part. A part of which all rows are asked for at once is handed over as it is;
 * others are kept while they are used, and copied from. Of a read of several parts, two are read at the same time.
 */
export class PartRowReader implements RowReader {
  readonly #bounds: Float64Array;
  readonly #readPart: PartReader;
  /** Parts by number, the one used last at the end. */
  readonly #kept = new Map<number, KeptPart>();

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
    this.#kept.delete(part);
    return { ...raw, owned: true };
  }

  #part(part: number): KeptPart {
    const known = this.#kept.get(part);
    this.#kept.delete(part);
    const entry: KeptPart = known ?? { rows: this.#readPart(part), counts: 0, waiting: 0 };
    this.#kept.set(part, entry);
    if (known === undefined) {
      entry.rows.then(
        ({ columns }) => {
          entry.counts = columns.length;
          this.#forget(part);
        },
        () => this.#kept.delete(part),
      );
    }
    return entry;
  }

  /** Drops what was used longest ago until the rest is small enough; `newest` stays. */
  #forget(newest: number): void {
    let total = [...this.#kept.values()].reduce((sum, { counts }) => sum + counts, 0);
    for (const [part, { counts }] of this.#kept) {
      if (total <= KEPT_COUNTS) return;
      if (part === newest || counts === 0) continue;
      this.#kept.delete(part);
      total -= counts;
    }
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
