import { type FileHandle, open } from "node:fs/promises";
import { DdscError } from "../../base/errors.js";
import { textPieces } from "../io/gzip_pieces.js";
import { positionsByRow, type RawRows, rowRuns } from "../sources/count_matrix.js";
import { type Column, takeRows } from "../sources/frame.js";
import { PackedStrings } from "../sources/packed_strings.js";
import { rowRange } from "../sources/parts.js";
import type { DelimitedLayout } from "../tables/table_layout.js";
import { FieldBounds, firstFieldText } from "./delimited_fields.js";
import { textRecords } from "./delimited_records.js";
import { ColumnBuilder, countSink, LineParser } from "./delimited_rows.js";

/** Lines this near to each other are read together. */
const LINE_GAP = 4;
/** Text read from the file at once, unless a line is longer. */
const BYTES_AT_ONCE = 1 << 22;
const NEWLINE = 10;
const RETURN = 13;

/** Where the lines of an uncompressed table are, and their names. */
export interface LineIndex {
  /** Start of each line, and the end of the last, bytes, [lines + 1]. */
  readonly starts: Float64Array;
  /** Names of the lines; undefined if they have none. */
  readonly names: PackedStrings | undefined;
}

/** Finds the lines of a table in one pass; lines with nothing on them are left out. Throws what `textRecords` throws. */
export async function indexLines(
  path: string,
  layout: DelimitedLayout,
  delimiter: number,
): Promise<LineIndex> {
  let starts = new Float64Array(1 << 10);
  let count = 0;
  let end = 0;
  const names = layout.named ? new PackedStrings() : undefined;
  const bounds = new FieldBounds();
  let header = true;
  for await (const record of textRecords(textPieces(path), path, true)) {
    if (record.bytes.length === 0) continue;
    if (header) {
      header = false;
      continue;
    }
    if (count + 1 >= starts.length) {
      const longer = new Float64Array(2 * starts.length);
      longer.set(starts);
      starts = longer;
    }
    starts[count++] = record.start;
    end = record.end;
    if (names === undefined) continue;
    names.push(Buffer.from(firstFieldText(record.bytes, delimiter, bounds)));
  }
  starts[count] = end;
  return { starts: starts.slice(0, count + 1), names };
}

/** An uncompressed table of cells by genes, read by its index of lines. */
export class IndexedTable {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #index: LineIndex;
  readonly #layout: DelimitedLayout;
  readonly #parser: LineParser;

  private constructor(
    path: string,
    file: FileHandle,
    index: LineIndex,
    layout: DelimitedLayout,
    delimiter: number,
  ) {
    this.#path = path;
    this.#file = file;
    this.#index = index;
    this.#layout = layout;
    this.#parser = new LineParser(path, layout, delimiter);
  }

  /** Opens a table whose layout is known; looks through it once. */
  static async open(path: string, layout: DelimitedLayout, delimiter: number): Promise<IndexedTable> {
    const index = await indexLines(path, layout, delimiter);
    return new IndexedTable(path, await open(path, "r"), index, layout, delimiter);
  }

  /** Number of lines: of cells. */
  get cellCount(): number {
    return this.#index.starts.length - 1;
  }

  /** Names of the lines; undefined if they have none. */
  get names(): PackedStrings | undefined {
    return this.#index.names;
  }

  /** The counts of lines, in the order given, repeats allowed. Throws what `LineParser.counts` throws. */
  async counts(rows: Int32Array, signal?: AbortSignal): Promise<RawRows> {
    const sink = countSink(this.#layout);
    const starts = new Int32Array(rows.length);
    const lengths = new Int32Array(rows.length);
    await this.#visit(rows, signal, async (position, record) => {
      const start = sink.count;
      starts[position] = start;
      await this.#parser.counts(record, sink, () => this.#lineOf(rows[position] ?? 0));
      lengths[position] = sink.count - start;
    });
    const offsets = new Int32Array(rows.length + 1);
    for (const [i, length] of lengths.entries()) offsets[i + 1] = (offsets[i] ?? 0) + length;
    const columns = new Int32Array(offsets[rows.length] ?? 0);
    const values = new Float32Array(columns.length);
    for (const [i, start] of starts.entries()) {
      const end = start + (lengths[i] ?? 0);
      columns.set(sink.columns.subarray(start, end), offsets[i]);
      values.set(sink.values.subarray(start, end), offsets[i]);
    }
    return { offsets, columns, values };
  }

  /** Metadata columns of lines, of all if `rows` is undefined. */
  async metadata(names: readonly string[], rows: Int32Array | undefined): Promise<Map<string, Column>> {
    const described = names.flatMap((name) =>
      this.#layout.described.filter((column) => column.name === name),
    );
    const fields = described.map(({ field }) => field);
    const wanted = rows ?? rowRange(0, this.cellCount);
    // Values come in the order of the file and are then put into the order asked for.
    const builders = described.map(({ kind }) => new ColumnBuilder(kind));
    const order = new Int32Array(wanted.length);
    let seen = 0;
    await this.#visit(wanted, undefined, (position, record) => {
      order[position] = seen++;
      for (const [i, value] of this.#parser.values(record, fields).entries()) builders[i]?.push(value);
    });
    return new Map(
      described.map(({ name }, i) => {
        const column = builders[i]?.finish() ?? new ColumnBuilder("text").finish();
        return [name, rows === undefined ? column : takeRows(column, order)];
      }),
    );
  }

  /** Closes the file. */
  close(): void {
    void this.#file.close().catch(() => undefined);
  }

  /** Calls `visit` with the text of each line asked for, in the order of the file; `position` is its place in `rows`. */
  async #visit(
    rows: Int32Array,
    signal: AbortSignal | undefined,
    visit: (position: number, record: Buffer) => Promise<void> | void,
  ): Promise<void> {
    const { starts } = this.#index;
    const positions = positionsByRow(rows);
    let next = 0;
    for (const run of rowRuns(rows, LINE_GAP, Number.POSITIVE_INFINITY)) {
      for (let first = run.first; first < run.end; ) {
        const base = starts[first] ?? 0;
        let end = first + 1;
        while (end < run.end && (starts[end + 1] ?? 0) - base <= BYTES_AT_ONCE) end++;
        signal?.throwIfAborted();
        const text = await this.#readText(base, starts[end] ?? 0);
        for (; next < positions.length; next++) {
          const position = positions[next] ?? 0;
          const row = rows[position] ?? 0;
          if (row >= end) break;
          await visit(
            position,
            trimmed(text.subarray((starts[row] ?? 0) - base, (starts[row + 1] ?? 0) - base)),
          );
        }
        first = end;
      }
    }
  }

  async #readText(start: number, end: number): Promise<Buffer> {
    const text = Buffer.alloc(end - start);
    for (let done = 0; done < text.length; ) {
      const { bytesRead } = await this.#file.read(text, done, text.length - done, start + done);
      if (bytesRead === 0) {
        throw new DdscError(
          "DATA_TRUNCATED",
          `${this.#path}: has become shorter while it was read; open it again`,
          {
            file: this.#path,
          },
        );
      }
      done += bytesRead;
    }
    return text;
  }

  /** The number of the line that a row is on, found by counting. */
  async #lineOf(row: number): Promise<number> {
    const start = this.#index.starts[row] ?? 0;
    let line = 1;
    let offset = 0;
    for await (const piece of textPieces(this.#path)) {
      for (
        let at = piece.indexOf(NEWLINE);
        at !== -1 && offset + at < start;
        at = piece.indexOf(NEWLINE, at + 1)
      )
        line++;
      offset += piece.length;
      if (offset >= start) break;
    }
    return line;
  }
}

/** A line without its end, and without empty lines after it. */
function trimmed(record: Buffer): Buffer {
  let end = record.length;
  while (end > 0 && (record[end - 1] === NEWLINE || record[end - 1] === RETURN)) end--;
  return record.subarray(0, end);
}
