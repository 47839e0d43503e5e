import { DdscError } from "../errors.js";
import { FieldBounds, fieldText, splitFields } from "./delimited_fields.js";
import { type DelimitedLayout, isMissing } from "./delimited_layout.js";
import { type Column, textCategories } from "./frame.js";
import { numberAt } from "./number_text.js";

const ZERO = 48;

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

/** Reads the lines of a table. */
export class LineParser {
  readonly #path: string;
  readonly #layout: DelimitedLayout;
  readonly #delimiter: number;
  readonly #bounds = new FieldBounds();

  constructor(path: string, layout: DelimitedLayout, delimiter: number) {
    this.#path = path;
    this.#layout = layout;
    this.#delimiter = delimiter;
  }

  /**
   * Appends the counts of a line that are not 0 to `sink`. `line` gives its number, for errors: `DATA_SHAPE` for a wrong
   * number of fields, `DATA_TYPE` for a count that is no number, naming the column.
   */
  async counts(record: Buffer, sink: CountSink, line: () => number | Promise<number>): Promise<void> {
    const problem = this.#parse(record, sink);
    if (problem === undefined) return;
    throw new DdscError(problem.code, `${this.#path}: line ${await line()}${problem.text}`, {
      file: this.#path,
    });
  }

  /** The values of some columns of a line (numbers of fields), as text; undefined where missing. */
  values(record: Buffer, fields: readonly number[]): (string | undefined)[] {
    const count = splitFields(record, this.#delimiter, this.#bounds);
    return fields.map((field) => {
      if (field >= count) return undefined;
      const text = fieldText(record, this.#bounds.start(field), this.#bounds.end(field));
      return isMissing(text) ? undefined : text;
    });
  }

  #parse(record: Buffer, sink: CountSink): { code: string; text: string } | undefined {
    const { fields, roles, counted } = this.#layout;
    const found = splitFields(record, this.#delimiter, this.#bounds);
    if (found !== fields) {
      return {
        code: "DATA_SHAPE",
        text: `: has ${found} fields but the lines before have ${fields}; write the file again`,
      };
    }
    makeRoom(sink, counted.length);
    let { count } = sink;
    for (let field = 0; field < fields; field++) {
      const role = roles[field] ?? -1;
      if (role < 0) continue;
      const start = this.#bounds.start(field);
      const end = this.#bounds.end(field);
      if (end === start + 1 && record[start] === ZERO) continue;
      const value = numberAt(record, start, end);
      if (value === undefined) {
        const text = oneLine(fieldText(record, start, Math.min(end, start + 40)));
        const what = text === "" ? "is empty" : `is "${text}", no number`;
        const remedy =
          "fill missing counts with 0 first; name a column that holds no counts with --metadata-columns";
        return {
          code: "DATA_TYPE",
          text: `, column ${field + 1} ("${oneLine(counted[role] ?? "")}"): ${what}; ${remedy}`,
        };
      }
      if (value === 0) continue;
      sink.columns[count] = role;
      sink.values[count++] = value;
    }
    sink.count = count;
    return undefined;
  }
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
    if (this.#kind === "number") {
      const bytes = Buffer.from(text, "latin1");
      return numberAt(bytes, 0, bytes.length) ?? Number.NaN;
    }
    const known = this.#codes.get(text);
    if (known !== undefined) return known;
    this.#codes.set(text, this.#codes.size);
    return this.#codes.size - 1;
  }
}
