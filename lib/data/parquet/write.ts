import { type FileHandle, open, rm } from "node:fs/promises";
import type { Table } from "apache-arrow";
import { checkWhole, DdscError } from "../../base/errors.js";
import { fileWriteError } from "../../base/files.js";
import { beginTemporary, publishFile } from "../../base/publish.js";
import { isTurnOver, takeTurn } from "../../base/turns.js";
import type { CellBlock, MetadataColumn } from "../sources/cells.js";
import { FIRST_TOKEN } from "../tahoe/layout.js";
import { type ColumnValues, type EncodedColumn, encodeColumn } from "./encode.js";
import { encodeFooter, type WrittenGroup, type WrittenLeaf } from "./footer_write.js";
import { MAGIC, Physical } from "./format.js";
import { expressionValues, metadataValues, physicalType, textValues, tokenValues } from "./values.js";

/** Options of `TahoeShardWriter.create`. */
export interface TahoeShardOptions {
  /** Gene token of each column of the blocks to come, >= 3: see `geneTokens`. */
  readonly tokens: Int32Array;
  /** Columns of cell metadata. Names differ from each other, "genes", "expressions" and `idColumn`. */
  readonly columns?: readonly MetadataColumn[];
  /** Column of cell names; default "BARCODE_SUB_LIB_ID". */
  readonly idColumn?: string;
  /** Cells of a row group; default 1,000. */
  readonly rowGroupCells?: number;
  /** Whether a file that is there in the end is replaced; default true. */
  readonly overwrite?: boolean;
}

/** Cells between two looks at the clock. */
const CELLS_A_LOOK = 16;
const CLS_TOKEN = 1;
const CLS_EXPRESSION = -2;
/** Counts that are held back at most before a row group is written. */
const GROUP_COUNTS = 1 << 22;

/**
 * Writes one Parquet file of cells in the layout of Tahoe-100M: lists of gene tokens and expressions that begin with the pair
 * (1, -2), and columns of metadata; Snappy-compressed, with checksums. Cells come in blocks of any size; at most a row group
 * of them is held in memory. The file has its name only once it is complete and on the disk.
 */
export class TahoeShardWriter {
  readonly path: string;
  readonly #options: Required<TahoeShardOptions>;
  readonly #leaves: readonly WrittenLeaf[];
  readonly #temporary: string;
  #handle: FileHandle | undefined;
  #offset = 0;
  #cells = 0;
  readonly #groups: WrittenGroup[] = [];
  /** What has not been written yet. */
  #held: { block: CellBlock; ids: readonly string[]; metadata: Table | undefined }[] = [];

  private constructor(
    path: string,
    options: Required<TahoeShardOptions>,
    temporary: string,
    handle: FileHandle,
  ) {
    this.path = path;
    this.#options = options;
    this.#leaves = leavesOf(options);
    this.#temporary = temporary;
    this.#handle = handle;
  }

  /** Begins a file. Throws `ARGUMENT_RANGE`, `ARGUMENT_NAME` for a name of a column given twice or taken, `FILE_WRITE`. */
  static async create(path: string, options: TahoeShardOptions): Promise<TahoeShardWriter> {
    const { tokens, columns = [], idColumn = "BARCODE_SUB_LIB_ID", overwrite = true } = options;
    const rowGroupCells = checkWhole("rowGroupCells", options.rowGroupCells ?? 1000, 1, 65_536);
    const names = new Set(["genes", "expressions", idColumn]);
    for (const { name } of columns) {
      if (!names.has(name)) names.add(name);
      else
        throw new DdscError(
          "ARGUMENT_NAME",
          `${path}: there can be only one column named "${name}"; rename it`,
          { file: path },
        );
    }
    try {
      const temporary = await beginTemporary(path);
      const handle = await open(temporary, "wx");
      const writer = new TahoeShardWriter(
        path,
        { tokens, columns, idColumn, rowGroupCells, overwrite },
        temporary,
        handle,
      );
      await writer.#append(MAGIC);
      return writer;
    } catch (error) {
      throw fileWriteError(path, error);
    }
  }

  /**
   * Adds cells. Arrays may be reused by the caller once the promise has been kept, not before.
   * @param ids names of the cells of the block
   * @param metadata a row a cell with the columns announced; may be left out where none was
   *
   * Throws `ARGUMENT_LENGTH`, `ARGUMENT_RANGE` for a column without token, `FILE_WRITE`; the file is given up then.
   */
  async write(block: CellBlock, ids: readonly string[], metadata?: Table): Promise<void> {
    const count = block.rows.length;
    if (ids.length !== count || (this.#options.columns.length > 0 && metadata?.numRows !== count)) {
      await this.abort();
      throw new DdscError(
        "ARGUMENT_LENGTH",
        `${this.path}: ${count} cells came with ${ids.length} names and ${metadata?.numRows ?? 0} rows of metadata; give one a cell`,
        { file: this.path },
      );
    }
    try {
      this.#cells += count;
      this.#held.push({ block: copyBlock(block), ids, metadata });
      while (this.#shouldFlush()) await this.#writeGroup(this.#options.rowGroupCells);
    } catch (error) {
      await this.abort();
      throw fileWriteError(this.path, error);
    }
  }

  /** Writes what is left and the footer, and gives the file its name. Throws `FILE_EXISTS`, `FILE_WRITE`. */
  async close(): Promise<void> {
    try {
      while (this.#heldCells() > 0) await this.#writeGroup(this.#options.rowGroupCells);
      await this.#append(encodeFooter(this.#leaves, this.#cells, this.#groups));
      await this.#file().sync();
      await this.#file().close();
      this.#handle = undefined;
      await publishFile(this.#temporary, this.path, { overwrite: this.#options.overwrite });
    } catch (error) {
      await this.abort();
      throw fileWriteError(this.path, error);
    }
  }

  /** Gives the file up; nothing is left of it. */
  async abort(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    this.#held = [];
    await handle?.close().catch(() => undefined);
    await rm(this.#temporary, { force: true }).catch(() => undefined);
  }

  #file(): FileHandle {
    if (this.#handle !== undefined) return this.#handle;
    throw new DdscError("FILE_WRITE", `${this.path}: has been closed or given up; begin a new file`, {
      file: this.path,
    });
  }

  #heldCells(): number {
    return this.#held.reduce((sum, { ids }) => sum + ids.length, 0);
  }

  #shouldFlush(): boolean {
    const counts = this.#held.reduce((sum, { block }) => sum + block.counts.length, 0);
    return this.#heldCells() >= this.#options.rowGroupCells || counts >= GROUP_COUNTS;
  }

  /** Writes a row group of the first `most` cells held. */
  async #writeGroup(most: number): Promise<void> {
    const cells = await this.#takeHeld(most);
    const { columns } = this.#options;
    const encoded: EncodedColumn[] = [];
    const made: (() => ColumnValues | Promise<ColumnValues>)[] = [
      () => tokenValues(cells.tokens, cells.lists),
      () => expressionValues(cells.expressions, cells.lists),
      () => textValues(cells.ids),
      ...columns.map((column) => () => joinMetadata(column, cells.metadata)),
    ];
    for (const make of made) {
      await takeTurn();
      const values = await make();
      await takeTurn();
      encoded.push(await encodeColumn(values));
    }
    const group: WrittenGroup = {
      rows: cells.ids.length,
      columns: encoded.map(({ bytes, ...rest }, i) => {
        const before = encoded.slice(0, i).reduce((sum, column) => sum + column.bytes.length, 0);
        return { ...rest, bytes: bytes.length, offset: this.#offset + before };
      }),
    };
    for (const { bytes } of encoded) await this.#append(bytes);
    this.#groups.push(group);
  }

  /** Takes cells from what is held, as the lists to be written. */
  async #takeHeld(most: number) {
    const parts: { block: CellBlock; ids: readonly string[]; metadata: Table | undefined }[] = [];
    let count = 0;
    while (count < most) {
      const [next] = this.#held;
      if (next === undefined) break;
      const some = Math.min(most - count, next.ids.length);
      parts.push(sliceCells(next, 0, some));
      if (some === next.ids.length) this.#held.shift();
      else this.#held[0] = sliceCells(next, some, next.ids.length);
      count += some;
    }
    const stored = parts.reduce(
      (sum, { block }) => sum + (block.offsets.at(-1) ?? 0) - (block.offsets[0] ?? 0),
      0,
    );
    const tokens = new Int32Array(stored + count);
    const expressions = new Float32Array(stored + count);
    const lists = new Int32Array(count + 1);
    let at = 0;
    let row = 0;
    for (const { block, ids } of parts) {
      for (let cell = 0; cell < ids.length; cell++) {
        if (cell % CELLS_A_LOOK === 0 && isTurnOver()) await takeTurn();
        tokens[at] = CLS_TOKEN;
        expressions[at++] = CLS_EXPRESSION;
        for (let i = block.offsets[cell] ?? 0; i < (block.offsets[cell + 1] ?? 0); i++) {
          tokens[at] = this.#token(block.columns[i] ?? -1);
          expressions[at++] = block.counts[i] ?? 0;
        }
        lists[++row] = at;
      }
    }
    const metadata = parts.flatMap((part) => (part.metadata === undefined ? [] : [part.metadata]));
    return { tokens, expressions, lists, ids: parts.flatMap(({ ids }) => ids), metadata };
  }

  #token(column: number): number {
    const token = this.#options.tokens[column];
    if (token !== undefined && token >= FIRST_TOKEN) return token;
    throw new DdscError("ARGUMENT_RANGE", `${this.path}: gene column ${column} has no token of 3 or more`, {
      argument: "tokens",
    });
  }

  async #append(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; )
      done += (await this.#file().write(bytes, done, bytes.length - done, this.#offset + done)).bytesWritten;
    this.#offset += bytes.length;
  }
}

function copyBlock(block: CellBlock): CellBlock {
  const { rows, offsets, columns, counts } = block;
  return { rows: rows.slice(), offsets: offsets.slice(), columns: columns.slice(), counts: counts.slice() };
}

function sliceCells(
  held: { block: CellBlock; ids: readonly string[]; metadata: Table | undefined },
  first: number,
  end: number,
): { block: CellBlock; ids: readonly string[]; metadata: Table | undefined } {
  const { block, ids, metadata } = held;
  return {
    block: {
      ...block,
      rows: block.rows.subarray(first, end),
      offsets: block.offsets.subarray(first, end + 1),
    },
    ids: ids.slice(first, end),
    metadata: metadata?.slice(first, end),
  };
}

function joinMetadata(column: MetadataColumn, tables: readonly Table[]): ColumnValues {
  const [first, ...rest] = tables;
  if (first === undefined) return textValues([]);
  return metadataValues(column.kind, rest.length === 0 ? first : first.concat(...rest), column.name);
}

function leavesOf({ columns, idColumn }: Required<TahoeShardOptions>): WrittenLeaf[] {
  return [
    { path: ["genes", "list", "element"], physical: Physical.int64, list: true },
    { path: ["expressions", "list", "element"], physical: Physical.float32, list: true },
    { path: [idColumn], physical: Physical.byteArray, list: false },
    ...columns.map(({ name, kind }) => ({ path: [name], physical: physicalType(kind), list: false })),
  ];
}
