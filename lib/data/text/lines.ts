import { DdscError } from "../../base/errors.js";
import { textPieces } from "../io/gzip_pieces.js";

const NEWLINE = 10;
const RETURN = 13;
/** No line of numbers or names is longer; comments (metadata as JSON) may be nearly so. */
export const MAX_LINE_BYTES = 1 << 20;
/** No name of a cell or gene is longer. */
const MAX_NAME_BYTES = 1 << 12;
/** A file with more empty lines is taken for a damaged one. */
export const MAX_EMPTY_LINES = 1 << 20;
const BYTE_ORDER_MARK = Buffer.from("\ufeff");

/**
 * The lines of a text file, plain or gzipped, one at a time and then the rest in pieces. Lines end with LF or CRLF; a byte
 * order mark is dropped. Throws `DATA_FORMAT` for a line of more than `MAX_LINE_BYTES`, and what `textPieces` throws.
 */
export class TextLines {
  /** Number of the line that `next` gave last, from 1. */
  line = 0;
  readonly #path: string;
  readonly #pieces: AsyncGenerator<Buffer>;
  #rest = Buffer.alloc(0);
  /** Where the lines that have not been given begin. */
  #at = 0;

  constructor(path: string, signal?: AbortSignal) {
    this.#path = path;
    this.#pieces = textPieces(path, signal);
  }

  /** The next line without its end, valid until the next call; undefined after the last. */
  async next(): Promise<Buffer | undefined> {
    for (;;) {
      const end = this.#rest.indexOf(NEWLINE, this.#at);
      if (end !== -1) {
        const line = lineAt(this.#rest, this.#at, end);
        this.#at = end + 1;
        return this.#count(line);
      }
      const rest = this.#rest.subarray(this.#at);
      this.#checkLine(rest);
      this.#at = 0;
      const piece = await this.#pieces.next();
      if (piece.done !== true) {
        this.#rest = Buffer.concat([rest, piece.value]);
        continue;
      }
      this.#rest = Buffer.alloc(0);
      return rest.length === 0 ? undefined : this.#count(rest);
    }
  }

  /** What is left, in pieces that end with the end of a line (added to the last line where it has none). */
  async *wholeLines(): AsyncGenerator<Buffer> {
    const given = this.#rest.lastIndexOf(NEWLINE) + 1;
    if (given > this.#at) yield this.#rest.subarray(this.#at, given);
    let rest = this.#rest.subarray(Math.max(this.#at, given));
    for (;;) {
      this.#checkLine(rest);
      const piece = await this.#pieces.next();
      if (piece.done === true) break;
      const end = piece.value.lastIndexOf(NEWLINE) + 1;
      if (end > 0) yield Buffer.concat([rest, piece.value.subarray(0, end)]);
      rest = end > 0 ? Buffer.from(piece.value.subarray(end)) : Buffer.concat([rest, piece.value]);
    }
    if (rest.length > 0) yield Buffer.concat([rest, Buffer.of(NEWLINE)]);
  }

  /** Closes the file, where it was not read to its end. */
  async close(): Promise<void> {
    await this.#pieces.return(undefined);
  }

  #count(line: Buffer): Buffer {
    this.line++;
    const marked = this.line === 1 && line.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
    return marked ? line.subarray(BYTE_ORDER_MARK.length) : line;
  }

  /** Throws where the beginning of a line is longer than any. */
  #checkLine(begun: Buffer): void {
    if (begun.length <= MAX_LINE_BYTES) return;
    throw new DdscError(
      "DATA_FORMAT",
      `${this.#path}: a line is longer than ${MAX_LINE_BYTES} bytes; is this a text file?`,
      { file: this.#path },
    );
  }
}

/** Throws `DATA_FORMAT` for what is too long to be the name of a cell or gene. */
export function checkNameLength(path: string, bytes: number): void {
  if (bytes <= MAX_NAME_BYTES) return;
  throw new DdscError(
    "DATA_FORMAT",
    `${path}: a name of a cell or gene is longer than ${MAX_NAME_BYTES} bytes; is this the right file, and is its first column that of names?`,
    { file: path },
  );
}

/** `DATA_FORMAT` for a file of more than `MAX_EMPTY_LINES`. */
export function tooManyEmptyLines(path: string): DdscError {
  return new DdscError(
    "DATA_FORMAT",
    `${path}: has more than ${MAX_EMPTY_LINES} empty lines; is this a text file?`,
    { file: path },
  );
}

/** Calls `take` with each line of a text file, as `TextLines` gives them, until it says false; a line is valid until the next. */
export async function forEachLine(path: string, take: (line: Buffer) => boolean): Promise<void> {
  const lines = new TextLines(path);
  try {
    const first = await lines.next();
    if (first === undefined || !take(first)) return;
    for await (const piece of lines.wholeLines()) {
      for (let at = 0; at < piece.length; ) {
        const end = piece.indexOf(NEWLINE, at);
        if (!take(lineAt(piece, at, end))) return;
        at = end + 1;
      }
    }
  } finally {
    await lines.close();
  }
}

/** The line that begins at `start` and ends before the LF at `end`, without CR. */
function lineAt(text: Buffer, start: number, end: number): Buffer {
  return text.subarray(start, end > start && text[end - 1] === RETURN ? end - 1 : end);
}
