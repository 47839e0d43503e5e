import { DdscError } from "../../base/errors.js";
import { corrupt } from "../io/random_access.js";
import type { EntryBatch } from "../sources/compact_rows.js";
import { MAX_EMPTY_LINES, TextLines, tooManyEmptyLines } from "./lines.js";
import { EXACT_DIGITS, parseNumber } from "./numbers.js";

const NEWLINE = 10;
const RETURN = 13;
const TAB = 9;
const SPACE = 32;
const PERCENT = 37;
const ZERO = 48;
const MAX_EXTENT = 0x7fff_ffff;
/** Comments and empty lines before the sizes. */
const MAX_HEADER_LINES = 1 << 20;
const MAX_HEADER_BYTES = 1 << 24;
/** The shortest entry: "1 1" and the end of its line. */
const MIN_ENTRY_BYTES = 4;

/** Numbers of rows, columns and entries that the header claims. */
interface Shape {
  readonly rows: number;
  readonly columns: number;
  readonly entries: number;
}

/** A Matrix Market file whose header has been read; `batches` reads the rest, once. */
export interface MatrixMarketFile extends Shape {
  /** The entries as in the file, numbered from 0; `rows` and `columns` are the file's. */
  batches(): AsyncGenerator<EntryBatch>;
  /** Closes the file, where `batches` was not read to its end. */
  close(): Promise<void>;
}

/**
 * Opens a Matrix Market coordinate file, plain or gzipped: integer, real, double or pattern (each entry counts 1), general.
 * Throws `DATA_FORMAT` for another kind, and what `TextLines` throws.
 *
 * `batches` throws `DATA_FORMAT` for more than `MAX_EMPTY_LINES`, `DATA_CORRUPT` naming the line, for numbers that are none, entries outside the matrix and more
 * entries than claimed; `DATA_TRUNCATED` for fewer. Values that are NaN or infinite are passed on.
 */
export async function openMatrixMarket(path: string, signal?: AbortSignal): Promise<MatrixMarketFile> {
  const lines = new TextLines(path, signal);
  try {
    const pattern = checkBanner(path, await lines.next());
    let size = await lines.next();
    let skipped = 0;
    while (size !== undefined && isSkipped(size) && lines.line < MAX_HEADER_LINES) {
      skipped += size.length;
      if (skipped > MAX_HEADER_BYTES) break;
      size = await lines.next();
    }
    const [rows, columns, entries] = readSize(path, size, lines.line);
    const shape = { rows, columns, entries };
    return {
      ...shape,
      batches: () => readEntries(path, lines, shape, pattern),
      close: () => lines.close(),
    };
  } catch (error) {
    await lines.close();
    throw error;
  }
}

/** True for a comment and for a line with nothing but blanks. */
function isSkipped(line: Buffer): boolean {
  return line[0] === PERCENT || skipBlanks(line, 0) === line.length;
}

/** True if entries have no value. Throws `DATA_FORMAT` unless the first line announces a supported matrix. */
function checkBanner(path: string, line: Buffer | undefined): boolean {
  const words = (line ?? Buffer.alloc(0)).toString("latin1").trim().split(/\s+/);
  const [banner, object, format, field, symmetry] = words.map((word) => word.toLowerCase());
  const fail = (what: string): DdscError => new DdscError("DATA_FORMAT", `${path}: ${what}`, { file: path });
  if (banner !== "%%matrixmarket")
    throw fail("is no Matrix Market file: it does not begin with %%MatrixMarket");
  if (object !== "matrix" || format !== "coordinate") {
    throw fail(`holds a Matrix Market "${object} ${format}"; write it as a sparse matrix (coordinate)`);
  }
  if (field === undefined || !["integer", "real", "double", "pattern"].includes(field)) {
    throw fail(`holds values of the kind "${field}"; supported are integer, real and pattern`);
  }
  if (symmetry !== "general")
    throw fail(`is a "${symmetry}" matrix; cells by genes must be written as general`);
  return field === "pattern";
}

function readSize(path: string, line: Buffer | undefined, number: number): [number, number, number] {
  const words = (line ?? Buffer.alloc(0)).toString("latin1").trim().split(/\s+/);
  const numbers = words.map((word) => (/^\d{1,16}$/.test(word) ? Number(word) : Number.NaN));
  const [rows, columns, entries] = numbers;
  if (rows === undefined || columns === undefined || entries === undefined || numbers.some(Number.isNaN)) {
    throw corrupt(path, `line ${number}: expected the numbers of rows, columns and entries`);
  }
  if (rows > MAX_EXTENT || columns > MAX_EXTENT) {
    throw new DdscError(
      "DATA_TOO_LARGE",
      `${path}: claims ${rows} x ${columns}; at most 2^31 - 1 cells and genes are supported`,
      { file: path },
    );
  }
  return [rows, columns, entries];
}

async function* readEntries(
  path: string,
  lines: TextLines,
  shape: Shape,
  pattern: boolean,
): AsyncGenerator<EntryBatch> {
  const parser = new EntryParser(path, shape, pattern, lines.line);
  for await (const piece of lines.wholeLines()) yield parser.parse(piece);
  if (parser.seen < shape.entries) {
    throw new DdscError(
      "DATA_TRUNCATED",
      `${path}: has ${parser.seen} of the ${shape.entries} entries that its header claims (an interrupted copy or download?); fetch it again`,
      { file: path },
    );
  }
}

/** Reads entries from whole lines. */
class EntryParser {
  /** Entries read so far. */
  seen = 0;
  readonly #path: string;
  readonly #shape: Shape;
  readonly #pattern: boolean;
  /** Lines before the one that is read. */
  #line: number;
  #emptyLines = 0;

  constructor(path: string, shape: Shape, pattern: boolean, line: number) {
    this.#path = path;
    this.#shape = shape;
    this.#pattern = pattern;
    this.#line = line;
  }

  /** The entries of a piece that ends with the end of a line. */
  parse(piece: Buffer): EntryBatch {
    const most = Math.ceil(piece.length / MIN_ENTRY_BYTES);
    const rows = new Int32Array(most);
    const columns = new Int32Array(most);
    const values = new Float32Array(most);
    let count = 0;
    for (let at = 0; at < piece.length; this.#line++) {
      at = skipBlanks(piece, at);
      if (!atLineEnd(piece, at)) {
        const row = wholeNumber(piece, at);
        if (!(row >= 1 && row <= this.#shape.rows)) throw this.#badIndex(piece, at, "row", this.#shape.rows);
        at = skipBlanks(piece, wordEnd(piece, at));
        const column = wholeNumber(piece, at);
        if (!(column >= 1 && column <= this.#shape.columns))
          throw this.#badIndex(piece, at, "column", this.#shape.columns);
        at = wordEnd(piece, at);
        if (!this.#pattern) {
          at = skipBlanks(piece, at);
          const end = wordEnd(piece, at);
          const value = valueAt(piece, at, end);
          if (value === undefined) throw this.#corrupt(`expected a value, found "${wordAt(piece, at)}"`);
          values[count] = value;
          at = end;
        } else {
          values[count] = 1;
        }
        rows[count] = row - 1;
        columns[count++] = column - 1;
        at = skipBlanks(piece, at);
        if (!atLineEnd(piece, at))
          throw this.#corrupt(`expected the end of the line, found "${wordAt(piece, at)}"`);
        if (this.seen + count > this.#shape.entries) {
          throw this.#corrupt(
            `there are more than the ${this.#shape.entries} entries that the header claims`,
          );
        }
      } else if (++this.#emptyLines > MAX_EMPTY_LINES) throw tooManyEmptyLines(this.#path);
      at += piece[at] === RETURN ? 2 : 1;
    }
    this.seen += count;
    return { rows, columns, values, count };
  }

  #badIndex(piece: Buffer, at: number, what: string, extent: number): DdscError {
    const word = wordAt(piece, at);
    if (!/^\d+$/.test(word)) return this.#corrupt(`expected a ${what} number, found "${word}"`);
    return this.#corrupt(`${what} ${word} is outside 1 to ${extent}`);
  }

  #corrupt(what: string): DdscError {
    return corrupt(this.#path, `line ${this.#line + 1}: ${what}`);
  }
}

function skipBlanks(piece: Buffer, start: number): number {
  let at = start;
  while (piece[at] === SPACE || piece[at] === TAB) at++;
  return at;
}

function atLineEnd(piece: Buffer, at: number): boolean {
  return piece[at] === NEWLINE || (piece[at] === RETURN && piece[at + 1] === NEWLINE);
}

/** The digits of the word at `at` as a number; NaN if it has others, or none. */
function wholeNumber(piece: Buffer, at: number): number {
  let value = 0;
  let end = at;
  for (let digit = (piece[end] ?? 0) - ZERO; digit >= 0 && digit <= 9; digit = (piece[end] ?? 0) - ZERO) {
    value = value * 10 + digit;
    end++;
  }
  return end > at && (piece[end] ?? 0) <= SPACE ? value : Number.NaN;
}

/** The number between two places; undefined if it is none. */
function valueAt(piece: Buffer, start: number, end: number): number | undefined {
  const value = end - start <= EXACT_DIGITS ? wholeNumber(piece, start) : Number.NaN;
  return Number.isNaN(value) ? parseNumber(piece.toString("latin1", start, end)) : value;
}

function wordEnd(piece: Buffer, start: number): number {
  let end = start;
  while (end < piece.length && (piece[end] ?? 0) > SPACE) end++;
  return end;
}

function wordAt(piece: Buffer, start: number): string {
  return piece.toString("latin1", start, Math.min(wordEnd(piece, start), start + 40)).replace(/[^ -~]/g, "?");
}
