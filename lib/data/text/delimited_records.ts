import { DdscError } from "../../base/errors.js";

const NEWLINE = 10;
const RETURN = 13;
const QUOTE = 34;

/** A record longer than this is taken for a damaged or binary file. */
export const MAX_RECORD_BYTES = 1 << 28;

/** A record of a text file: a line, or several where a quoted field goes over them. */
export interface TextRecord {
  /** Without the end of the line; valid until the next record is asked for. */
  readonly bytes: Buffer;
  /** Number of its first line, from 1. */
  readonly line: number;
  /** Where it starts in the (decompressed) file. */
  readonly start: number;
  /** Where the next record starts. */
  readonly end: number;
}

/**
 * Cuts text into records at LF or CRLF; a byte order mark at the start is dropped. With `quotes`, line ends between double
 * quotes do not count. A last line without an end counts, an empty rest does not. Throws `DATA_FORMAT` for a record of
 * more than `MAX_RECORD_BYTES`.
 */
export async function* textRecords(
  pieces: AsyncIterable<Buffer>,
  path: string,
  quotes = false,
): AsyncGenerator<TextRecord> {
  // Pieces of a record that is not complete yet.
  let begun: Buffer[] = [];
  let begunBytes = 0;
  let quoted = false;
  let line = 1;
  let lines = 0;
  let start = 0;
  let first = true;

  const record = (last: Buffer, end: number): TextRecord => {
    let bytes = begun.length === 0 ? last : Buffer.concat([...begun, last]);
    if (bytes.at(-1) === RETURN) bytes = bytes.subarray(0, -1);
    if (first && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) bytes = bytes.subarray(3);
    first = false;
    begun = [];
    begunBytes = 0;
    const found = { bytes, line, start, end };
    line += lines + 1;
    lines = 0;
    start = end;
    return found;
  };

  let offset = 0;
  for await (const piece of pieces) {
    const mayQuote = quotes && (quoted || piece.includes(QUOTE));
    let from = 0;
    for (let at = 0; ; ) {
      const end = piece.indexOf(NEWLINE, at);
      const stop = end === -1 ? piece.length : end;
      if (mayQuote && oddQuotes(piece, at, stop)) quoted = !quoted;
      if (end === -1) break;
      at = end + 1;
      if (quoted) {
        lines++;
        continue;
      }
      yield record(piece.subarray(from, end), offset + at);
      from = at;
    }
    offset += piece.length;
    if (from === piece.length) continue;
    const rest = piece.subarray(from);
    begunBytes += rest.length;
    if (begunBytes > MAX_RECORD_BYTES) throw tooLong(path, line, quoted);
    // The piece's memory may be used again.
    begun.push(Buffer.from(rest));
  }
  if (quoted) throw tooLong(path, line, quoted);
  if (begunBytes > 0) yield record(Buffer.alloc(0), offset);
}

function oddQuotes(piece: Buffer, from: number, end: number): boolean {
  const line = piece.subarray(from, end);
  let odd = false;
  for (let at = line.indexOf(QUOTE); at !== -1; at = line.indexOf(QUOTE, at + 1)) odd = !odd;
  return odd;
}

function tooLong(path: string, line: number, quoted: boolean): DdscError {
  const what = quoted
    ? 'a double quote is opened and never closed; write names with " twice'
    : "the line never ends";
  return new DdscError("DATA_FORMAT", `${path}: line ${line}: ${what}; is this a text file?`, { file: path });
}
