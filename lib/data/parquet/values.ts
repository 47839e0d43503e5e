import type { Table } from "apache-arrow";
import { isTurnOver, takeTurn } from "../../base/turns.js";
import type { MetadataColumn } from "../sources/cells.js";
import type { ColumnValues } from "./encode.js";
import { Physical } from "./format.js";

/** Levels of a list as common writers lay it out: the list may be missing, it repeats, an element may be missing. */
export const LIST_DEFINITION = 3;

/** Gene tokens, as 64-bit whole numbers. `lists` are the bounds of rows. */
export async function tokenValues(tokens: Int32Array, lists: Int32Array): Promise<ColumnValues> {
  const { distinct, places } = await numberPlaces(tokens);
  const plain = new BigInt64Array(distinct.length);
  for (const [i, token] of distinct.entries()) plain[i] = BigInt(token);
  return listColumn(Physical.int64, new Uint8Array(plain.buffer), distinct.length, places, lists);
}

/** Expressions, as float32. */
export async function expressionValues(expressions: Float32Array, lists: Int32Array): Promise<ColumnValues> {
  const { distinct, places } = await numberPlaces(expressions);
  const plain = Float32Array.from(distinct);
  return listColumn(Physical.float32, new Uint8Array(plain.buffer), distinct.length, places, lists);
}

/** Numbers that are looked up between two looks at the clock. */
const NUMBERS_A_LOOK = 1 << 15;

/** Distinct numbers in the order of their first occurrence, and where each number is among them. The event loop runs in between. */
async function numberPlaces(
  values: Int32Array | Float32Array,
): Promise<{ distinct: number[]; places: Int32Array }> {
  const found = new FoundNumbers();
  const places = new Int32Array(values.length);
  for (let first = 0; first < values.length; first += NUMBERS_A_LOOK) {
    if (isTurnOver()) await takeTurn();
    found.placesOf(values, places, first, Math.min(first + NUMBERS_A_LOOK, values.length));
  }
  return { distinct: found.distinct, places };
}

/** Distinct numbers so far, in the order of their first occurrence. */
class FoundNumbers {
  readonly distinct: number[] = [];
  /** Small whole numbers, nearly all there are, are looked up in an array. */
  readonly #small = new Int32Array(1 << 16).fill(-1);
  readonly #others = new Map<number, number>();

  /** Writes where the numbers at `first` up to `end` are among the distinct ones. */
  placesOf(values: Int32Array | Float32Array, places: Int32Array, first: number, end: number): void {
    const small = this.#small;
    const others = this.#others;
    for (let i = first; i < end; i++) {
      const value = values[i] as number;
      const isSmall = value >= 0 && value < small.length && value === (value | 0);
      let place = isSmall ? (small[value] as number) : (others.get(value) ?? -1);
      if (place < 0) {
        place = this.distinct.push(value) - 1;
        if (isSmall) small[value] = place;
        else others.set(value, place);
      }
      places[i] = place;
    }
  }
}

function listColumn(
  physical: number,
  plain: Uint8Array,
  size: number,
  places: Int32Array,
  lists: Int32Array,
): ColumnValues {
  const dictionary = { plain, size, places };
  return {
    physical,
    dictionary,
    plain: undefined,
    lists,
    present: undefined,
    maxDefinition: LIST_DEFINITION,
  };
}

/** Parquet's number of the physical type of a column of metadata. */
export function physicalType(kind: MetadataColumn["kind"]): number {
  return kind === "text" ? Physical.byteArray : kind === "boolean" ? Physical.boolean : Physical.float64;
}

/** Text, null where it is missing. */
export function textValues(texts: readonly (string | null)[]): ColumnValues {
  const known = new Map<string, number>();
  const places: number[] = [];
  const pieces: Buffer[] = [];
  for (const text of texts) {
    if (text === null) continue;
    let place = known.get(text);
    if (place === undefined) {
      place = known.size;
      known.set(text, place);
      const bytes = Buffer.from(text, "utf8");
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      pieces.push(length, bytes);
    }
    places.push(place);
  }
  const dictionary = { plain: Buffer.concat(pieces), size: known.size, places: Int32Array.from(places) };
  const present = Uint8Array.from(texts, (text) => (text === null ? 0 : 1));
  return {
    physical: Physical.byteArray,
    dictionary,
    plain: undefined,
    lists: undefined,
    present,
    maxDefinition: 1,
  };
}

/** A column of cell metadata as `CellSource.metadata` gives it. */
export function metadataValues(kind: MetadataColumn["kind"], table: Table, name: string): ColumnValues {
  const values: unknown[] = [...(table.getChild(name) ?? [])];
  if (kind === "text")
    return textValues(values.map((value) => (value === null || value === undefined ? null : String(value))));
  const there = values.filter((value) => value !== null && value !== undefined);
  const present = Uint8Array.from(values, (value) => (value === null || value === undefined ? 0 : 1));
  const flat = { dictionary: undefined, lists: undefined, present, maxDefinition: 1 };
  if (kind === "boolean") {
    const bits = new Uint8Array(Math.ceil(there.length / 8));
    for (const [i, value] of there.entries())
      if (value === true) bits[i >> 3] = (bits[i >> 3] ?? 0) | (1 << (i & 7));
    return { ...flat, physical: Physical.boolean, plain: bits };
  }
  const numbers = Float64Array.from(there, Number);
  return { ...flat, physical: Physical.float64, plain: new Uint8Array(numbers.buffer) };
}
