import { DdscError } from "../../base/errors.js";
import { type Column, textCategories } from "../sources/frame.js";
import { type DelimitedLayout, isMissing, NO_COUNT } from "../tables/table_layout.js";
import { FieldBounds, fieldText, firstFieldText, splitFields } from "./delimited_fields.js";
import { numberAt } from "./number_text.js";

const QUOTE = 34;
const SPACE = 32;
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

  /** The name of a line: its first field. */
  name(record: Buffer): string {
    return firstFieldText(record, this.#delimiter, this.#bounds);
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

  /** Gives what is wrong with the line; undefined if nothing, and then the sink has its counts. */
  #parse(record: Buffer, sink: CountSink): Problem | undefined {
    const { fields, counted } = this.#layout;
    makeRoom(sink, counted.length);
    const { count } = sink;
    const plain = !record.includes(QUOTE) && !record.includes(SPACE);
    const found = plain ? this.#parsePlain(record, sink) : this.#parseQuoted(record, sink);
    if (found === fields) return undefined;
    sink.count = count;
    if (typeof found !== "number") return found;
    const text = `: has ${found} fields but the lines before have ${fields}; write the file again`;
    return { code: "DATA_SHAPE", text };
  }

  /** A line without quotes and blanks, as most are: fields of 0 are passed over. Gives their number. */
  #parsePlain(record: Buffer, sink: CountSink): number | Problem {
    const delimiter = this.#delimiter;
    let field = 0;
    for (let at = 0; ; field++) {
      if (record[at] === ZERO && record[at + 1] === delimiter) {
        at += 2;
        continue;
      }
      let end = at;
      while (end < record.length && record[end] !== delimiter) end++;
      const problem = this.#take(record, field, at, end, sink);
      if (problem !== undefined) return problem;
      if (end === record.length) return field + 1;
      at = end + 1;
    }
  }

  #parseQuoted(record: Buffer, sink: CountSink): number | Problem {
    const fields = splitFields(record, this.#delimiter, this.#bounds);
    for (let field = 0; field < fields; field++) {
      const problem = this.#take(record, field, this.#bounds.start(field), this.#bounds.end(field), sink);
      if (problem !== undefined) return problem;
    }
    return fields;
  }

  /** Appends the count of a field that has one; there is room. */
  #take(record: Buffer, field: number, start: number, end: number, sink: CountSink): Problem | undefined {
    const { roles, counted } = this.#layout;
    const role = roles[field] ?? NO_COUNT;
    if (role === NO_COUNT) return undefined;
    const value = numberAt(record, start, end);
    if (value === undefined) {
      const text = oneLine(fieldText(record, start, Math.min(end, start + 40)));
      const what = text === "" ? "is empty" : `is "${text}", no number`;
      const remedy =
        "fill missing counts with 0 first; name a column that holds no counts with --metadata-columns";
      const where = `, column ${field + 1} ("${oneLine(counted[role] ?? "")}")`;
      return { code: "DATA_TYPE", text: `${where}: ${what}; ${remedy}` };
    }
    if (value === 0) return undefined;
    sink.columns[sink.count] = role;
    sink.values[sink.count++] = value;
    return undefined;
  }
}

/** What is wrong with a line. */
interface Problem {
  readonly code: string;
  /** What comes after the line's number in the message. */
  readonly text: string;
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
