import {
  type Attributes,
  type ElementArray,
  type ElementType,
  type HierarchyWriter,
  numberType,
} from "../hierarchy_writer.js";
import { type Column, columnLength, type Frame, textCategories } from "../sources/frame.js";
import { ARRAY, STRINGS } from "./encodings.js";

/** Attributes of a group that is a table. */
export function frameAttributes({
  indexName,
  columns,
}: {
  readonly indexName: string;
  readonly columns: ReadonlyMap<string, unknown>;
}) {
  return {
    "encoding-type": "dataframe",
    "encoding-version": "0.2.0",
    _index: columns.has(indexName) ? "_index" : indexName,
    "column-order": [...columns.keys()],
  };
}

/** How a column is stored. */
export interface ColumnLayout {
  /** Attributes of the group that it is; undefined where it is an array. */
  readonly group?: Attributes;
  readonly arrays: readonly ColumnArray[];
  /** Its categories, which stand after the arrays at this path. */
  readonly categories?: { readonly path: string; readonly column: Column };
}

/** An array with an element a row. */
export interface ColumnArray {
  readonly path: string;
  readonly type: ElementType;
  readonly attributes: Attributes;
  /** Its elements for rows of such a column. */
  of(rows: Column): ElementArray;
}

/** How columns of the kind and type of `column` are stored at `path`; missing text is not, see `withoutMissingText`. */
export function layoutOf(path: string, column: Column): ColumnLayout {
  const values = (rows: Column) => (rows.kind === "categories" ? rows.codes : rows.values);
  if (column.kind === "categories") {
    const codes = codesType(columnLength(column.categories));
    const narrow = { int8: Int8Array, int16: Int16Array, int32: Int32Array }[codes];
    const of = (rows: Column) => narrow.from(values(rows) as Int32Array);
    const encoding = { "encoding-type": "categorical", "encoding-version": "0.2.0" };
    return {
      group: { ...encoding, ordered: column.ordered },
      arrays: [{ path: `${path}/codes`, type: codes, attributes: ARRAY, of }],
      categories: { path: `${path}/categories`, column: column.categories },
    };
  }
  if (column.kind === "strings")
    return { arrays: [{ path, type: "string", attributes: STRINGS, of: values }] };
  const type = column.kind === "booleans" ? "boolean" : numberType(column.values);
  if (column.missing === undefined) return { arrays: [{ path, type, attributes: ARRAY, of: values }] };
  const encoding = column.kind === "booleans" ? "nullable-boolean" : "nullable-integer";
  const mask = (rows: Column) =>
    (rows.kind === "categories" ? undefined : rows.missing) ?? new Uint8Array(columnLength(rows));
  return {
    group: { "encoding-type": encoding, "encoding-version": "0.1.0" },
    arrays: [
      { path: `${path}/values`, type, attributes: ARRAY, of: values },
      { path: `${path}/mask`, type: "boolean", attributes: ARRAY, of: mask },
    ],
  };
}

/** pandas' choice: the narrowest signed type that holds every code. */
function codesType(categories: number): "int8" | "int16" | "int32" {
  if (categories <= 0x7f) return "int8";
  return categories <= 0x7fff ? "int16" : "int32";
}

/** Writes a table of AnnData (obs, var) as the group `path`, each column as it is typed. */
export async function writeFrame(writer: HierarchyWriter, path: string, frame: Frame): Promise<void> {
  const attributes = frameAttributes(frame);
  await writer.group(path, attributes);
  await writer.dataset(`${path}/${attributes._index}`, "string", [frame.index.length], frame.index, STRINGS);
  for (const [name, column] of frame.columns) await writeColumn(writer, `${path}/${name}`, column);
}

/** Writes a whole column. */
export async function writeColumn(writer: HierarchyWriter, path: string, column: Column): Promise<void> {
  // AnnData before 0.11 knows missing text only in categories.
  const isText = column.kind === "strings" && column.missing?.includes(1) === true;
  const whole = isText ? textCategories(column.values, column.missing) : column;
  const { group, arrays, categories } = layoutOf(path, whole);
  if (group !== undefined) await writer.group(path, group);
  for (const { path: array, type, attributes, of } of arrays)
    await writer.dataset(array, type, [columnLength(whole)], of(whole), attributes);
  if (categories !== undefined) await writeColumn(writer, categories.path, categories.column);
}
