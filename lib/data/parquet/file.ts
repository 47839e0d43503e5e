import { crc32 } from "node:zlib";
import { LRUCache } from "lru-cache";
import { DdscError } from "../../base/errors.js";
import { type NativeColumn, type NativeRows, PAGE_FIELDS, rowsByPage } from "../../native/data.js";
import { freeMemory } from "../../native/tokens.js";
import { namedErrors } from "../io/inflate.js";
import { corrupt, type RandomAccess } from "../io/random_access.js";
import type { GroupRows } from "../sources/parts.js";
import { checkCodec, inflatePage } from "./codecs.js";
import { type ParquetFooter, type ParquetLeaf, readFooter } from "./footer.js";
import { type ParquetPage, parsePageHeader } from "./pages.js";
import type { ParquetColumnChunk } from "./row_groups.js";
import { ThriftError } from "./thrift.js";

/** Pages ready to be decoded, and which of their rows are wanted. */
export interface ColumnRows {
  readonly column: NativeColumn;
  readonly rows: NativeRows;
}

/** A page and its place in the file. */
interface PlacedPage extends ParquetPage {
  /** Where its header begins. */
  readonly offset: number;
  /** Rows of the row group that start before it. */
  rowsBefore: number;
}

/** How a file is read. */
export interface ParquetFileOptions {
  /** Columns of a row group up to so many bytes are read at once, longer ones page by page; default 16 MiB. */
  readonly wholeColumn?: number;
}

const WHOLE_COLUMN = 1 << 24;
/** Read with each header, in the hope that the page follows. */
const PAGE_READ = 1 << 16;
const MAX_HEADER = 1 << 24;
const KEPT_INDEXES = 16;

/**
 * A Parquet file open for reading: gives out the pages of columns. Only the footer is kept in memory, and for row groups
 * that are too large to be read at once, where their pages are.
 */
export class ParquetFile {
  readonly name: string;
  readonly footer: ParquetFooter;
  readonly #file: RandomAccess;
  readonly #wholeColumn: number;
  /** Made where a column is not read whole: of thousands of files, most never need it. */
  #indexes: LRUCache<string, Promise<PlacedPage[]>> | undefined;

  private constructor(file: RandomAccess, footer: ParquetFooter, options: ParquetFileOptions) {
    this.name = file.name;
    this.#wholeColumn = options.wholeColumn ?? WHOLE_COLUMN;
    this.footer = footer;
    this.#file = file;
  }

  /** Reads the footer, and closes the file if that fails: see `readFooter`. */
  static async open(file: RandomAccess, options: ParquetFileOptions = {}): Promise<ParquetFile> {
    try {
      return new ParquetFile(file, await readFooter(file), options);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  close(): void {
    this.#file.close();
  }

  /**
   * Pages of one column that hold the rows asked for. Throws `DATA_CORRUPT`, `DATA_FORMAT`, and what reading the file
   * throws.
   */
  async readColumn(leaf: number, wanted: GroupRows, signal?: AbortSignal): Promise<ColumnRows> {
    const { shape, chunk } = this.#find(leaf, wanted.group);
    const all = wanted.first === 0 && wanted.count === this.footer.rowGroups.rows[wanted.group];
    if (all || chunk.bytes <= this.#wholeColumn) {
      const bytes = await this.#file.read(chunk.offset, chunk.bytes, signal);
      const read = await this.wholeColumn(leaf, wanted, bytes);
      if (read.column.bodies.every(({ buffer }) => buffer !== bytes.buffer)) freeMemory(bytes);
      return read;
    }
    const index = await this.#index(leaf, wanted.group, signal);
    const data = index.filter(({ kind }) => kind === "data" || kind === "dataV2");
    const end = wanted.first + wanted.count;
    let from = 0;
    while ((data[from + 1]?.rowsBefore ?? Number.POSITIVE_INFINITY) <= wanted.first) from++;
    // The last row may go on in the page in which the one after it starts.
    let to = from;
    while ((data[to + 1]?.rowsBefore ?? Number.POSITIVE_INFINITY) <= end) to++;
    const needed = [...index.filter(({ kind }) => kind === "dictionary"), ...data.slice(from, to + 1)];
    const bodies = await Promise.all(
      needed.map((page) => this.#file.read(page.offset + page.headerBytes, page.compressedBytes, signal)),
    );
    const column = await this.#column(shape, chunk.codec, needed, bodies);
    const first = wanted.first - (data[from]?.rowsBefore ?? 0);
    return { column, rows: { first, count: wanted.count, startsInside: from > 0 } };
  }

  /** As `readColumn`, from all bytes of the column, which the caller has read (see `ParquetColumnChunk`). */
  async wholeColumn(leaf: number, wanted: GroupRows, bytes: Uint8Array): Promise<ColumnRows> {
    const { shape, chunk } = this.#find(leaf, wanted.group);
    const pages: ParquetPage[] = [];
    const bodies: Uint8Array[] = [];
    let values = 0;
    for (let at = 0; at < bytes.length && values < chunk.values; ) {
      const page = this.#parse(bytes, at);
      const start = at + page.headerBytes;
      at = start + page.compressedBytes;
      if (at > bytes.length) throw this.#corrupt("a page goes past the end of its column");
      if (page.kind === "other") continue;
      if (page.kind !== "dictionary") values += page.values;
      pages.push(page);
      bodies.push(bytes.subarray(start, at));
    }
    if (values !== chunk.values)
      throw this.#corrupt(`a column has ${values} values, its footer says ${chunk.values}`);
    const column = await this.#column(shape, chunk.codec, pages, bodies);
    return { column, rows: { first: wanted.first, count: wanted.count, startsInside: false } };
  }

  /** Bytes of the file, for callers that read several columns at once. */
  readBytes(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#file.read(offset, length, signal);
  }

  #find(leaf: number, group: number): { shape: ParquetLeaf; chunk: ParquetColumnChunk } {
    const shape = this.footer.leaves[leaf];
    const chunk = this.footer.rowGroups.column(group, leaf);
    if (shape === undefined || chunk === undefined)
      throw new DdscError("ARGUMENT_RANGE", `${this.name}: there is no column ${leaf} in row group ${group}`);
    checkCodec(this.name, chunk.codec);
    return { shape, chunk };
  }

  /** Checks pages, decompresses them, and puts them together for native code. */
  async #column(
    shape: ParquetLeaf,
    codec: number,
    pages: readonly ParquetPage[],
    compressed: readonly Uint8Array[],
  ): Promise<NativeColumn> {
    for (const [i, { checksum }] of pages.entries()) {
      if (checksum !== undefined && crc32(compressed[i] ?? "") !== checksum)
        throw this.#corrupt("a page's checksum does not fit its contents");
    }
    const bodies = await namedErrors(this.name, () =>
      Promise.all(pages.map((page, i) => inflatePage(codec, page, compressed[i] ?? new Uint8Array(0)))),
    );
    const table = new Float64Array(pages.length * PAGE_FIELDS);
    for (const [i, page] of pages.entries()) {
      const kind = page.kind === "dictionary" ? 0 : page.kind === "data" ? 1 : 2;
      const { encoding, values, definitionBytes, repetitionBytes } = page;
      table.set([kind, encoding, values, definitionBytes, repetitionBytes], i * PAGE_FIELDS);
    }
    const { physical, maxDefinition, maxRepetition, entryDefinition } = shape;
    return { bodies, pages: table, physical, maxDefinition, maxRepetition, entryDefinition };
  }

  #index(leaf: number, group: number, signal: AbortSignal | undefined): Promise<PlacedPage[]> {
    const key = `${group}/${leaf}`;
    this.#indexes ??= new LRUCache({ max: KEPT_INDEXES });
    const indexes = this.#indexes;
    const known = indexes.get(key);
    if (known !== undefined) return known;
    const index = this.#makeIndex(leaf, group, signal);
    indexes.set(key, index);
    index.catch(() => indexes.delete(key));
    return index;
  }

  /** Walks over the pages of a column. Where headers do not say how many rows a page has, its levels are read, too. */
  async #makeIndex(leaf: number, group: number, signal: AbortSignal | undefined): Promise<PlacedPage[]> {
    const { shape, chunk } = this.#find(leaf, group);
    const pages: PlacedPage[] = [];
    const end = chunk.offset + chunk.bytes;
    let values = 0;
    let rows = 0;
    for (let at = chunk.offset; at < end && values < chunk.values; ) {
      const { page, bytes } = await this.#pageAt(at, end, signal);
      const bodyStart = at + page.headerBytes;
      if (bodyStart + page.compressedBytes > end)
        throw this.#corrupt("a page goes past the end of its column");
      const isData = page.kind === "data" || page.kind === "dataV2";
      if (page.kind !== "other") pages.push({ ...page, offset: at, rowsBefore: rows });
      if (isData) {
        values += page.values;
        if (shape.maxRepetition === 0) rows += page.values;
        else if (page.rows !== undefined) rows += page.rows;
        else {
          const inside = bytes.subarray(page.headerBytes, page.headerBytes + page.compressedBytes);
          const body =
            inside.length === page.compressedBytes
              ? inside
              : await this.#file.read(bodyStart, page.compressedBytes, signal);
          const column = await this.#column(shape, chunk.codec, [page], [body]);
          rows += (await this.native(rowsByPage(column)))[0] ?? 0;
        }
      }
      at = bodyStart + page.compressedBytes;
    }
    const expected = this.footer.rowGroups.rows[group] ?? 0;
    if (rows !== expected) throw this.#corrupt(`a column has ${rows} rows, its row group ${expected}`);
    return pages;
  }

  async #pageAt(
    at: number,
    end: number,
    signal: AbortSignal | undefined,
  ): Promise<{ page: ParquetPage; bytes: Uint8Array }> {
    for (let length = PAGE_READ; ; length *= 16) {
      const bytes = await this.#file.read(at, Math.min(length, end - at), signal);
      try {
        return { page: parsePageHeader(bytes, 0), bytes };
      } catch (error) {
        const more =
          error instanceof ThriftError && error.ended && bytes.length < end - at && length < MAX_HEADER;
        if (!more) throw this.#damaged(error);
      }
    }
  }

  #parse(bytes: Uint8Array, at: number): ParquetPage {
    try {
      return parsePageHeader(bytes, at);
    } catch (error) {
      throw this.#damaged(error);
    }
  }

  /** Waits for native code; its errors then name the file. */
  native<T>(work: Promise<T>): Promise<T> {
    return namedErrors(this.name, () => work);
  }

  #damaged(error: unknown): unknown {
    return error instanceof ThriftError
      ? this.#corrupt(`a page's header is damaged: ${error.message}`)
      : error;
  }

  #corrupt(what: string): DdscError {
    return corrupt(this.name, what);
  }
}
