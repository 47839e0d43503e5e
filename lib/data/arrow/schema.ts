import { FlatbufferError, type FlatTable } from "./flatbuffer.js";

/** Types of columns that are read; all others are passed over. */
export type ArrowType =
  | { readonly kind: "int"; readonly bits: 8 | 16 | 32 | 64; readonly signed: boolean }
  | { readonly kind: "float"; readonly bits: 32 | 64 }
  | { readonly kind: "boolean" }
  | { readonly kind: "text"; readonly wide: boolean }
  | { readonly kind: "list"; readonly wide: boolean }
  | { readonly kind: "other"; readonly number: number };

/** A column of the file. */
export interface ArrowField {
  readonly name: string;
  /** Type of the values, of a dictionary's values where there is one. */
  readonly type: ArrowType;
  /** Dictionary-coded: which dictionary, and the type of the codes. */
  readonly dictionary: { readonly id: number; readonly index: ArrowType } | undefined;
  /** A list's elements. */
  readonly element: ArrowType | undefined;
  /** Place of its first node and buffer in a record batch, which lists those of all fields depth first. */
  readonly node: number;
  readonly buffer: number;
}

const MAX_DEPTH = 16;
/** Numbers of types in the format's union. */
const INT = 2;
const FLOAT = 3;
const UTF8 = 5;
const BOOL = 6;
const LIST = 12;
const UNION = 14;
const LARGE_UTF8 = 20;
const LARGE_LIST = 21;
/** Buffers a field of each type has in a record batch; those of its children follow. */
const BUFFERS: Readonly<Record<number, number>> = {
  1: 0,
  2: 2,
  3: 2,
  4: 3,
  5: 3,
  6: 2,
  7: 2,
  8: 2,
  9: 2,
  10: 2,
  11: 2,
  12: 2,
  13: 1,
  15: 2,
  16: 1,
  17: 2,
  18: 2,
  19: 3,
  20: 3,
  21: 2,
};

/** Reads a schema. Throws `FlatbufferError`, also for types whose buffers cannot be told apart (unions, views). */
export function parseSchema(schema: FlatTable): ArrowField[] {
  if (schema.int16(0) !== 0) throw new FlatbufferError("it is big-endian, which is not supported");
  const place = { node: 0, buffer: 0 };
  return schema.tables(1).map((field) => parseField(field, place, 0));
}

function parseField(field: FlatTable, place: { node: number; buffer: number }, depth: number): ArrowField {
  if (depth > MAX_DEPTH) throw new FlatbufferError("its schema is nested too deeply");
  const { node, buffer } = place;
  const number = field.uint8(2);
  const name = field.text(0);
  const type = parseType(number, field.table(3));
  const coding = field.table(4);
  place.node++;
  if (coding !== undefined) {
    place.buffer += 2;
    const index = coding.table(1);
    const indexType: ArrowType =
      index === undefined ? { kind: "int", bits: 32, signed: true } : parseType(INT, index);
    return {
      name,
      type,
      dictionary: { id: coding.natural(0), index: indexType },
      element: undefined,
      node,
      buffer,
    };
  }
  const buffers = BUFFERS[number];
  if (buffers === undefined)
    throw new FlatbufferError(
      `column ${name} is ${number === UNION ? "a union" : `of type ${number}`}, which is not supported`,
    );
  place.buffer += buffers;
  const children = field.tables(5).map((child) => parseField(child, place, depth + 1));
  const element = type.kind === "list" ? children[0]?.type : undefined;
  return { name, type, dictionary: undefined, element, node, buffer };
}

function parseType(number: number, type: FlatTable | undefined): ArrowType {
  switch (number) {
    case INT: {
      const bits = type?.int32(0) ?? 0;
      if (bits !== 8 && bits !== 16 && bits !== 32 && bits !== 64)
        throw new FlatbufferError(`there are no whole numbers of ${bits} bits`);
      return { kind: "int", bits, signed: type?.uint8(1) === 1 };
    }
    case FLOAT: {
      const precision = type?.int16(0) ?? 0;
      return precision === 0 ? { kind: "other", number } : { kind: "float", bits: precision === 1 ? 32 : 64 };
    }
    case BOOL:
      return { kind: "boolean" };
    case UTF8:
    case LARGE_UTF8:
      return { kind: "text", wide: number === LARGE_UTF8 };
    case LIST:
    case LARGE_LIST:
      return { kind: "list", wide: number === LARGE_LIST };
    default:
      return { kind: "other", number };
  }
}
