import { DdscError } from "../../base/errors.js";
import type { MetadataColumn, MetadataOptions } from "./cells.js";
import { type NumberArray, sameType } from "./number_array.js";

/** A column of cell or gene metadata, as typed in its file. `missing` is 1 where there is no value. */
export type Column =
  | { readonly kind: "numbers"; readonly values: NumberArray; readonly missing?: Uint8Array }
  | { readonly kind: "booleans"; readonly values: Uint8Array; readonly missing?: Uint8Array }
  | { readonly kind: "strings"; readonly values: readonly string[]; readonly missing?: Uint8Array }
  | CategoricalColumn;

/** Codes into a list of categories; a code of -1 is a missing value. */
export interface CategoricalColumn {
  readonly kind: "categories";
  readonly codes: Int32Array;
  readonly categories: Exclude<Column, CategoricalColumn>;
  readonly ordered: boolean;
}

/** A table of metadata: an index of names and columns of the same length. */
export interface Frame {
  /** Row names, as in the file (duplicates included). */
  readonly index: readonly string[];
  /** Name of the index column; "_index" if it has none. */
  readonly indexName: string;
  readonly columns: ReadonlyMap<string, Column>;
}

/** Some rows of a table. */
export type FrameRows = Pick<Frame, "index" | "columns">;

/** Text as codes into its sorted distinct values; -1 where `missing` is 1. */
export function textCategories(values: readonly string[], missing?: Uint8Array): CategoricalColumn {
  const places = new Map<string, number>();
  const codes = new Int32Array(values.length).fill(-1);
  for (let row = 0; row < values.length; row++) {
    if (missing?.[row] === 1) continue;
    const value = values[row] ?? "";
    const place = places.get(value) ?? places.size;
    if (place === places.size) places.set(value, place);
    codes[row] = place;
  }
  const labels = [...places.keys()].sort();
  const sorted = new Int32Array(labels.length);
  for (const [code, label] of labels.entries()) sorted[places.get(label) ?? 0] = code;
  for (let row = 0; row < codes.length; row++) codes[row] = sorted[codes[row] ?? -1] ?? -1;
  return { kind: "categories", codes, categories: { kind: "strings", values: labels }, ordered: false };
}

/** Number of values of a column. */
export function columnLength(column: Column): number {
  return column.kind === "categories" ? column.codes.length : column.values.length;
}

/** One value of a column as text; undefined where it is missing. */
export function columnText(column: Column, row: number): string | undefined {
  if (column.kind === "categories") {
    const code = column.codes[row] ?? -1;
    return code < 0 ? undefined : columnText(column.categories, code);
  }
  if (column.missing?.[row] === 1) return undefined;
  const value = column.values[row];
  if (value === undefined) return undefined;
  return column.kind === "booleans" ? String(value === 1) : String(value);
}

/** The rows `rows` of a column, in that order. */
export function takeRows(column: Column, rows: Int32Array): Column {
  if (column.kind === "categories") return { ...column, codes: rows.map((row) => column.codes[row] ?? -1) };
  const missing =
    column.missing === undefined
      ? {}
      : { missing: Uint8Array.from(rows, (row) => column.missing?.[row] ?? 0) };
  switch (column.kind) {
    case "strings":
      return { kind: "strings", values: Array.from(rows, (row) => column.values[row] ?? ""), ...missing };
    case "booleans":
      return {
        kind: "booleans",
        values: Uint8Array.from(rows, (row) => column.values[row] ?? 0),
        ...missing,
      };
    case "numbers":
      return { kind: "numbers", values: takeNumbers(column.values, rows), ...missing };
  }
}

function takeNumbers(values: NumberArray, rows: Int32Array): NumberArray {
  const result = sameType(values, rows.length);
  for (const [i, row] of rows.entries()) result[i] = values[row] ?? 0;
  return result;
}

/** What the columns of a frame hold, as `CellSource.metadataColumns` tells it. */
export function frameColumns(frame: Frame): MetadataColumn[] {
  return Array.from(frame.columns, ([name, column]) => ({ name, kind: columnKind(column) }));
}

function columnKind(column: Column): MetadataColumn["kind"] {
  if (column.kind === "numbers") return "number";
  return column.kind === "booleans" ? "boolean" : "text";
}

/**
 * Some columns and rows of a frame, for `CellSource.metadata`. Throws `DATA_MISSING_COLUMN`; `name` is the source's.
 * Row numbers have been checked.
 */
export function selectFrame(frame: Frame, options: MetadataOptions, name: string): Frame {
  const { rows } = options;
  const wanted = options.columns ?? [...frame.columns.keys()];
  const columns = new Map(
    wanted.map((column) => {
      const whole = frame.columns.get(column);
      if (whole === undefined) throw missingColumn(name, column, [...frame.columns.keys()]);
      return [column, rows === undefined ? whole : takeRows(whole, rows)];
    }),
  );
  const index = rows === undefined ? frame.index : Array.from(rows, (row) => frame.index[row] ?? "");
  return { index, indexName: frame.indexName, columns };
}

/** The error for a metadata column that a source does not have. */
export function missingColumn(name: string, column: string, known: readonly string[]): DdscError {
  const have = known.length === 0 ? "it has none" : `it has ${known.join(", ")}`;
  return new DdscError("DATA_MISSING_COLUMN", `${name}: there is no metadata column "${column}"; ${have}`, {
    file: name,
    argument: "columns",
  });
}

/** A column of these values; null and undefined are missing. */
export function columnOf(kind: MetadataColumn["kind"], values: readonly unknown[]): Column {
  // Loops: of all cells, `from` with a function takes several times as long.
  const masked = new Uint8Array(values.length);
  for (let row = 0; row < values.length; row++)
    if (values[row] === null || values[row] === undefined) masked[row] = 1;
  const missing = masked.includes(1) ? { missing: masked } : {};
  switch (kind) {
    case "number": {
      const numbers = new Float64Array(values.length);
      for (let row = 0; row < values.length; row++) numbers[row] = Number(values[row] ?? 0);
      return { kind: "numbers", values: numbers, ...missing };
    }
    case "boolean":
      return {
        kind: "booleans",
        values: Uint8Array.from(values, (value) => (value === true ? 1 : 0)),
        ...missing,
      };
    case "text":
      return textCategories(
        values.map((value) => String(value ?? "")),
        missing.missing,
      );
  }
}
