import { DdscError } from "../errors.js";
import type { CategoricalColumn, Column, Frame } from "./frame.js";
import type { Hdf5File } from "./hdf5_file.js";
import { type NumberArray, toFloat64 } from "./hdf5_types.js";

/** Members of an AnnData dataframe group that are no columns. */
const NOT_COLUMNS = new Set(["__categories"]);

/**
 * Reads a dataframe group (obs, var, raw/var): AnnData 0.7 (categories in `__categories`), 0.8 and later (a
 * column is a dataset or a group with its own encoding), with or without encoding attributes.
 *
 * Columns of an unknown encoding are left out and named in `notes`. `rows` is the length that the matrix asks
 * for. Throws `DATA_CORRUPT`, `DATA_SHAPE` where a column's length differs, `DATA_FORMAT` for tables written
 * before AnnData 0.7.
 */
export function readFrame(file: Hdf5File, path: string, rows: number, notes: string[]): Frame {
  const kind = file.kind(path);
  if (kind === "dataset") {
    throw new DdscError(
      "DATA_FORMAT",
      `${file.path}: ${path} is a compound table, as AnnData wrote before 0.7; read and write the file once with a current AnnData`,
      { file: file.path },
    );
  }
  if (kind !== "group") {
    throw new DdscError("DATA_FORMAT", `${file.path}: has no ${path}; is this an AnnData file?`, {
      file: file.path,
    });
  }
  const members = file.keys(path);
  const indexName =
    file.textAttribute(path, "_index") ??
    ["_index", "index"].find((name) => members.includes(name)) ??
    "_index";
  const index = readIndex(file, path, indexName);
  checkLength(file, `${path}/${indexName}`, index.length, rows);

  const listed = file.listAttribute(path, "column-order");
  const names = listed ?? members.filter((name) => name !== indexName && !NOT_COLUMNS.has(name));
  const columns = new Map<string, Column>();
  for (const name of names) {
    const place = `${path}/${name}`;
    const column = readColumn(file, path, name);
    if (column === undefined) {
      notes.push(`${place}: a column of a kind that is not supported was left out`);
      continue;
    }
    checkLength(file, place, column.kind === "categories" ? column.codes.length : column.values.length, rows);
    columns.set(name, column);
  }
  return { index, indexName, columns };
}

function readIndex(file: Hdf5File, path: string, name: string): string[] {
  const column = readColumn(file, path, name);
  if (column === undefined) throw file.corrupt(`${path}/${name}`, "the index cannot be read");
  if (column.kind === "strings") return [...column.values];
  if (column.kind === "categories") {
    const labels = Array.from({ length: column.categories.values.length }, (_, i) =>
      String(column.categories.values[i]),
    );
    return Array.from(column.codes, (code) => labels[code] ?? "");
  }
  return Array.from(column.values as ArrayLike<number | bigint>, String);
}

function checkLength(file: Hdf5File, path: string, length: number, rows: number): void {
  if (length === rows) return;
  throw new DdscError(
    "DATA_SHAPE",
    `${file.path}: ${path} has ${length} values but the matrix has ${rows}; write the file again`,
    {
      file: file.path,
    },
  );
}

function readColumn(file: Hdf5File, parent: string, name: string): Column | undefined {
  const path = `${parent}/${name}`;
  const kind = file.kind(path);
  if (kind === "missing") throw file.corrupt(path, "is listed but missing");
  if (kind === "dataset") return readPlainColumn(file, parent, name);
  return kind === "group" ? readGroupColumn(file, path) : undefined;
}

/** A column that is one dataset; in AnnData 0.7 its attribute `categories` names where its categories are. */
function readPlainColumn(file: Hdf5File, parent: string, name: string): Column | undefined {
  const path = `${parent}/${name}`;
  const values = readArray(file, path);
  if (values === undefined || values.kind !== "numbers") return values;
  const referenced = file.attribute(path, "categories");
  if (referenced === undefined) return values;
  const beside = `${parent}/__categories/${name}`;
  const place = typeof referenced === "string" && referenced.startsWith("/") ? referenced : beside;
  const categories = readArray(file, place);
  if (categories === undefined) return undefined;
  return categorical(file, path, values.values, categories, file.attribute(place, "ordered"));
}

/** A column that is a group: categorical, nullable numbers, booleans or strings, told by encoding or members. */
function readGroupColumn(file: Hdf5File, path: string): Column | undefined {
  const members = file.keys(path);
  if (members.includes("codes") && members.includes("categories")) {
    const codes = readArray(file, `${path}/codes`);
    const categories = readLabels(file, `${path}/categories`);
    if (codes?.kind !== "numbers" || categories === undefined) return undefined;
    return categorical(file, path, codes.values, categories, file.attribute(path, "ordered"));
  }
  return members.includes("values") ? readNullable(file, path, members) : undefined;
}

function readNullable(
  file: Hdf5File,
  path: string,
  members: readonly string[],
): Exclude<Column, CategoricalColumn> | undefined {
  const values = readArray(file, `${path}/values`);
  if (values === undefined || !members.includes("mask")) return values;
  const mask = file.allNumbers(`${path}/mask`);
  if (mask.length !== values.values.length) throw file.corrupt(path, "values and mask differ in length");
  return { ...values, missing: Uint8Array.from(toFloat64(mask), (masked) => (masked === 0 ? 0 : 1)) };
}

/** Categories: an array or, in newer files, a nullable array. */
function readLabels(file: Hdf5File, path: string): Exclude<Column, CategoricalColumn> | undefined {
  return file.kind(path) === "group" ? readNullable(file, path, file.keys(path)) : readArray(file, path);
}

function readArray(file: Hdf5File, path: string): Exclude<Column, CategoricalColumn> | undefined {
  const info = file.info(path);
  if (info.shape.length !== 1) return undefined;
  switch (info.kind) {
    case "string":
      return { kind: "strings", values: file.allStrings(path) };
    case "boolean":
      return { kind: "booleans", values: Uint8Array.from(toFloat64(file.allNumbers(path))) };
    case "integer":
    case "float":
      return { kind: "numbers", values: file.allNumbers(path) };
    default:
      return undefined;
  }
}

function categorical(
  file: Hdf5File,
  path: string,
  codes: NumberArray,
  categories: Exclude<Column, CategoricalColumn>,
  ordered: unknown,
): CategoricalColumn {
  const count = categories.values.length;
  const checked = Int32Array.from(toFloat64(codes), (code, row) => {
    if (Number.isInteger(code) && code >= -1 && code < count) return code;
    throw file.corrupt(path, `row ${row} has code ${code} but there are ${count} categories`);
  });
  return { kind: "categories", codes: checked, categories, ordered: ordered === true || ordered === 1 };
}
