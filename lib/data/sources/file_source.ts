import type { Table } from "apache-arrow";
import { DdscError } from "../../base/errors.js";
import { genesOf } from "../genes/gene_names.js";
import { isTransposed, TRANSPOSED } from "../genes/orientation.js";
import { fullAddress } from "../io/addresses.js";
import type { FileIdentity } from "../io/random_access.js";
import { arrowTable } from "../tables/arrow_table.js";
import { cellFrame, foundFrame } from "./cell_frame.js";
import type {
  CellBlock,
  Gene,
  MetadataColumn,
  MetadataOptions,
  OpenOptions,
  SourceContents,
} from "./cells.js";
import { CountFindings, checkedBlock, checkRows } from "./checked_counts.js";
import type { RawRows } from "./count_matrix.js";
import type { SourceDescriptor } from "./descriptor.js";
import { type Frame, missingColumn } from "./frame.js";
import type { PackedStrings } from "./packed_strings.js";
import { rowRange } from "./parts.js";
import type { CellSource, SourceTables } from "./source.js";
import { geneColumnsOf } from "./source_contents.js";

/** So many cells are looked at on opening, to tell counts from transformed values. */
const PROBED_CELLS = 64;

/** A matrix in a file, read by rows: cells by genes. */
export interface RowReader {
  /** Rows in the order given, repeats allowed; every row number is in [0, rows). The caller may change the arrays. */
  read(rows: Int32Array, signal?: AbortSignal): Promise<RawRows> | RawRows;
  /** See `CellSource`; every row number is in [0, rows). */
  storedCounts?(rows: Int32Array): Int32Array;
  /** Lets go of what is kept decoded. */
  forget?(): void;
}

/** The table of cells of a file, read by rows; row numbers and names of columns have been checked. */
export interface CellTable {
  /** Name of the column of cell names. */
  readonly indexName: string;
  /** The columns there are. */
  readonly columns: readonly MetadataColumn[];
  /** Names of cells, in the order given. */
  ids(rows: Int32Array): Promise<readonly string[]> | readonly string[];
  /** These columns of these rows (all rows if undefined), without names: the frame's index is left empty. */
  read(
    columns: readonly string[],
    rows: Int32Array | undefined,
  ): Promise<Frame["columns"]> | Frame["columns"];
  /** What the columns are, without rows; left out where only values tell, each time those of the rows read: see `foundFrame`. */
  types?(): Promise<Frame["columns"]> | Frame["columns"];
  /** Lets go of what is kept decoded. */
  forget?(): void;
}

/** A table of cells that holds nothing but names, from `first` of `names` on; "row 17" and the like without names. */
export function namesOnly(names: PackedStrings | undefined, first = 0): CellTable {
  return {
    indexName: "_index",
    columns: [],
    ids: (rows) => Array.from(rows, (row) => names?.at(first + row) ?? `row ${row}`),
    read: () => new Map(),
    types: () => new Map(),
  };
}

/** The parts that a `FileSource` is put together from. */
export interface FileParts {
  /** The file or folder as the user named it. */
  readonly path: string;
  readonly options: OpenOptions;
  readonly cellCount: number;
  readonly matrix: RowReader;
  readonly cells: CellTable;
  /** Table of genes, as in the file. */
  readonly genes: Frame;
  readonly partBounds: Float64Array;
  readonly notes: readonly string[];
  /** What to do when values turn out to be no counts; "" if nothing. */
  readonly remedy: string;
  /** Of formats that are opened again, which version of the file this is. */
  readonly identity?: FileIdentity;
  /** Of AnnData, what the file holds. */
  readonly anndata?: SourceContents["anndata"];
  /** Cells looked at on opening, to tell counts from transformed values; default 64. */
  readonly probedCells?: number;
  /** What another thread opens in place of the file: see `CellSource`. */
  handover?(): SourceDescriptor;
  /** Releases files and memory. */
  close(): void;
}

/** Cells of a file of one of the formats that are read by rows: what is the same in all of them. */
export class FileSource implements CellSource {
  readonly name: string;
  readonly cellCount: number;
  readonly genes: readonly Gene[];
  readonly partBounds: Float64Array;
  readonly metadataColumns: readonly MetadataColumn[];
  /** What to do when values turn out to be no counts; "" if nothing. */
  readonly remedy: string;
  /** Of formats that are opened again, which version of the file this is. */
  readonly identity: FileIdentity | undefined;
  /** What is noticed in what is read; that of the same file opened before may go on. */
  findings = new CountFindings();
  readonly #parts: FileParts;
  readonly #openingNotes: readonly string[];
  readonly #notesBefore: string[] = [];
  #closed = false;

  private constructor(parts: FileParts) {
    const { path, options, cellCount, cells, partBounds, remedy } = parts;
    this.#parts = parts;
    this.name = path;
    this.cellCount = cellCount;
    this.partBounds = partBounds;
    this.metadataColumns = cells.columns;
    this.remedy = remedy;
    this.identity = parts.identity;
    checkGeneColumn(path, parts.genes, options);
    const { genes, note } = genesOf(parts.genes, options.geneColumn);
    this.genes = genes;
    this.#openingNotes = note === undefined ? parts.notes : [...parts.notes, note];
  }

  /**
   * Puts a source together and reads its first cells. Throws `DATA_MISSING_COLUMN` for a column of genes there is not, and
   * the errors of `read`; the parts are closed then.
   */
  static async open(parts: FileParts): Promise<FileSource> {
    try {
      const source = new FileSource(parts);
      const probed = parts.probedCells ?? PROBED_CELLS;
      await source.read(rowRange(0, Math.min(probed, source.cellCount)));
      if (probed > 0 && (await isTransposed(source))) source.addNotes([TRANSPOSED]);
      return source;
    } catch (error) {
      close(parts);
      throw error;
    }
  }

  /** Grows while reading, if counts turn out to have fractions or a gene is stored twice in a cell. */
  get notes(): readonly string[] {
    return [...this.#notesBefore, ...this.#openingNotes, ...this.findings.notes(this.remedy)];
  }

  get contents(): SourceContents {
    const { genes, anndata } = this.#parts;
    return { geneColumns: geneColumnsOf(genes), ...(anndata === undefined ? {} : { anndata }) };
  }

  /** Puts before its notes what was noticed on the way to this file. */
  addNotes(notes: readonly string[]): void {
    this.#notesBefore.push(...notes);
  }

  async cellIds(rows: Int32Array): Promise<readonly string[]> {
    this.#check(rows);
    return this.#parts.cells.ids(rows);
  }

  async metadata(options: MetadataOptions = {}): Promise<Table> {
    this.#check(options.rows);
    const known = this.metadataColumns.map(({ name }) => name);
    const names = options.columns ?? known;
    for (const name of names) if (!known.includes(name)) throw missingColumn(this.name, name, known);
    return arrowTable(await this.#parts.cells.read(names, options.rows));
  }

  async tables(): Promise<SourceTables> {
    const { cells, genes } = this.#parts;
    const { cellCount: length } = this;
    const { indexName } = cells;
    const names = cells.columns.map(({ name }) => name);
    const read = async (rows: Int32Array) => ({
      index: await this.cellIds(rows),
      columns: await cells.read(names, rows),
    });
    const columns = await cells.types?.();
    const obs =
      columns === undefined
        ? await foundFrame(length, indexName, read)
        : cellFrame({ length, indexName, columns }, read);
    return { obs, var: genes };
  }

  async read(rows: Int32Array, signal?: AbortSignal): Promise<CellBlock> {
    signal?.throwIfAborted();
    this.#check(rows);
    return checkedBlock(await this.#parts.matrix.read(rows, signal), rows, this, this.findings);
  }

  storedCounts(rows: Int32Array): Int32Array | undefined {
    this.#check(rows);
    return this.#parts.matrix.storedCounts?.(rows);
  }

  descriptor(): SourceDescriptor {
    const { options } = this.#parts;
    const { geneTable } = options;
    // Another thread, too, needs the addresses in full.
    const tables = geneTable === undefined ? {} : { geneTable: fullAddress(geneTable) };
    return { kind: "file", path: fullAddress(this.name), options: { ...options, ...tables } };
  }

  handover(): SourceDescriptor {
    return this.#parts.handover?.() ?? this.descriptor();
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    close(this.#parts);
  }

  #check(rows: Int32Array | undefined): void {
    if (this.#closed)
      throw new DdscError("DATA_CLOSED", `${this.name}: has been closed`, { file: this.name });
    if (rows !== undefined) checkRows(rows, this.cellCount, this.name);
  }
}

function close({ matrix, cells, close: release }: FileParts): void {
  matrix.forget?.();
  cells.forget?.();
  release();
}

function checkGeneColumn(path: string, genes: Frame, { geneColumn }: OpenOptions): void {
  if (geneColumn === undefined || geneColumn === genes.indexName || genes.columns.has(geneColumn)) return;
  const have = [genes.indexName, ...genes.columns.keys()].join(", ");
  throw new DdscError(
    "DATA_MISSING_COLUMN",
    `${path}: genes have no column "${geneColumn}"; they have ${have}`,
    {
      file: path,
      argument: "geneColumn",
    },
  );
}
