import type { Table } from "apache-arrow";
import { DdscError } from "../../base/errors.js";
import type { CellFrame } from "./cell_frame.js";
import type {
  CellBlock,
  Gene,
  MeasuredPanels,
  MetadataColumn,
  MetadataOptions,
  SourceContents,
} from "./cells.js";
import type { SourceDescriptor } from "./descriptor.js";
import type { Frame } from "./frame.js";

/** The tables of cells and genes as they were typed in a file. */
export interface SourceFrames {
  /** Table of cells: `index` holds the cell names. */
  readonly obs: Frame;
  /** Table of genes: `index` holds the names as in the file, duplicates included. */
  readonly var: Frame;
}

/** The same, of which rows of the table of cells are read some at a time. */
export interface SourceTables {
  readonly obs: CellFrame;
  readonly var: Frame;
}

/**
 * Where cells come from: a file of any format, several of them, or memory. Counts are checked as they are read: a
 * negative, NaN or infinite one ends in a `DdscError` that names file, cell, row and gene.
 *
 * Nothing is kept in memory for every cell but bounds of rows; names, metadata and counts are read when asked for.
 * Methods that read may run at the same time. Disposing closes files; a later read ends in `DATA_CLOSED`.
 */
export interface CellSource extends Disposable {
  /** File name or a short description, for messages. */
  readonly name: string;
  /** Number of cells (rows), at most 2^31 - 1. */
  readonly cellCount: number;
  /** The genes, in column order. Identifiers are unique: see `notes` for how duplicates were told apart. */
  readonly genes: readonly Gene[];
  /** Which columns cells measure; left out where every cell measures all of them. */
  readonly panels?: MeasuredPanels | undefined;
  /** What a user should know about the data; may grow while reading. */
  readonly notes: readonly string[];
  /**
   * Bounds of runs of neighbouring rows that are read cheaply together (row groups, chunks, record batches), [parts + 1]:
   * part i is rows partBounds[i] .. partBounds[i + 1] - 1. Strictly ascending from 0 to `cellCount`; [0] without cells.
   * Training shuffles parts, not rows, on disk: see `fixedParts` for sources without a structure of their own.
   */
  readonly partBounds: Float64Array;
  /** What else its files hold; left out by sources without files. */
  readonly contents?: SourceContents | undefined;
  /** Metadata columns that there are; nothing is read for them. Names are unique. */
  readonly metadataColumns: readonly MetadataColumn[];
  /**
   * Reads cells by row number, in the order given, repeats allowed. Memory: the rows asked for and, for a while, the parts
   * they are in. Cheap for rows of one part, slow for rows scattered over many. Throws `ARGUMENT_RANGE` for a row there is
   * not; rejects with the signal's reason when aborted.
   */
  read(rows: Int32Array, signal?: AbortSignal): Promise<CellBlock>;
  /**
   * How many counts are stored of each of these rows, explicit zeros and repeated genes included, as far as the format tells without
   * reading them (the bounds of compressed rows): what a row costs. Undefined where it does not. Throws `ARGUMENT_RANGE`.
   */
  storedCounts?(rows: Int32Array): Int32Array | undefined;
  /** Names of these cells, in the order given. Sources without names give "row 17" for row 17. Throws `ARGUMENT_RANGE`. */
  cellIds(rows: Int32Array): Promise<readonly string[]>;
  /**
   * Columns of cell metadata as an Arrow table, a row a cell: text as dictionaries of Utf8, numbers, booleans; null where
   * there is no value. Throws `DATA_MISSING_COLUMN` for a column there is not, `ARGUMENT_RANGE`.
   */
  metadata(options?: MetadataOptions): Promise<Table>;
  /**
   * The tables of cells and genes with everything that their format can say (ordered categories, whole numbers, columns
   * of genes), so that they can be written again. Sources that have no more than `metadata` and `genes` say leave it out: see
   * `framesOf`.
   */
  tables?(): Promise<SourceTables>;
  /**
   * A plain description from which `openSource` opens the same source again, in another thread for example. Throws
   * `SOURCE_NOT_SHAREABLE` where it cannot be opened a second time.
   */
  descriptor(): SourceDescriptor;
  /**
   * As `descriptor`, for another thread of this process while this source is open: what took long to make is not made again.
   * Sources in which nothing did leave it out: see `handoverOf`.
   */
  handover?(): SourceDescriptor;
}

/** What another thread of this process opens a source from, which stays open meanwhile. Throws `SOURCE_NOT_SHAREABLE`. */
export function handoverOf(source: CellSource): SourceDescriptor {
  return source.handover?.() ?? source.descriptor();
}

/** Where a source comes from; undefined of one that cannot be opened a second time. */
export function descriptorOf(source: CellSource): SourceDescriptor | undefined {
  try {
    return source.descriptor();
  } catch (error) {
    if (error instanceof DdscError && error.code === "SOURCE_NOT_SHAREABLE") return undefined;
    throw error;
  }
}
