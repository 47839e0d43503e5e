import { DdscError } from "../../base/errors.js";
import { type Hierarchy, lengthOf, numbersAt, type StoredArray, stringsAt } from "../hierarchy.js";
import type { MetadataColumn } from "../sources/cells.js";
import type { CellTable } from "../sources/file_source.js";
import { type CategoricalColumn, type Column, columnText, type Frame } from "../sources/frame.js";
import { toFloat64 } from "../sources/number_array.js";
import { rowRange } from "../sources/parts.js";

type PlainColumn = Exclude<Column, CategoricalColumn>;

/** How a column is stored. */
type StoredColumn = PlainStored | CategoriesStored;

/** Arrays of one dimension that hold text, numbers or booleans. */
interface PlainStored {
  readonly kind: "plain";
  readonly values: StoredArray;
  /** Other than 0 where there is no value. */
  readonly mask: StoredArray | undefined;
}

interface CategoriesStored {
  readonly kind: "categories";
  readonly codes: StoredArray;
  readonly categories: PlainStored;
  readonly ordered: boolean;
}

/** Members of a dataframe group that are no columns. */
const NOT_COLUMNS = new Set(["__categories"]);

/**
 * A dataframe group of AnnData (obs, var, raw/var): AnnData 0.7 (categories in `__categories`), 0.8 and later (a column is an
 * array or a group with its own encoding), with or without encoding attributes. Columns are read when asked for, the rows
 * asked for and no others; nothing is kept but the categories of columns that were read.
 */
export class StoredFrame implements CellTable {
  readonly indexName: string;
  readonly columns: readonly MetadataColumn[];
  readonly #file: Hierarchy;
  readonly #path: string;
  readonly #rows: number;
  readonly #index: StoredColumn;
  readonly #stored: ReadonlyMap<string, StoredColumn>;
  readonly #categories = new Map<CategoriesStored, Promise<PlainColumn>>();

  private constructor(
    file: Hierarchy,
    path: string,
    rows: number,
    index: { readonly name: string; readonly column: StoredColumn },
    stored: ReadonlyMap<string, StoredColumn>,
  ) {
    this.#file = file;
    this.#path = path;
    this.#rows = rows;
    this.indexName = index.name;
    this.#index = index.column;
    this.#stored = stored;
    this.columns = Array.from(stored, ([name, column]) => ({ name, kind: columnKind(column) }));
  }

  /**
   * Opens the group at `path`, whose columns must have `rows` values. Columns of an unknown encoding are left out and named in
   * `notes`. Throws `DATA_CORRUPT`, `DATA_SHAPE` where a length differs, `DATA_FORMAT` for tables written before AnnData 0.7.
   */
  static async open(file: Hierarchy, path: string, rows: number, notes: string[]): Promise<StoredFrame> {
    await checkIsGroup(file, path);
    const members = await file.members(path);
    const listed = await file.attribute(path, "column-order");
    const named = await file.attribute(path, "_index");
    const found = ["_index", "index"].find((name) => members.includes(name)) ?? "_index";
    const indexName = typeof named === "string" ? named : found;
    const index = await storedColumn(file, path, indexName);
    if (index === undefined) throw file.corrupt(`${path}/${indexName}`, "the index cannot be read");
    checkLength(file, index, rows);
    await valuesOf(index).checkClaim();
    const names = isTexts(listed)
      ? listed
      : members.filter((name) => name !== indexName && !NOT_COLUMNS.has(name));
    const stored = new Map<string, StoredColumn>();
    for (const name of names) {
      const column = await storedColumn(file, path, name);
      if (column === undefined) {
        notes.push(`${path}/${name}: a column of a kind that is not supported was left out`);
        continue;
      }
      checkLength(file, column, rows);
      stored.set(name, column);
    }
    return new StoredFrame(file, path, rows, { name: indexName, column: index }, stored);
  }

  /** Names of rows, all if undefined. */
  ids(rows: Int32Array | undefined): Promise<readonly string[]> {
    return this.#names(rows);
  }

  async read(columns: readonly string[], rows: Int32Array | undefined): Promise<Map<string, Column>> {
    const read = new Map<string, Column>();
    for (const name of columns) {
      const stored = this.#stored.get(name);
      if (stored !== undefined) read.set(name, await this.#read(name, stored, rows));
    }
    return read;
  }

  types(): Promise<Map<string, Column>> {
    return this.read([...this.#stored.keys()], new Int32Array(0));
  }

  /** The whole table. */
  async all(): Promise<Frame> {
    const columns = await this.read([...this.#stored.keys()], undefined);
    return { index: await this.#names(undefined), indexName: this.indexName, columns };
  }

  async #names(rows: Int32Array | undefined): Promise<readonly string[]> {
    const column = await this.#read(this.indexName, this.#index, rows);
    if (column.kind === "strings" && column.missing === undefined) return column.values;
    return Array.from(rows ?? rowRange(0, this.#rows), (_, i) => columnText(column, i) ?? "");
  }

  async #read(name: string, stored: StoredColumn, rows: Int32Array | undefined): Promise<Column> {
    if (stored.kind === "plain") return readPlain(stored, rows);
    const categories = await this.#labels(stored);
    const count = categories.values.length;
    const codes = Int32Array.from(toFloat64(await numbersAt(stored.codes, rows)), (code, i) => {
      if (Number.isInteger(code) && code >= -1 && code < count) return code;
      throw this.#file.corrupt(
        `${this.#path}/${name}`,
        `row ${rows?.[i] ?? i} has code ${code} but there are ${count} categories`,
      );
    });
    return { kind: "categories", codes, categories, ordered: stored.ordered };
  }

  #labels(stored: CategoriesStored): Promise<PlainColumn> {
    const known = this.#categories.get(stored);
    if (known !== undefined) return known;
    const { values } = stored.categories;
    const read = values.checkClaim().then(() => readPlain(stored.categories, undefined));
    this.#categories.set(stored, read);
    return read;
  }
}

async function checkIsGroup(file: Hierarchy, path: string): Promise<void> {
  const kind = await file.kind(path);
  if (kind === "group") return;
  const what =
    kind === "array"
      ? `${path} is a compound table, as AnnData wrote before 0.7; read and write the file once with a current AnnData`
      : `has no ${path}; is this an AnnData file?`;
  throw new DdscError("DATA_FORMAT", `${file.path}: ${what}`, { file: file.path });
}

function checkLength(file: Hierarchy, stored: StoredColumn, rows: number): void {
  const { path, shape } = valuesOf(stored);
  if (shape[0] === rows) return;
  throw new DdscError(
    "DATA_SHAPE",
    `${file.path}: ${path} has ${shape[0]} values but the matrix has ${rows}; write the file again`,
    { file: file.path },
  );
}

/** How a column is stored; undefined if in an unknown way. */
async function storedColumn(
  file: Hierarchy,
  parent: string,
  name: string,
): Promise<StoredColumn | undefined> {
  const path = `${parent}/${name}`;
  const kind = await file.kind(path);
  if (kind === "missing") throw file.corrupt(path, "is listed but missing");
  if (kind === "group") return groupColumn(file, path);
  const values = kind === "array" ? await vector(file, path) : undefined;
  if (values === undefined) return undefined;
  const isNumbers = values.kind === "integer" || values.kind === "float";
  const referenced = isNumbers ? await file.attribute(path, "categories") : undefined;
  if (referenced === undefined) return { kind: "plain", values, mask: undefined };
  // AnnData 0.7: the attribute names where the categories are; in zarr relative to the table.
  const told = typeof referenced === "string" && referenced !== "" ? referenced : `__categories/${name}`;
  const place = told.startsWith("/") ? told : `${parent}/${told}`;
  return categorical(file, values, await labels(file, place), await file.attribute(place, "ordered"));
}

/** A column that is a group: categorical, nullable numbers, booleans or strings, told by its members. */
async function groupColumn(file: Hierarchy, path: string): Promise<StoredColumn | undefined> {
  const members = await file.members(path);
  if (members.includes("codes") && members.includes("categories")) {
    const codes = await vector(file, `${path}/codes`);
    const categories = await labels(file, `${path}/categories`);
    return categorical(file, codes, categories, await file.attribute(path, "ordered"));
  }
  return members.includes("values") ? nullable(file, path, members) : undefined;
}

function categorical(
  file: Hierarchy,
  codes: StoredArray | undefined,
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
async function labels(file: Hierarchy, path: string): Promise<PlainStored | undefined> {
  if ((await file.kind(path)) === "group") return nullable(file, path, await file.members(path));
  const values = await vector(file, path);
  return values && { kind: "plain", values, mask: undefined };
}

async function nullable(
  file: Hierarchy,
  path: string,
  members: readonly string[],
): Promise<PlainStored | undefined> {
  const values = await vector(file, `${path}/values`);
  if (values === undefined || !members.includes("mask"))
    return values && { kind: "plain", values, mask: undefined };
  const mask = await file.array(`${path}/mask`);
  if (lengthOf(file, mask) !== values.shape[0]) throw file.corrupt(path, "values and mask differ in length");
  return { kind: "plain", values, mask };
}

/** An array of one dimension that can be read; undefined for others. */
async function vector(file: Hierarchy, path: string): Promise<StoredArray | undefined> {
  const array = await file.array(path);
  return array.shape.length === 1 && array.kind !== "other" ? array : undefined;
}

async function readPlain({ values, mask }: PlainStored, rows: Int32Array | undefined): Promise<PlainColumn> {
  const masked = mask === undefined ? undefined : toFloat64(await numbersAt(mask, rows));
  const missing =
    masked === undefined ? {} : { missing: Uint8Array.from(masked, (value) => (value === 0 ? 0 : 1)) };
  if (values.kind === "string") return { kind: "strings", values: await stringsAt(values, rows), ...missing };
  const numbers = await numbersAt(values, rows);
  if (values.kind !== "boolean") return { kind: "numbers", values: numbers, ...missing };
  return { kind: "booleans", values: Uint8Array.from(toFloat64(numbers)), ...missing };
}

function valuesOf(column: StoredColumn): StoredArray {
  return column.kind === "plain" ? column.values : column.codes;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function columnKind(column: StoredColumn): MetadataColumn["kind"] {
  if (column.kind === "categories" || column.values.kind === "string") return "text";
  return column.values.kind === "boolean" ? "boolean" : "number";
}
