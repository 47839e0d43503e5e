import type { DdscError } from "../base/errors.js";
import { positionsByRow, rowRuns } from "./sources/count_matrix.js";
import { type NumberArray, sameType } from "./sources/number_array.js";
import type { RowSpan } from "./sources/parts.js";

/** What lies at a path of a hierarchy; "other" for what is neither (a named type, a dangling link). */
export type NodeKind = "group" | "array" | "missing" | "other";

/** What the elements of an array are; "other" for what is neither numbers nor text. */
export type ElementKind = "integer" | "float" | "boolean" | "string" | "other";

/** An array of a hierarchy. Nothing of it is read but what is asked for; failures are `DdscError`s naming file and array. */
export interface StoredArray {
  /** Absolute path in the hierarchy. */
  readonly path: string;
  readonly shape: readonly number[];
  readonly kind: ElementKind;
  /** Bytes of an element in memory; of text about. */
  readonly elementBytes: number;
  /** Shape of the pieces that are decoded whole; undefined where any elements are read by themselves. */
  readonly chunkShape: readonly number[] | undefined;
  /**
   * Rows [first, end) of an array of numbers or booleans with one or two dimensions, row by row; of two, the columns asked
   * for, by default all. The caller bounds their number.
   */
  numbers(first: number, end: number, columns?: RowSpan): Promise<NumberArray>;
  /** Elements [first, end) of an array of text with one dimension. The caller bounds their number. */
  strings(first: number, end: number): Promise<string[]>;
  /** Throws `DATA_CORRUPT` if what is stored cannot hold what the shape claims. */
  checkClaim(): Promise<void>;
}

/**
 * Groups of arrays and of further groups, with attributes, as HDF5 and zarr have them: what AnnData is written in. Opened
 * for reading; every failure is a `DdscError` that names file and object. Paths are absolute: "/obs/_index".
 */
export interface Hierarchy extends Disposable {
  /** The file or folder as the user named it. */
  readonly path: string;
  /** What it is, for messages: "an HDF5 file", "a zarr store". */
  readonly what: string;
  /** Whether decoded chunks are kept, so that rows of the same chunk are best read one after the other. */
  readonly keepsChunks: boolean;
  /** What lies at `path`. */
  kind(path: string): Promise<NodeKind>;
  /** Names of the members of a group. */
  members(path: string): Promise<string[]>;
  /** An attribute as text, a number, a boolean or a list of them; undefined if there is none that is one of these. */
  attribute(path: string, name: string): Promise<unknown>;
  /** Whether the array at `path` is what AnnData writes for None. */
  isNull(path: string): Promise<boolean>;
  /** The array at `path`. Throws `DATA_CORRUPT` if there is none, `DATA_FORMAT` if it is stored in a way that is not supported. */
  array(path: string): Promise<StoredArray>;
  /** Error `DATA_CORRUPT` about the object at `path`. */
  corrupt(path: string, what: string): DdscError;
}

/** Rows this near to each other are read together, and so many at once. */
const GAP = 64;
const ROWS_AT_ONCE = 1 << 14;

/** Length of an array that must have one dimension. Throws `DATA_CORRUPT` if it has others. */
export function lengthOf(file: Hierarchy, { path, shape }: StoredArray): number {
  const [length, ...others] = shape;
  if (length !== undefined && others.length === 0) return length;
  throw file.corrupt(path, `has ${shape.length} dimensions instead of one`);
}

/** Numbers of an array of one dimension in the order of `rows`; all of them if undefined. */
export async function numbersAt(array: StoredArray, rows: Int32Array | undefined): Promise<NumberArray> {
  if (rows === undefined) return array.numbers(0, array.shape[0] ?? 0);
  let values: NumberArray | undefined;
  await eachRun(rows, async ({ first, end }, places) => {
    const found = await array.numbers(first, end);
    values ??= sameType(found, rows.length);
    for (const place of places) values[place] = found[(rows[place] ?? 0) - first] ?? 0;
  });
  return values ?? array.numbers(0, 0);
}

/** Texts of an array of one dimension in the order of `rows`; all of them if undefined. */
export async function stringsAt(array: StoredArray, rows: Int32Array | undefined): Promise<string[]> {
  if (rows === undefined) return array.strings(0, array.shape[0] ?? 0);
  const texts = new Array<string>(rows.length);
  await eachRun(rows, async ({ first, end }, places) => {
    const found = await array.strings(first, end);
    for (const place of places) texts[place] = found[(rows[place] ?? 0) - first] ?? "";
  });
  return texts;
}

/** Runs of neighbours among `rows`, ascending, each with the places of its rows. */
async function eachRun(
  rows: Int32Array,
  read: (run: RowSpan, places: Uint32Array) => Promise<void>,
): Promise<void> {
  const positions = positionsByRow(rows);
  let next = 0;
  for (const run of rowRuns(rows, GAP, ROWS_AT_ONCE)) {
    const first = next;
    while (next < positions.length && (rows[positions[next] ?? 0] ?? 0) < run.end) next++;
    await read(run, positions.subarray(first, next));
  }
}
