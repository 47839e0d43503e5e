const QUOTE = 34;
const SPACE = 32;
/** Delimiters that are looked for: tab, comma, semicolon, bar. */
const DELIMITERS = [9, 44, 59, 124];

/**
 * Cuts a record into fields at a delimiter outside double quotes. `bounds` receives start and end of each field, without
 * blanks and quotes around it, and is used again: [2 x fields]. Returns the number of fields, at least 1.
 */
export function splitFields(record: Buffer, delimiter: number, bounds: FieldBounds): number {
  let fields = 0;
  for (let at = 0; at <= record.length; fields++) {
    let start = at;
    while (start < record.length && record[start] === SPACE) start++;
    if (record[start] === QUOTE) {
      const close = closingQuote(record, start + 1);
      bounds.set(fields, start + 1, close);
      const next = record.indexOf(delimiter, close);
      at = next === -1 ? record.length + 1 : next + 1;
    } else {
      let end = start;
      while (end < record.length && record[end] !== delimiter) end++;
      at = end + 1;
      while (end > start && record[end - 1] === SPACE) end--;
      bounds.set(fields, start, end);
    }
  }
  return fields;
}

/** The quote that ends a quoted field, two in a row being one in the text; the end of the record if there is none. */
function closingQuote(record: Buffer, start: number): number {
  let at = start;
  for (;;) {
    const quote = record.indexOf(QUOTE, at);
    if (quote === -1) return record.length;
    if (record[quote + 1] !== QUOTE) return quote;
    at = quote + 2;
  }
}

/** Starts and ends of fields; grows as needed. */
export class FieldBounds {
  #bounds = new Int32Array(1 << 10);

  set(field: number, start: number, end: number): void {
    if (2 * field + 1 >= this.#bounds.length) {
      const longer = new Int32Array(2 * this.#bounds.length);
      longer.set(this.#bounds);
      this.#bounds = longer;
    }
    this.#bounds[2 * field] = start;
    this.#bounds[2 * field + 1] = end;
  }

  start(field: number): number {
    return this.#bounds[2 * field] ?? 0;
  }

  end(field: number): number {
    return this.#bounds[2 * field + 1] ?? 0;
  }
}

/** The text of a field; quotes that were doubled are single. */
export function fieldText(record: Buffer, start: number, end: number): string {
  const text = record.toString("utf8", start, end);
  return text.includes('""') ? text.replaceAll('""', '"') : text;
}

/** The first field of a record as text; no more of the record is looked at than that. */
export function firstFieldText(record: Buffer, delimiter: number, bounds: FieldBounds): string {
  let start = 0;
  while (record[start] === SPACE) start++;
  const end = record[start] === QUOTE ? -1 : record.indexOf(delimiter);
  const part = end === -1 ? record : record.subarray(0, end);
  splitFields(part, delimiter, bounds);
  return fieldText(part, bounds.start(0), bounds.end(0));
}

/** All fields of a record as text. */
export function fieldTexts(record: Buffer, delimiter: number): string[] {
  const bounds = new FieldBounds();
  const count = splitFields(record, delimiter, bounds);
  return Array.from({ length: count }, (_, field) =>
    fieldText(record, bounds.start(field), bounds.end(field)),
  );
}

/**
 * The delimiter of a text, told from its first bytes: the one that occurs most often in the first line (which need not be
 * whole), outside double quotes. Undefined for text without any.
 */
export function findDelimiter(head: Buffer): number | undefined {
  const counts = new Map(DELIMITERS.map((delimiter) => [delimiter, 0]));
  let quoted = false;
  for (const byte of head) {
    if (byte === 10 && !quoted) break;
    if (byte === QUOTE) quoted = !quoted;
    else if (!quoted && counts.has(byte)) counts.set(byte, (counts.get(byte) ?? 0) + 1);
  }
  const [most] = [...counts].sort((a, b) => b[1] - a[1]);
  return most === undefined || most[1] === 0 ? undefined : most[0];
}
