import type { NumberArray } from "./sources/number_array.js";

/** Types of the elements of an array that is written. */
export type ElementType = NumberType | "boolean" | "string";

/** Types of numbers. */
export type NumberType =
  | "int8"
  | "uint8"
  | "int16"
  | "uint16"
  | "int32"
  | "uint32"
  | "int64"
  | "uint64"
  | "float32"
  | "float64";

/** Elements of an array: numbers as typed arrays, booleans as 0 or 1 in a Uint8Array, strings as an array. */
export type ElementArray = NumberArray | readonly string[];

/** Value of an attribute; whole numbers are stored as int64 where the format tells kinds of numbers apart. */
export type AttributeValue = string | boolean | number | readonly string[] | readonly number[];
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** An array whose values arrive in pieces. */
export interface StreamedArray {
  /** Appends values in order, any number of them at a time. Throws a RangeError for more than the shape holds. */
  append(values: NumberArray): Promise<void>;
  /** Ends the array. Throws a RangeError unless it is full. */
  finish(): Promise<void>;
}

/** A vector of texts that arrive in pieces. */
export interface StreamedTexts {
  /** Appends texts in order, any number of them at a time. Throws a RangeError for more than there are to be. */
  append(texts: readonly string[]): Promise<void>;
  /** Ends the vector. Throws a RangeError unless it is full. */
  finish(): Promise<void>;
}

/**
 * Writes groups of arrays and of further groups, with attributes: what AnnData is written in, the counterpart of `Hierarchy`.
 * Paths are absolute; groups above what is written are made where they are missing. Memory stays at a chunk of each array.
 */
export interface HierarchyWriter {
  /** Makes the group `path` ("/" is there already), and those above it, and gives it attributes. */
  group(path: string, attributes: Attributes): Promise<void>;
  /** Writes a whole array. `shape` [] is a scalar. Throws a RangeError unless there are as many values as the shape holds. */
  dataset(
    path: string,
    type: ElementType,
    shape: readonly number[],
    values: ElementArray,
    attributes?: Attributes,
  ): Promise<void>;
  /** An array of numbers whose values arrive in pieces, in order. Shape [Infinity]: a vector as long as it turns out to be. */
  streamDataset(
    path: string,
    type: Exclude<ElementType, "string">,
    shape: readonly number[],
    attributes?: Attributes,
  ): StreamedArray;
  /** A vector of `length` texts that arrive in pieces, in order. */
  streamTexts(path: string, length: number, attributes?: Attributes): StreamedTexts;
}

/** The bytes of numbers, not copied. */
export function bytesOf(values: NumberArray): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** The type of numbers as they are held. */
export function numberType(values: NumberArray): NumberType {
  return NUMBER_TYPES.get(values.constructor) ?? "float64";
}

const NUMBER_TYPES: ReadonlyMap<unknown, NumberType> = new Map<unknown, NumberType>([
  [Int8Array, "int8"],
  [Uint8Array, "uint8"],
  [Int16Array, "int16"],
  [Uint16Array, "uint16"],
  [Int32Array, "int32"],
  [Uint32Array, "uint32"],
  [BigInt64Array, "int64"],
  [BigUint64Array, "uint64"],
  [Float32Array, "float32"],
  [Float64Array, "float64"],
]);

/** Throws a RangeError unless there are as many values as a shape holds. */
export function checkElements(path: string, shape: readonly number[], values: ElementArray): void {
  const elements = shape.reduce((product, extent) => product * extent, 1);
  if (values.length === elements) return;
  throw new RangeError(`${path}: ${values.length} values for shape [${shape.join(", ")}]`);
}
