/**
 * The typed door to the addon's functions for data files. They check what they are given: damaged data ends in
 * `DATA_CORRUPT`, `DATA_FORMAT`, `DATA_TYPE`, `DATA_SHAPE` or `DATA_TOO_LARGE`, with messages that name no file.
 */
import { callAddon } from "./addon.js";

/** Numbers of one page in `NativeColumn.pages`. */
export const PAGE_FIELDS = 5;

/**
 * Pages of one column of a Parquet row group, decompressed. Native code reads them where they are: they must not change until
 * the Promise has been kept.
 */
export interface NativeColumn {
  /** Of each page its bytes, levels in front. */
  readonly bodies: readonly Uint8Array[];
  /**
   * Of each page, `PAGE_FIELDS` numbers: kind (0 dictionary, 1 data, 2 data of version 2), encoding, values, bytes of
   * definition and of repetition levels (version 2).
   */
  readonly pages: Float64Array;
  /** Parquet's number of the physical type. */
  readonly physical: number;
  readonly maxDefinition: number;
  /** 1 for lists, else 0. */
  readonly maxRepetition: number;
  /** Lists: the definition level from which an entry exists. */
  readonly entryDefinition: number;
}

/** Rows wanted, counted from the first row that starts in the pages given. */
export interface NativeRows {
  readonly first: number;
  readonly count: number;
  /** The first page may begin within a row, whose rest is passed over. */
  readonly startsInside: boolean;
}

/** Cells from two columns of lists. */
export interface NativeCells {
  /** Bounds of each cell, [cells + 1]. */
  readonly offsets: Int32Array;
  readonly columns: Int32Array;
  readonly counts: Float32Array;
  /** Genes ascend strictly within cells, counts are finite and above 0. */
  readonly clean: boolean;
  /** A count that is no whole number was found. */
  readonly fractions: boolean;
  /** First row with a token that names no gene, -1 if there is none: then the rest is not filled in. */
  readonly unknownRow: number;
  readonly unknownToken: number;
}

/** Text as codes into its distinct values. */
export interface NativeText {
  /** [rows]; -1 where missing. */
  readonly codes: Int32Array;
  /** Bounds of each distinct value in `bytes`. */
  readonly offsets: Int32Array;
  /** UTF-8. */
  readonly bytes: Uint8Array;
}

/** Types that numbers are decoded to. Missing ones are NaN, or -2^31. */
export interface NativeNumberTypes {
  int32: Int32Array;
  float32: Float32Array;
  float64: Float64Array;
}

/** The addon's functions, as they are exported. */
interface DataAddon {
  decodeNumbers(
    column: NativeColumn,
    rows: NativeRows,
    type: keyof NativeNumberTypes,
  ): Promise<{ values: NativeNumberTypes[keyof NativeNumberTypes]; offsets: Int32Array }>;
  decodeText(column: NativeColumn, rows: NativeRows): Promise<NativeText>;
  rowsByPage(column: NativeColumn): Promise<Int32Array>;
  readCells(
    tokens: NativeColumn,
    tokenRows: NativeRows,
    expressions: NativeColumn,
    expressionRows: NativeRows,
    columnOf: Int32Array,
  ): Promise<NativeCells>;
  joinCells(
    tokens: Int32Array,
    tokenOffsets: Int32Array,
    expressions: Float32Array,
    expressionOffsets: Int32Array,
    columnOf: Int32Array,
  ): NativeCells;
  zstdDecompress(bytes: Uint8Array, most: number): Promise<Uint8Array>;
  mapFile(descriptor: number, bytes: number): ArrayBuffer;
}

/** Decodes a flat column, or a column of lists: then `offsets` are the bounds of each row, else empty. Off the event loop. */
export async function decodeNumbers<T extends keyof NativeNumberTypes>(
  column: NativeColumn,
  rows: NativeRows,
  type: T,
): Promise<{ values: NativeNumberTypes[T]; offsets: Int32Array }> {
  const decoded = await callAddon((addon: DataAddon) => addon.decodeNumbers(column, rows, type));
  return decoded as { values: NativeNumberTypes[T]; offsets: Int32Array };
}

/** Decodes a flat column of text. Off the event loop. */
export async function decodeText(column: NativeColumn, rows: NativeRows): Promise<NativeText> {
  return callAddon((addon: DataAddon) => addon.decodeText(column, rows));
}

/** How many rows start in each page (none in a dictionary), [pages]. Off the event loop. */
export async function rowsByPage(column: NativeColumn): Promise<Int32Array> {
  return callAddon((addon: DataAddon) => addon.rowsByPage(column));
}

/** Decodes two columns of lists and joins them: see `joinCells`. Off the event loop. */
export async function readCells(
  tokens: NativeColumn,
  tokenRows: NativeRows,
  expressions: NativeColumn,
  expressionRows: NativeRows,
  columnOf: Int32Array,
): Promise<NativeCells> {
  return callAddon((addon: DataAddon) =>
    addon.readCells(tokens, tokenRows, expressions, expressionRows, columnOf),
  );
}

/**
 * Cells of gene tokens and expressions: the marker that opens a cell (a token below 3 with an expression below 0) is
 * dropped, tokens are looked up in `columnOf` (-1: no gene).
 */
export function joinCells(
  tokens: { readonly values: Int32Array; readonly offsets: Int32Array },
  expressions: { readonly values: Float32Array; readonly offsets: Int32Array },
  columnOf: Int32Array,
): NativeCells {
  return callAddon((addon: DataAddon) =>
    addon.joinCells(tokens.values, tokens.offsets, expressions.values, expressions.offsets, columnOf),
  );
}

/** Decompresses Zstandard frames of at most `most` bytes together. Off the event loop; `bytes` must not change meanwhile. */
export async function zstdDecompress(bytes: Uint8Array, most: number): Promise<Uint8Array> {
  return callAddon((addon: DataAddon) => addon.zstdDecompress(bytes, most));
}

/**
 * The first bytes of an open file as memory, which the processes that map it share as long as they do not write to it; what is written is
 * seen by this mapping alone. At least one. The file must not become shorter; it may be closed and removed. Throws `DATA_UNREADABLE`.
 *
 * @param descriptor number of the open file in this process
 */
export function mapFile(descriptor: number, bytes: number): ArrayBuffer {
  return callAddon((addon: DataAddon) => addon.mapFile(descriptor, bytes));
}
