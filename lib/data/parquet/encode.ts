import { crc32 } from "node:zlib";
import { takeTurn } from "../../base/turns.js";
import { ThriftWriter } from "./thrift_write.js";

/** Values of a column of a row group, missing ones left out, and their levels. */
export interface ColumnValues {
  /** Parquet's number of the physical type. */
  readonly physical: number;
  /** Distinct values in plain encoding, and the place of each value among them; undefined: `plain` holds the values. */
  readonly dictionary:
    | { readonly plain: Uint8Array; readonly size: number; readonly places: Int32Array }
    | undefined;
  /** Values in plain encoding where there is no dictionary; then one page holds them all. */
  readonly plain: Uint8Array | undefined;
  /** Bounds of rows for lists, none of which is empty. */
  readonly lists: Int32Array | undefined;
  /** Flat columns: 1 where there is a value, one a row. */
  readonly present: Uint8Array | undefined;
  /** Highest definition level. */
  readonly maxDefinition: number;
}

/** A column as it is written: bytes, and what the footer says of them. */
export interface EncodedColumn {
  readonly bytes: Uint8Array;
  readonly values: number;
  readonly encodings: readonly number[];
  /** Of all pages with their headers, before compression. */
  readonly uncompressedBytes: number;
  /** Where the first page of data begins, from the column's start; a dictionary lies in front of it. */
  readonly dataOffset: number;
}

const PLAIN = 0;
const RUNS = 3;
const DICTIONARY = 8;
/** Values of a page, roughly: pages end where rows do. */
const PAGE_VALUES = 1 << 18;
export const SNAPPY = 1;

/** Encodes a column: a dictionary page where there is one, then data pages of version 1, each with its checksum. */
export async function encodeColumn(column: ColumnValues): Promise<EncodedColumn> {
  const { dictionary, plain, lists, present, maxDefinition } = column;
  const { compress } = await import("snappy");
  const pieces: Uint8Array[] = [];
  let uncompressedBytes = 0;
  const add = async (
    body: Uint8Array,
    describe: (header: ThriftWriter) => void,
    kind: number,
  ): Promise<void> => {
    const compressed = await compress(body);
    const header = new ThriftWriter();
    header.i32(1, kind);
    header.i32(2, body.length);
    header.i32(3, compressed.length);
    header.i32(4, crc32(compressed) | 0);
    describe(header);
    header.end();
    pieces.push(header.bytes, compressed);
    uncompressedBytes += header.bytes.length + body.length;
  };
  if (dictionary !== undefined) {
    await add(
      dictionary.plain,
      (header) =>
        header.struct(7, () => {
          header.i32(1, dictionary.size);
          header.i32(2, PLAIN);
        }),
      2,
    );
  }
  const dataOffset = pieces.reduce((sum, { length }) => sum + length, 0);
  const rows = lists === undefined ? (present?.length ?? 0) : lists.length - 1;
  for (const [first, end] of pagesOf(lists, rows)) {
    await takeTurn();
    const levels =
      lists === undefined
        ? [prefixed(encodeFlags(present ?? new Uint8Array(0)))]
        : listLevels(lists, first, end, maxDefinition);
    const body =
      dictionary === undefined
        ? [plain ?? new Uint8Array(0)]
        : [
            encodePlaces(
              dictionary.places.subarray(lists?.[first] ?? 0, lists?.[end] ?? dictionary.places.length),
              dictionary.size,
            ),
          ];
    const count = lists === undefined ? rows : (lists[end] ?? 0) - (lists[first] ?? 0);
    await add(
      Buffer.concat([...levels, ...body]),
      (header) =>
        header.struct(5, () => {
          header.i32(1, count);
          header.i32(2, dictionary === undefined ? PLAIN : DICTIONARY);
          header.i32(3, RUNS);
          header.i32(4, RUNS);
        }),
      0,
    );
  }
  return {
    bytes: Buffer.concat(pieces),
    values: lists === undefined ? rows : (lists.at(-1) ?? 0),
    encodings: dictionary === undefined ? [PLAIN, RUNS] : [PLAIN, RUNS, DICTIONARY],
    uncompressedBytes,
    dataOffset,
  };
}

/** First row and end of each page. Flat columns have one: a row group has few rows. */
function* pagesOf(lists: Int32Array | undefined, rows: number): Generator<[number, number], void, undefined> {
  if (lists === undefined) {
    yield [0, rows];
    return;
  }
  for (let first = 0; first < rows; ) {
    let end = first + 1;
    while (end < rows && (lists[end + 1] ?? 0) - (lists[first] ?? 0) <= PAGE_VALUES) end++;
    yield [first, end];
    first = end;
  }
}

/** Levels of rows of lists without missing values: a new row, then as many repetitions as it has further entries. */
function listLevels(lists: Int32Array, first: number, end: number, maxDefinition: number): Uint8Array[] {
  const repetition: number[] = [];
  for (let row = first; row < end; row++) {
    repetition.push(2, 0);
    const more = (lists[row + 1] ?? 0) - (lists[row] ?? 0) - 1;
    if (more > 0) {
      pushVarint(repetition, 2 * more);
      repetition.push(1);
    }
  }
  const definition: number[] = [];
  pushVarint(definition, 2 * ((lists[end] ?? 0) - (lists[first] ?? 0)));
  definition.push(maxDefinition);
  return [prefixed(Uint8Array.from(repetition)), prefixed(Uint8Array.from(definition))];
}

/** Levels of 0 and 1 as runs. */
function encodeFlags(flags: Uint8Array): Uint8Array {
  const runs: number[] = [];
  for (let start = 0; start < flags.length; ) {
    let end = start + 1;
    while (end < flags.length && flags[end] === flags[start]) end++;
    pushVarint(runs, 2 * (end - start));
    runs.push(flags[start] ?? 0);
    start = end;
  }
  return Uint8Array.from(runs);
}

/** Places in a dictionary of `size` as one run of packed bits, the width in front. */
function encodePlaces(places: Int32Array, size: number): Uint8Array {
  const width = Math.max(1, Math.ceil(Math.log2(Math.max(size, 2))));
  const groups = Math.ceil(places.length / 8);
  const header: number[] = [width];
  pushVarint(header, 2 * groups + 1);
  const bytes = new Uint8Array(header.length + groups * width);
  bytes.set(header);
  let at = header.length;
  let held = 0;
  let bits = 0;
  for (let i = 0; i < places.length; i++) {
    // At most 7 bits are held before, so 24-bit places never overflow 31 bits.
    held |= (places[i] as number) << bits;
    bits += width;
    for (; bits >= 8; bits -= 8) {
      bytes[at++] = held & 255;
      held >>>= 8;
    }
  }
  if (bits > 0) bytes[at] = held;
  return bytes;
}

/** Levels of version 1 have their length in front. */
function prefixed(runs: Uint8Array): Uint8Array {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(runs.length);
  return Buffer.concat([length, runs]);
}

function pushVarint(bytes: number[], value: number): void {
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
}
