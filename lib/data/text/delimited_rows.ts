import { DdscError } from "../../base/errors.js";
import { type Column, textCategories } from "../sources/frame.js";
import { type DelimitedLayout, isMissing, NO_COUNT } from "../tables/table_layout.js";
import type { DelimitedRecord } from "./delimited_records.js";
import { parseNumber } from "./numbers.js";

/** Where counts of a line go; `columns` are places in the layout's `counted`. */
export interface CountSink {
  columns: Int32Array;
  values: Float32Array;
  count: number;
}

/** Room for the counts of some lines of a layout. */
export function countSink(layout: DelimitedLayout): CountSink {
  return {
    columns: new Int32Array(layout.counted.length),
    values: new Float32Array(layout.counted.length),
    count: 0,
  };
}

/**
 * Appends the counts of a line that are not 0 to `sink`. Throws `DATA_SHAPE` for a wrong number of fields, `DATA_TYPE` for a
 * count that is no number, naming line and column.
 */
export function readCounts(
  path: string,
  { roles, fields, counted }: DelimitedLayout,
  record: DelimitedRecord,
  sink: CountSink,
): void {
  const found = record.fields.length;
  if (found !== fields) {
    const text = `has ${found} fields but the lines before have ${fields}; write the file again`;
    throw new DdscError("DATA_SHAPE", `${path}: line ${record.line}: ${text}`, { file: path });
  }
  makeRoom(sink, counted.length);
  for (let field = 0; field < fields; field++) {
    const text = record.fields[field] ?? "";
    const role = roles[field] ?? NO_COUNT;
    if (text === "0" || role === NO_COUNT) continue;
    const value = parseNumber(text);
    if (value === 0) continue;
    if (value === undefined) throw noNumber(path, record.line, field, counted[role] ?? "", text);
    sink.columns[sink.count] = role;
    sink.values[sink.count++] = value;
  }
}

/** The values of some fields of a line; undefined where missing. */
export function readValues(record: DelimitedRecord, fields: readonly number[]): (string | undefined)[] {
  return fields.map((field) => {
    const text = record.fields[field];
    return isMissing(text) ? undefined : text;
  });
}

/** The text in memory of its own: one that is cut out of another keeps all of that. */
export function ownText(text: string): string {
  return Buffer.from(text).toString();
}

function noNumber(path: string, line: number, field: number, column: string, text: string): DdscError {
  const what = text === "" ? "is empty" : `is "${oneLine(text.slice(0, 40))}", no number`;
  const remedy =
    "fill missing counts with 0 first; name a column that holds no counts with --metadata-columns";
  return new DdscError(
    "DATA_TYPE",
    `${path}: line ${line}, column ${field + 1} ("${oneLine(column)}"): ${what}; ${remedy}`,
    { file: path },
  );
}

/** Text for a message. */
function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ");
}

function makeRoom(sink: CountSink, more: number): void {
  if (sink.count + more <= sink.columns.length) return;
  const length = Math.max(2 * sink.columns.length, sink.count + more);
  const columns = new Int32Array(length);
  const values = new Float32Array(length);
  columns.set(sink.columns);
  values.set(sink.values);
  sink.columns = columns;
  sink.values = values;
}

/** Collects the values of a metadata column; text is kept once for each distinct value. */
export class ColumnBuilder {
  readonly #kind: "text" | "number";
  readonly #codes = new Map<string, number>();
  #numbers: Float64Array = new Float64Array(1 << 8);
  #length = 0;

  constructor(kind: "text" | "number") {
    this.#kind = kind;
  }

  /** Appends a value; undefined, and text in a column of numbers, is a missing one. */
  push(text: string | undefined): void {
    if (this.#length === this.#numbers.length) {
      const longer = new Float64Array(2 * this.#length);
      longer.set(this.#numbers);
      this.#numbers = longer;
    }
    this.#numbers[this.#length++] = this.#encode(text);
  }

  /** The column. */
  finish(): Column {
    const values = this.#numbers.slice(0, this.#length);
    if (this.#kind === "number") {
      const missing = Uint8Array.from(values, (value) => (Number.isNaN(value) ? 1 : 0));
      return { kind: "numbers", values, ...(missing.includes(1) ? { missing } : {}) };
    }
    const labels = textCategories([...this.#codes.keys()]);
    // Codes were given in order of appearance; categories are sorted.
    const codes = Int32Array.from(values, (value) =>
      Number.isNaN(value) ? -1 : (labels.codes[value] ?? -1),
    );
    return { ...labels, codes };
  }

  #encode(text: string | undefined): number {
    if (text === undefined) return Number.NaN;
    if (this.#kind === "number") return parseNumber(text) ?? Number.NaN;
    const known = this.#codes.get(text);
    if (known !== undefined) return known;
    this.#codes.set(ownText(text), this.#codes.size);
    return this.#codes.size - 1;
  }
}
