import { DdscError } from "../../base/errors.js";
import type { DatasetInfo, Hdf5File } from "../hdf5/file.js";
import { numbersAt, stringsAt } from "../hdf5/rows.js";
import { toFloat64 } from "../hdf5/types.js";
import type { MetadataColumn } from "../sources/cells.js";
import type { CellTable } from "../sources/file_source.js";
import { type CategoricalColumn, type Column, columnText, type Frame } from "../sources/frame.js";

type PlainColumn = Exclude<Column, CategoricalColumn>;

/** How a column is stored. */
type StoredColumn = PlainStored | CategoriesStored;

/** Datasets of one dimension that hold text, numbers or booleans. */
interface PlainStored {
  readonly kind: "plain";
  readonly values: DatasetInfo;
  /** Other than 0 where there is no value. */
  readonly mask: DatasetInfo | undefined;
}

interface CategoriesStored {
  readonly kind: "categories";
  readonly codes: DatasetInfo;
  readonly categories: PlainStored;
  readonly ordered: boolean;
}

/** Members of a dataframe group that are no columns. */
const NOT_COLUMNS = new Set(["__categories"]);

/**
 * A dataframe group of AnnData (obs, var, raw/var): AnnData 0.7 (categories in `__categories`), 0.8 and later (a column is
 * a dataset or a group with its own encoding), with or without encoding attributes. Columns are read when asked for, the rows
 * asked for and no others; nothing is kept but the categories of columns that were read.
 */
export class H5adFrame implements CellTable {
  readonly indexName: string;
  readonly columns: readonly MetadataColumn[];
  readonly #file: Hdf5File;
  readonly #path: string;
  readonly #index: StoredColumn;
  readonly #stored = new Map<string, StoredColumn>();
  readonly #categories = new Map<CategoriesStored, PlainColumn>();

  /**
   * Looks at the group at `path`, whose columns must have `rows` values. Columns of an unknown encoding are left out and named
   * in `notes`. Throws `DATA_CORRUPT`, `DATA_SHAPE` where a length differs, `DATA_FORMAT` for tables written before AnnData 0.7.
   */
  constructor(file: Hdf5File, path: string, rows: number, notes: string[]) {
    this.#file = file;
    this.#path = path;
    checkIsGroup(file, path);
    const members = file.keys(path);
    this.indexName =
      file.textAttribute(path, "_index") ??
      ["_index", "index"].find((name) => members.includes(name)) ??
      "_index";
    const index = storedColumn(file, path, this.indexName);
    if (index === undefined) throw file.corrupt(`${path}/${this.indexName}`, "the index cannot be read");
    checkLength(file, index, rows);
    this.#index = index;
    const listed = file.listAttribute(path, "column-order");
    const names = listed ?? members.filter((name) => name !== this.indexName && !NOT_COLUMNS.has(name));
    for (const name of names) {
      const column = storedColumn(file, path, name);
      if (column === undefined) {
        notes.push(`${path}/${name}: a column of a kind that is not supported was left out`);
        continue;
      }
      checkLength(file, column, rows);
      this.#stored.set(name, column);
    }
    this.columns = Array.from(this.#stored, ([name, column]) => ({ name, kind: columnKind(column) }));
  }

  ids(rows: Int32Array): string[] {
    return this.#names(rows);
  }

  read(columns: readonly string[], rows: Int32Array | undefined): Map<string, Column> {
    const read = new Map<string, Column>();
    for (const name of columns) {
      const stored = this.#stored.get(name);
      if (stored !== undefined) read.set(name, this.#read(name, stored, rows));
    }
    return read;
  }

  /** The whole table. */
  all(): Frame {
    const columns = this.read([...this.#stored.keys()], undefined);
    return { index: this.#names(undefined), indexName: this.indexName, columns };
  }

  #names(rows: Int32Array | undefined): string[] {
    const column = this.#read(this.indexName, this.#index, rows);
    if (column.kind === "strings" && column.missing === undefined) return [...column.values];
    const length = column.kind === "categories" ? column.codes.length : column.values.length;
    return Array.from({ length }, (_, i) => columnText(column, i) ?? "");
  }

  #read(name: string, stored: StoredColumn, rows: Int32Array | undefined): Column {
    if (stored.kind === "plain") return readPlain(this.#file, stored, rows);
    let categories = this.#categories.get(stored);
    if (categories === undefined) {
      categories = readPlain(this.#file, stored.categories, undefined);
      this.#categories.set(stored, categories);
    }
    const count = categories.values.length;
    const codes = Int32Array.from(toFloat64(numbersAt(this.#file, stored.codes, rows)), (code, i) => {
      if (Number.isInteger(code) && code >= -1 && code < count) return code;
      throw this.#file.corrupt(
        `${this.#path}/${name}`,
        `row ${rows?.[i] ?? i} has code ${code} but there are ${count} categories`,
      );
    });
    return { kind: "categories", codes, categories, ordered: stored.ordered };
  }
}

function checkIsGroup(file: Hdf5File, path: string): void {
  const kind = file.kind(path);
  if (kind === "group") return;
  const what =
    kind === "dataset"
      ? `${path} is a compound table, as AnnData wrote before 0.7; read and write the file once with a current AnnData`
      : `has no ${path}; is this an AnnData file?`;
  throw new DdscError("DATA_FORMAT", `${file.path}: ${what}`, { file: file.path });
}

function checkLength(file: Hdf5File, stored: StoredColumn, rows: number): void {
  const { path, shape } = stored.kind === "plain" ? stored.values : stored.codes;
  if (shape[0] === rows) return;
  throw new DdscError(
    "DATA_SHAPE",
    `${file.path}: ${path} has ${shape[0]} values but the matrix has ${rows}; write the file again`,
    { file: file.path },
  );
}

/** How a column is stored; undefined if in an unknown way. */
function storedColumn(file: Hdf5File, parent: string, name: string): StoredColumn | undefined {
  const path = `${parent}/${name}`;
  const kind = file.kind(path);
  if (kind === "missing") throw file.corrupt(path, "is listed but missing");
  if (kind === "group") return groupColumn(file, path);
  const values = kind === "dataset" ? vector(file, path) : undefined;
  if (values === undefined) return undefined;
  const isNumbers = values.kind === "integer" || values.kind === "float";
  const referenced = isNumbers ? file.attribute(path, "categories") : undefined;
  if (referenced === undefined) return { kind: "plain", values, mask: undefined };
  // AnnData 0.7: the attribute names where the categories are.
  const beside = `${parent}/__categories/${name}`;
  const place = typeof referenced === "string" && referenced.startsWith("/") ? referenced : beside;
  return categorical(file, values, labels(file, place), file.attribute(place, "ordered"));
}

/** A column that is a group: categorical, nullable numbers, booleans or strings, told by its members. */
function groupColumn(file: Hdf5File, path: string): StoredColumn | undefined {
  const members = file.keys(path);
  if (members.includes("codes") && members.includes("categories")) {
    const codes = vector(file, `${path}/codes`);
    return categorical(file, codes, labels(file, `${path}/categories`), file.attribute(path, "ordered"));
  }
  return members.includes("values") ? nullable(file, path, members) : undefined;
}

function categorical(
  file: Hdf5File,
  codes: DatasetInfo | undefined,
  categories: PlainStored | undefined,
  ordered: unknown,
): CategoriesStored | undefined {
  if (codes === undefined || categories === undefined) return undefined;
  if (codes.kind === "string" || codes.kind === "boolean") {
    throw file.corrupt(codes.path, "holds no numbers of categories");
  }
  return { kind: "categories", codes, categories, ordered: ordered === true || ordered === 1 };
}

/** Categories: an array or, in newer files, a nullable array. */
function labels(file: Hdf5File, path: string): PlainStored | undefined {
  if (file.kind(path) === "group") return nullable(file, path, file.keys(path));
  const values = vector(file, path);
  return values && { kind: "plain", values, mask: undefined };
}

function nullable(file: Hdf5File, path: string, members: readonly string[]): PlainStored | undefined {
  const values = vector(file, `${path}/values`);
  if (values === undefined || !members.includes("mask"))
    return values && { kind: "plain", values, mask: undefined };
  const mask = file.vectorInfo(`${path}/mask`);
  if (mask.shape[0] !== values.shape[0]) throw file.corrupt(path, "values and mask differ in length");
  return { kind: "plain", values, mask };
}

/** A dataset of one dimension that can be read; undefined for others. */
function vector(file: Hdf5File, path: string): DatasetInfo | undefined {
  const info = file.info(path);
  return info.shape.length === 1 && info.kind !== "other" ? info : undefined;
}

function readPlain(file: Hdf5File, { values, mask }: PlainStored, rows: Int32Array | undefined): PlainColumn {
  const masked = mask === undefined ? undefined : toFloat64(numbersAt(file, mask, rows));
  const missing =
    masked === undefined ? {} : { missing: Uint8Array.from(masked, (value) => (value === 0 ? 0 : 1)) };
  if (values.kind === "string")
    return { kind: "strings", values: stringsAt(file, values.path, rows), ...missing };
  const numbers = numbersAt(file, values, rows);
  if (values.kind !== "boolean") return { kind: "numbers", values: numbers, ...missing };
  return { kind: "booleans", values: Uint8Array.from(toFloat64(numbers)), ...missing };
}

function columnKind(column: StoredColumn): MetadataColumn["kind"] {
  if (column.kind === "categories" || column.values.kind === "string") return "text";
  return column.values.kind === "boolean" ? "boolean" : "number";
}
