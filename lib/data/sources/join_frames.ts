import { type CategoricalColumn, type Column, columnLength, columnText, type Frame } from "./frame.js";
import { type NumberArray, sameType, toFloat64 } from "./number_array.js";

/**
 * Tables one below the other, which have the same columns. Categories that differ are united, in the order in which they come;
 * numbers of different types become float64.
 */
export function joinFrames(frames: readonly Frame[]): Frame {
  const [first] = frames;
  if (first === undefined) return { index: [], indexName: "_index", columns: new Map() };
  const columns = new Map<string, Column>();
  for (const name of first.columns.keys()) {
    columns.set(name, joinColumns(frames.flatMap(({ columns }) => columns.get(name) ?? [])));
  }
  return { index: frames.flatMap(({ index }) => index), indexName: first.indexName, columns };
}

function joinColumns(columns: readonly Column[]): Column {
  if (columns.every((column) => column.kind === "categories")) return joinCategories(columns);
  const missing = columns.some(isIncomplete) ? { missing: joinMissing(columns) } : {};
  if (columns.every((column) => column.kind === "numbers"))
    return { kind: "numbers", values: joinNumbers(columns.map(({ values }) => values)), ...missing };
  if (columns.every((column) => column.kind === "booleans"))
    return {
      kind: "booleans",
      values: Uint8Array.from(columns.flatMap(({ values }) => [...values])),
      ...missing,
    };
  const texts = columns.flatMap((column) =>
    Array.from({ length: columnLength(column) }, (_, row) => columnText(column, row) ?? ""),
  );
  return { kind: "strings", values: texts, ...missing };
}

function isIncomplete(column: Column): boolean {
  return column.kind === "categories" ? column.codes.includes(-1) : column.missing !== undefined;
}

function joinMissing(columns: readonly Column[]): Uint8Array {
  const missing = new Uint8Array(columns.reduce((sum, column) => sum + columnLength(column), 0));
  let at = 0;
  for (const column of columns) {
    const length = columnLength(column);
    for (let row = 0; row < length; row++) missing[at + row] = columnText(column, row) === undefined ? 1 : 0;
    at += length;
  }
  return missing;
}

function joinNumbers(arrays: readonly NumberArray[]): NumberArray {
  const isOfOneType = new Set(arrays.map((values) => values.constructor)).size <= 1;
  const parts = isOfOneType ? arrays : arrays.map(toFloat64);
  const length = parts.reduce((sum, values) => sum + values.length, 0);
  const joined = sameType(parts[0] ?? new Float64Array(0), length);
  let at = 0;
  for (const values of parts) {
    // Checked: they are of one type.
    (joined as Float64Array).set(values as Float64Array, at);
    at += values.length;
  }
  return joined;
}

function joinCategories(columns: readonly CategoricalColumn[]): Column {
  const labels = (column: CategoricalColumn) =>
    Array.from(
      { length: columnLength(column.categories) },
      (_, code) => columnText(column.categories, code) ?? "",
    );
  const [first] = columns;
  const own = columns.map(labels);
  const united = [...new Set(own.flat())];
  const isSame = own.every(
    (list) => list.length === united.length && list.every((label, code) => label === united[code]),
  );
  const codeOf = new Map(united.map((label, code) => [label, code]));
  const codes = columns.flatMap((column, i) => {
    const to = Int32Array.from(own[i] ?? [], (label) => codeOf.get(label) ?? -1);
    return Array.from(column.codes, (code) => to[code] ?? -1);
  });
  return {
    kind: "categories",
    codes: Int32Array.from(codes),
    // Of categories that are numbers or booleans the type is kept where they are the same.
    categories: isSame && first !== undefined ? first.categories : { kind: "strings", values: united },
    // An order that holds for some of the categories alone is none.
    ordered: isSame && columns.every(({ ordered }) => ordered),
  };
}
