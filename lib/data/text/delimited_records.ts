import Papa from "papaparse";
import { DdscError } from "../../base/errors.js";
import { textPieces } from "../io/gzip_pieces.js";
import { MAX_EMPTY_LINES } from "./lines.js";

/** A record longer than this is taken for a damaged or binary file. */
const MAX_CHARACTERS = 1 << 25;
/** The same for one with quotes, which takes the parser more time and memory. */
const MAX_QUOTED_CHARACTERS = 1 << 24;

/** A record of a table: a line, or several where a quoted field goes over them. */
export interface DelimitedRecord {
  /** Without quotes, and without blanks around those that have none; at least one. */
  readonly fields: string[];
  /** Number of its first line, from 1. */
  readonly line: number;
}

/** How records are read. */
export interface RecordOptions {
  /** The bytes of the file; by default they are read. */
  readonly pieces?: AsyncIterable<Buffer>;
  /** Called between records, after some hundred thousand characters or one long record. */
  readonly afterPiece?: () => Promise<void>;
}

/** Takes a record, which is valid until the next; false if no more are wanted. */
type TakeRecord = (record: DelimitedRecord) => boolean;

/**
 * Calls `take` with each record of a table of text in UTF-8, plain or gzipped, but for lines with nothing on them, and
 * `afterPiece` now and then between records. Memory: a few pieces of the file, or a few times the longest record.
 *
 * Throws `DATA_FORMAT` for a record of more than `MAX_CHARACTERS` and for quotes that are not closed, what `textPieces`
 * throws, and what `take` and `afterPiece` throw.
 */
export async function forEachRecord(
  path: string,
  delimiter: string,
  take: TakeRecord,
  { pieces = textPieces(path), afterPiece }: RecordOptions = {},
): Promise<void> {
  const reader = new RecordReader(path, delimiter, take);
  for await (const { piece, last } of decodedPieces(pieces)) {
    if (!reader.add(piece, last)) return;
    await afterPiece?.();
  }
}

/** The text of a file, without a byte order mark, its last line ended. */
async function* decodedPieces(
  pieces: AsyncIterable<Buffer>,
): AsyncGenerator<{ piece: string; last: boolean }> {
  const decoder = new TextDecoder();
  for await (const bytes of pieces) yield { piece: decoder.decode(bytes, { stream: true }), last: false };
  yield { piece: `${decoder.decode()}\n`, last: true };
}

/** Cuts a text that comes in pieces into records. */
class RecordReader {
  readonly #path: string;
  readonly #delimiter: string;
  readonly #take: TakeRecord;
  readonly #parser: Papa.Parser;
  /** What has not been taken yet: begins with a record. */
  #text = "";
  /** Where in it the next record begins, and on which line of the file. */
  #start = 0;
  #line = 1;
  #emptyLines = 0;
  #hasQuotes = false;
  #hasBlanks = false;
  /** The text is looked at again when it is so long. */
  #wanted = 0;
  #isStopped = false;

  constructor(path: string, delimiter: string, take: TakeRecord) {
    this.#path = path;
    this.#delimiter = delimiter;
    this.#take = take;
    this.#parser = new Papa.Parser({
      delimiter,
      newline: "\n",
      step: (result: Papa.ParseStepResult<string[]>) => this.#step(result),
    });
  }

  /** Takes the records that end in the next piece; false if no more are wanted. */
  add(piece: string, isLast: boolean): boolean {
    this.#text += piece;
    if (!isLast && this.#text.length < this.#wanted) return true;
    this.#start = 0;
    this.#hasQuotes = this.#text.includes('"');
    this.#hasBlanks = this.#text.includes(" ");
    const { errors } = this.#parser.parse(this.#text, 0, true) as Papa.ParseResult<string[]>;
    if (this.#isStopped) return false;
    // The last record may seem wrong because it is not whole, but not twice.
    if (errors.length > 1) throw this.#quoteWithin();
    this.#text = this.#text.slice(this.#start);
    const { length } = this.#text;
    const most = this.#hasQuotes ? MAX_QUOTED_CHARACTERS : MAX_CHARACTERS;
    if (isLast ? length > 0 : length > most) {
      throw this.#text.includes('"')
        ? this.#fault('a double quote is opened and never closed; write names with " twice')
        : this.#fault("the line never ends");
    }
    // Twice what the parser gave up on: a long record is not looked through again and again.
    this.#wanted = Math.min(2 * length, most + 1);
    return true;
  }

  #step({ data, errors, meta: { cursor } }: Papa.ParseStepResult<string[]>): void {
    // The parser gives a list of one record, whatever its type says.
    const [fields = []] = data as unknown as string[][];
    if (errors.length > 0) throw this.#quoteWithin();
    const end = fields.length - 1;
    const final = fields[end];
    if (final?.endsWith("\r") === true) fields[end] = final.slice(0, -1);
    if (this.#hasBlanks) {
      const record = this.#hasQuotes ? this.#text.slice(this.#start, cursor) : undefined;
      trimFields(fields, this.#delimiter, record);
    }
    if (end === 0 && fields[0] === "") {
      if (++this.#emptyLines > MAX_EMPTY_LINES) throw this.#fault("there are too many empty lines");
    } else if (!this.#take({ fields, line: this.#line })) {
      this.#isStopped = true;
      this.#parser.abort();
    }
    this.#line += this.#hasQuotes ? newlines(this.#text, this.#start, cursor) : 1;
    this.#start = cursor;
  }

  #quoteWithin(): DdscError {
    return this.#fault('there is a " within a quoted name; write it twice');
  }

  #fault(what: string): DdscError {
    const text = `${this.#path}: line ${this.#line}: ${what}; is this a text file?`;
    return new DdscError("DATA_FORMAT", text, { file: this.#path });
  }
}

/** Takes blanks off the fields that are not quoted; `record` is the text they come from, undefined where none is. */
function trimFields(fields: string[], delimiter: string, record: string | undefined): void {
  let at = 0;
  for (const [i, field] of fields.entries()) {
    const isQuoted = record?.[at] === '"';
    if (isQuoted) at = record.indexOf(delimiter, at + 2 + field.replaceAll('"', '""').length) + 1;
    else at += field.length + 1;
    if (isQuoted || !(field.startsWith(" ") || field.endsWith(" "))) continue;
    const plain = field.trim();
    fields[i] = /^".*"$/s.test(plain) ? plain.slice(1, -1).replaceAll('""', '"') : plain;
  }
}

function newlines(text: string, start: number, end: number): number {
  let count = 0;
  for (let at = text.indexOf("\n", start); at !== -1 && at < end; at = text.indexOf("\n", at + 1)) count++;
  return count;
}
