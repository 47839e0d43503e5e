import { DdscError } from "../../base/errors.js";
import { type NumberArray, toFloat64 } from "../hdf5/types.js";
import type { MetadataColumn } from "../sources/cells.js";
import type { CellTable } from "../sources/file_source.js";
import { type CategoricalColumn, type Column, columnText, type Frame } from "../sources/frame.js";
import type { ZarrArray } from "../zarr/array.js";
import type { ZarrFile } from "../zarr/file.js";

type PlainColumn = Exclude<Column, CategoricalColumn>;

/** How a column is stored. */
type StoredColumn =
  | { readonly kind: "plain"; readonly values: ZarrArray; readonly mask: ZarrArray | undefined }
  | {
      readonly kind: "categories";
      readonly codes: ZarrArray;
      /** Read when first needed. */
      readonly categories: () => Promise<PlainColumn>;
      readonly ordered: boolean;
    };

/**
 * A dataframe group of AnnData (obs, var): numbers, booleans, text, nullable ones and categories, those of AnnData 0.7
 * (`__categories`) included. Columns are read when asked for, the rows asked for and no others.
 */
export class ZarrFrame implements CellTable {
  readonly indexName: string;
  readonly columns: readonly MetadataColumn[];
  readonly #file: ZarrFile;
  readonly #path: string;
  readonly #rows: number;
  readonly #index: StoredColumn;
  readonly #stored: ReadonlyMap<string, StoredColumn>;

  private constructor(
    file: ZarrFile,
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
   * Opens the group at `path`, whose columns must have `rows` values. Columns of an unknown encoding are left out and named
   * in `notes`. Throws `DATA_FORMAT` if there is no such group, `DATA_SHAPE` where a length differs, `DATA_CORRUPT`.
   */
  static async open(file: ZarrFile, path: string, rows: number, notes: string[]): Promise<ZarrFrame> {
    if ((await file.kind(path)) !== "group") {
      throw new DdscError("DATA_FORMAT", `${file.path}: has no ${path}; is this an AnnData store?`, {
        file: file.path,
      });
    }
    const attributes = await file.attributes(path);
    const name = typeof attributes._index === "string" ? attributes._index : "_index";
    const index = await storedColumn(file, path, name, rows);
    if (index === undefined) throw file.corrupt(`${path}/${name}`, "the index cannot be read");
    await valuesOf(index).checkClaim();
    const listed = attributes["column-order"];
    const names = Array.isArray(listed)
      ? listed.map(String)
      : (await file.members(path)).filter((member) => member !== name && member !== "__categories");
    const stored = new Map<string, StoredColumn>();
    for (const column of names) {
      const found = await storedColumn(file, path, column, rows);
      if (found === undefined) {
        notes.push(`${path}/${column}: a column of a kind that is not supported was left out`);
      } else {
        stored.set(column, found);
      }
    }
    return new ZarrFrame(file, path, rows, { name, column: index }, stored);
  }

  async ids(rows: Int32Array): Promise<string[]> {
    const column = await this.#read(this.indexName, this.#index, rows);
    return Array.from(rows, (_, i) => columnText(column, i) ?? "");
  }

  async read(columns: readonly string[], rows: Int32Array | undefined): Promise<Map<string, Column>> {
    const read = new Map<string, Column>();
    for (const name of columns) {
      const stored = this.#stored.get(name);
      if (stored !== undefined) read.set(name, await this.#read(name, stored, rows));
    }
    return read;
  }

  /** The whole table. */
  async all(): Promise<Frame> {
    const index = await this.#read(this.indexName, this.#index, undefined);
    return {
      index: Array.from({ length: this.#rows }, (_, row) => columnText(index, row) ?? ""),
      indexName: this.indexName,
      columns: await this.read([...this.#stored.keys()], undefined),
    };
  }

  async #read(name: string, stored: StoredColumn, rows: Int32Array | undefined): Promise<Column> {
    if (stored.kind === "plain") return readPlain(stored.values, stored.mask, rows);
    const categories = await stored.categories();
    const count = categories.values.length;
    const codes = toFloat64(await numbersOf(stored.codes, rows));
    const checked = Int32Array.from(codes, (code, i) => {
      if (Number.isInteger(code) && code >= -1 && code < count) return code;
      const row = rows === undefined ? i : (rows[i] ?? 0);
      throw this.#file.corrupt(
        `${this.#path}/${name}`,
        `row ${row} has code ${code} but there are ${count} categories`,
      );
    });
    return { kind: "categories", codes: checked, categories, ordered: stored.ordered };
  }
}

/** How the column is stored; undefined if in an unknown way. Throws `DATA_SHAPE`, `DATA_CORRUPT`. */
async function storedColumn(
  file: ZarrFile,
  parent: string,
  name: string,
  rows: number,
): Promise<StoredColumn | undefined> {
  const path = `${parent}/${name}`;
  const kind = await file.kind(path);
  if (kind === "missing") throw file.corrupt(path, "is listed but missing");
  const attributes = await file.attributes(path);
  const array = async (place: string): Promise<ZarrArray> => {
    const found = await file.array(place);
    if (found.length === rows) return found;
    throw new DdscError(
      "DATA_SHAPE",
      `${file.path}: ${place} has ${found.length} values for ${rows} rows; write it again`,
      {
        file: file.path,
      },
    );
  };
  const labels = (place: string) => {
    let read: Promise<PlainColumn> | undefined;
    return () => {
      read ??= readLabels(file, place);
      return read;
    };
  };
  if (kind === "array") {
    if ((await file.array(path)).shape.length !== 1) return undefined;
    const values = await array(path);
    const referenced = attributes.categories;
    if (referenced === undefined) return { kind: "plain", values, mask: undefined };
    // AnnData 0.7: the place is given relative to the table.
    const place = `${parent}/${typeof referenced === "string" ? referenced : `__categories/${name}`}`;
    const { ordered } = await file.attributes(place);
    return { kind: "categories", codes: values, categories: labels(place), ordered: ordered === true };
  }
  const has = async (member: string): Promise<boolean> =>
    (await file.kind(`${path}/${member}`)) !== "missing";
  if ((await has("codes")) && (await has("categories"))) {
    const codes = await array(`${path}/codes`);
    return {
      kind: "categories",
      codes,
      categories: labels(`${path}/categories`),
      ordered: attributes.ordered === true,
    };
  }
  if (!(await has("values"))) return undefined;
  const mask = (await has("mask")) ? await array(`${path}/mask`) : undefined;
  return { kind: "plain", values: await array(`${path}/values`), mask };
}

/** Categories: an array or, in newer files, a nullable array. */
async function readLabels(file: ZarrFile, path: string): Promise<PlainColumn> {
  const group = (await file.kind(path)) === "group";
  const values = await file.array(group ? `${path}/values` : path);
  await values.checkClaim();
  const masked = group && (await file.kind(`${path}/mask`)) !== "missing";
  const mask = masked ? await file.array(`${path}/mask`) : undefined;
  if (mask !== undefined && mask.length !== values.length) {
    throw file.corrupt(path, "values and mask differ in length");
  }
  return readPlain(values, mask, undefined);
}

async function readPlain(
  values: ZarrArray,
  mask: ZarrArray | undefined,
  rows: Int32Array | undefined,
): Promise<PlainColumn> {
  const masked = mask === undefined ? undefined : toFloat64(await numbersOf(mask, rows));
  const missing =
    masked === undefined ? {} : { missing: Uint8Array.from(masked, (value) => (value === 0 ? 0 : 1)) };
  if (values.kind === "string") {
    const texts = rows === undefined ? await values.strings(0, values.length) : await values.stringsAt(rows);
    return { kind: "strings", values: texts, ...missing };
  }
  const numbers = await numbersOf(values, rows);
  if (values.kind !== "boolean") return { kind: "numbers", values: numbers, ...missing };
  return { kind: "booleans", values: Uint8Array.from(toFloat64(numbers)), ...missing };
}

function numbersOf(array: ZarrArray, rows: Int32Array | undefined): Promise<NumberArray> {
  return rows === undefined ? array.numbers(0, array.length) : array.numbersAt(rows);
}

function valuesOf(column: StoredColumn): ZarrArray {
  return column.kind === "plain" ? column.values : column.codes;
}

function columnKind(column: StoredColumn): MetadataColumn["kind"] {
  if (column.kind === "categories" || column.values.kind === "string") return "text";
  return column.values.kind === "boolean" ? "boolean" : "number";
}
