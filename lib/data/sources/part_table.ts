import { LRUCache } from "lru-cache";
import { upperBound } from "../../base/search.js";
import type { MetadataColumn } from "./cells.js";
import type { CellTable } from "./file_source.js";
import { type CategoricalColumn, type Column, columnText, takeRows } from "./frame.js";
import { joinRows, rowRange } from "./parts.js";

/** Columns of parts that are kept decoded, and their values: names of cells are asked for again and again. */
const KEPT_COLUMNS = 64;
const KEPT_VALUES = 1 << 20;

/** Of all tables of a thread together: thousands of files may be open. */
const kept = new LRUCache<string, Promise<Column>>({ max: KEPT_COLUMNS, maxSize: KEPT_VALUES });
let tables = 0;

/** Rows of one part, and where they stand among the rows asked for. */
export interface PartRows {
  readonly part: number;
  /** Row numbers within the part. */
  readonly rows: Int32Array;
  /** Places in the list of rows asked for. */
  readonly places: Int32Array;
}

/** Sorts rows asked for by the parts they are in, ascending. */
export function rowsByPart(bounds: Float64Array, rows: Int32Array): PartRows[] {
  const byPart = new Map<number, { rows: number[]; places: number[] }>();
  let part = 0;
  for (const [place, row] of rows.entries()) {
    if (row < (bounds[part] ?? 0) || row >= (bounds[part + 1] ?? 0)) part = upperBound(bounds, row) - 1;
    const own = byPart.get(part) ?? { rows: [], places: [] };
    if (own.rows.length === 0) byPart.set(part, own);
    own.rows.push(row - (bounds[part] ?? 0));
    own.places.push(place);
  }
  return [...byPart.entries()]
    .sort(([a], [b]) => a - b)
    .map(([number, own]) => ({
      part: number,
      rows: Int32Array.from(own.rows),
      places: Int32Array.from(own.places),
    }));
}

/** Reads a column of one part. */
export type ColumnReader = (column: string, part: number) => Promise<Column>;

/** The table of cells of a file that is read part by part. */
export class PartTable implements CellTable {
  readonly indexName: string;
  readonly columns: readonly MetadataColumn[];
  readonly #bounds: Float64Array;
  readonly #idColumn: string | undefined;
  readonly #read: ColumnReader;
  readonly #number = tables++;

  /** @param idColumn the column of cell names, which is not in `columns`; undefined: cells are named by row */
  constructor(
    bounds: Float64Array,
    columns: readonly MetadataColumn[],
    idColumn: string | undefined,
    read: ColumnReader,
  ) {
    this.#bounds = bounds;
    this.columns = columns;
    this.#idColumn = idColumn;
    this.#read = read;
    this.indexName = idColumn ?? "_index";
  }

  async ids(rows: Int32Array): Promise<readonly string[]> {
    const column = this.#idColumn;
    if (column === undefined) return Array.from(rows, (row) => `row ${row}`);
    const ids = new Array<string>(rows.length);
    for (const { part, rows: own, places } of rowsByPart(this.#bounds, rows)) {
      const values = await this.#column(column, part);
      for (const [i, row] of own.entries()) {
        const place = places[i] ?? 0;
        ids[place] = columnText(values, row) ?? `row ${rows[place] ?? 0}`;
      }
    }
    return ids;
  }

  async read(columns: readonly string[], rows: Int32Array | undefined): Promise<ReadonlyMap<string, Column>> {
    const wanted = rows ?? rowRange(0, this.#bounds.at(-1) ?? 0);
    const parts = rowsByPart(this.#bounds, wanted);
    const result = new Map<string, Column>();
    for (const name of columns) {
      const pieces: Column[] = [];
      for (const { part, rows: own } of parts) pieces.push(takeRows(await this.#column(name, part), own));
      const order = new Int32Array(wanted.length);
      for (const [i, place] of joinRows(parts.map(({ places }) => places)).entries()) order[place] = i;
      const kind = this.columns.find((column) => column.name === name)?.kind ?? "text";
      result.set(name, takeRows(joinColumns(kind, pieces), order));
    }
    return result;
  }

  forget(): void {
    for (const key of [...kept.keys()]) if (key.startsWith(`${this.#number}/`)) kept.delete(key);
  }

  #column(name: string, part: number): Promise<Column> {
    const key = `${this.#number}/${part}/${name}`;
    const known = kept.get(key);
    if (known !== undefined) return known;
    const column = this.#read(name, part);
    const rows = (this.#bounds[part + 1] ?? 0) - (this.#bounds[part] ?? 0);
    kept.set(key, column, { size: Math.max(1, rows) });
    column.catch(() => kept.delete(key));
    return column;
  }
}

/** Columns of one kind end to end; text becomes sorted categories. */
function joinColumns(kind: MetadataColumn["kind"], pieces: readonly Column[]): Column {
  if (kind === "text") return joinText(pieces);
  const length = pieces.reduce((sum, piece) => sum + lengthOf(piece), 0);
  const values = kind === "boolean" ? new Uint8Array(length) : new Float64Array(length);
  const missing = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    if (piece.kind === "numbers" || piece.kind === "booleans") {
      values.set(piece.values as Float64Array, at);
      if (piece.missing !== undefined) missing.set(piece.missing, at);
    }
    at += lengthOf(piece);
  }
  const mask = missing.includes(1) ? { missing } : {};
  return values instanceof Uint8Array
    ? { kind: "booleans", values, ...mask }
    : { kind: "numbers", values, ...mask };
}

function lengthOf(column: Column): number {
  return column.kind === "categories" ? column.codes.length : column.values.length;
}

function joinText(pieces: readonly Column[]): CategoricalColumn {
  const labels = new Set<string>();
  for (const piece of pieces) {
    // A whole dictionary may come with few of its rows: only what occurs becomes a category.
    const used = piece.kind === "categories" ? new Set(piece.codes) : rowRange(0, lengthOf(piece));
    for (const code of used) {
      const text = columnText(piece.kind === "categories" ? piece.categories : piece, code);
      if (code >= 0 && text !== undefined) labels.add(text);
    }
  }
  const values = [...labels].sort();
  const codeOf = new Map(values.map((label, code) => [label, code]));
  const codes = new Int32Array(pieces.reduce((sum, piece) => sum + lengthOf(piece), 0));
  let at = 0;
  for (const piece of pieces) {
    const own = piece.kind === "categories" ? piece.categories : piece;
    const translated = Int32Array.from({ length: lengthOf(own) }, (_, i) => {
      const text = columnText(own, i);
      return text === undefined ? -1 : (codeOf.get(text) ?? -1);
    });
    for (let i = 0; i < lengthOf(piece); i++) {
      const code = piece.kind === "categories" ? (piece.codes[i] ?? -1) : i;
      codes[at++] = code < 0 ? -1 : (translated[code] ?? -1);
    }
  }
  return { kind: "categories", codes, categories: { kind: "strings", values }, ordered: false };
}
