/** Columns of several tables, one below the other, made alike. */
import {
  type CategoricalColumn,
  type Column,
  columnLength,
  columnText,
  type Frame,
  type FrameRows,
} from "./frame.js";
import { type NumberArray, sameType, toFloat64 } from "./number_array.js";

/**
 * What a column is of which some rows are as `column` says and others as `other`, each without rows. Categories that differ are united, in
 * the order in which they come; numbers of different types become float64, and different kinds text.
 */
export function joinColumn(column: Column, other: Column): Column {
  if (column.kind === "categories" && other.kind === "categories") return joinCategories(column, other);
  const missing = [column, other].some((own) => own.kind === "categories" || own.missing !== undefined)
    ? { missing: new Uint8Array(0) }
    : {};
  if (column.kind === "numbers" && other.kind === "numbers") {
    const isSame = column.values.constructor === other.values.constructor;
    return { kind: "numbers", values: isSame ? column.values : new Float64Array(0), ...missing };
  }
  if (column.kind === "booleans" && other.kind === "booleans") return { ...column, ...missing };
  return { kind: "strings", values: [], ...missing };
}

function joinCategories(column: CategoricalColumn, other: CategoricalColumn): Column {
  const own = labelsOf(column);
  const others = labelsOf(other);
  // Of categories that are numbers or booleans the type is kept where they are the same.
  if (own.length === others.length && own.every((label, code) => label === others[code]))
    return { ...column, ordered: column.ordered && other.ordered };
  const values = [...new Set([...own, ...others])];
  // An order that holds for some of the categories alone is none.
  return { ...column, categories: { kind: "strings", values }, ordered: false };
}

function labelsOf({ categories }: CategoricalColumn): string[] {
  return Array.from({ length: columnLength(categories) }, (_, code) => columnText(categories, code) ?? "");
}

/** Makes rows of tables have columns as `columns` says, which are those of all these tables together. */
export function fitting(columns: Frame["columns"]): (rows: FrameRows) => FrameRows {
  const fits = new Map(Array.from(columns, ([name, column]) => [name, fittingColumn(column)]));
  return ({ index, columns: own }) => ({
    index,
    columns: new Map(Array.from(own, ([name, column]) => [name, fits.get(name)?.(column) ?? column])),
  });
}

function fittingColumn(whole: Column): (column: Column) => Column {
  if (whole.kind === "categories") return fittingCategories(whole);
  return (column) => {
    const { missing: own, ...complete } = column.kind === whole.kind ? column : textColumn(column);
    const missing = whole.missing === undefined || own === undefined ? {} : { missing: own };
    if (whole.kind !== "numbers" || complete.kind !== "numbers") return { ...complete, ...missing };
    const isFloat64 = whole.values instanceof Float64Array;
    return { ...complete, values: isFloat64 ? toFloat64(complete.values) : complete.values, ...missing };
  };
}

function textColumn(column: Column): Exclude<Column, CategoricalColumn> {
  const texts = Array.from({ length: columnLength(column) }, (_, row) => columnText(column, row));
  return {
    kind: "strings",
    values: texts.map((text) => text ?? ""),
    missing: Uint8Array.from(texts, (text) => (text === undefined ? 1 : 0)),
  };
}

function fittingCategories(whole: CategoricalColumn): (column: Column) => Column {
  const codeOf = new Map(labelsOf(whole).map((label, code) => [label, code]));
  /** Codes in the whole of those in lists of categories, by the list: rows of one table share theirs. */
  const known = new WeakMap<object, Int32Array>();
  return (column) => {
    const own = column.kind === "categories" ? column : everyText(column);
    if (own.categories === whole.categories) return own;
    const codes =
      known.get(own.categories) ?? Int32Array.from(labelsOf(own), (label) => codeOf.get(label) ?? -1);
    known.set(own.categories, codes);
    return { ...whole, codes: own.codes.map((code) => codes[code] ?? -1) };
  };
}

/** A column as codes into its values. */
export function everyText(column: Exclude<Column, CategoricalColumn>): CategoricalColumn {
  const codes = Int32Array.from({ length: columnLength(column) }, (_, row) =>
    column.missing?.[row] === 1 ? -1 : row,
  );
  return { kind: "categories", codes, categories: column, ordered: false };
}

/** Rows of a table one below the other; their columns are of the same kinds and types. */
export function stackRows(pieces: readonly FrameRows[]): FrameRows {
  const [first] = pieces;
  if (first === undefined || pieces.length === 1) return first ?? { index: [], columns: new Map() };
  const columnsOf = (name: string) => pieces.flatMap(({ columns }) => columns.get(name) ?? []);
  return {
    index: pieces.flatMap(({ index }) => index),
    columns: new Map(Array.from(first.columns, ([name, column]) => [name, stack(column, columnsOf(name))])),
  };
}

function stack(first: Column, columns: readonly Column[]): Column {
  const masks = columns.map((column) => (column.kind === "categories" ? undefined : column.missing));
  const missing = masks.some((mask) => mask !== undefined)
    ? {
        missing: endToEnd(
          masks.map((mask, i) => mask ?? new Uint8Array(columnLength(columns[i] ?? first))),
        ) as Uint8Array,
      }
    : {};
  const numbers = columns.map((column) => {
    if (column.kind === "categories") return column.codes;
    return column.kind === "strings" ? [] : column.values;
  });
  switch (first.kind) {
    case "categories":
      return { ...first, codes: endToEnd(numbers as Int32Array[]) as Int32Array };
    case "strings":
      return {
        kind: "strings",
        values: columns.flatMap((column) => (column.kind === "strings" ? column.values : [])),
        ...missing,
      };
    case "booleans":
      return { kind: "booleans", values: endToEnd(numbers as Uint8Array[]) as Uint8Array, ...missing };
    case "numbers":
      return { kind: "numbers", values: endToEnd(numbers as NumberArray[]), ...missing };
  }
}

/** Arrays of one type. */
function endToEnd(arrays: readonly NumberArray[]): NumberArray {
  const length = arrays.reduce((sum, values) => sum + values.length, 0);
  const joined = sameType(arrays[0] ?? new Float64Array(0), length);
  let at = 0;
  for (const values of arrays) {
    // Checked: they are of one type.
    (joined as Float64Array).set(values as Float64Array, at);
    at += values.length;
  }
  return joined;
}
