import type { Table } from "apache-arrow";
import type { Frame } from "./frame.js";

/** A gene (column) of a source. */
export interface Gene {
  /** Identifier used to look the gene up: the file's index, an Ensembl id or a symbol. */
  readonly id: string;
  /** Other names of the same gene found in the file (symbol, Ensembl id, ...), tried after `id`. */
  readonly aliases: readonly string[];
}

/** Consecutive cells of a source in compressed rows: only stored, non-zero counts. */
export interface CellBlock {
  /** Row number in the source of each cell, [cells]. */
  readonly rows: Int32Array;
  /** Bounds of each cell in `genes` and `counts`, [cells + 1]; starts at 0. */
  readonly offsets: Int32Array;
  /** Column (index into `CellSource.genes`) of each stored count, ascending within a cell. */
  readonly genes: Int32Array;
  /** Counts as stored, > 0. */
  readonly counts: Float32Array;
}

/**
 * Where cells come from: a file of any format, or memory. Counts are checked as they are read: a negative,
 * NaN or infinite one ends in a `DdscError` that names file, cell, row and gene.
 */
export interface CellSource extends Disposable {
  /** File name or a short description, for messages. */
  readonly name: string;
  /** Number of cells (rows). */
  readonly cellCount: number;
  /** The genes, in column order. Identifiers are unique: see `notes` for how duplicates were told apart. */
  readonly genes: readonly Gene[];
  readonly notes: readonly string[];
  /** Cell names (obs index), by row. */
  cellIds(): readonly string[];
  /** Cell metadata as an Arrow table, one row a cell; categorical columns are dictionaries. */
  metadata(): Table;
  /**
   * Reads cells by row number, in the order given. Random access may be slow for scattered rows in large files;
   * ask for runs of neighbours where possible. Memory: the rows asked for and no more.
   */
  read(rows: Int32Array): CellBlock;
  /** A plain description from which `openSource` opens the same source again, in another thread for example. */
  descriptor(): SourceDescriptor;
}

/** A source that keeps the tables of its cells and genes as they were typed, so that they can be written again. */
export interface FramedSource extends CellSource {
  /** Table of cells: `index` holds the cell names. */
  readonly obs: Frame;
  /** Table of genes: `index` holds the names as in the file, duplicates included. */
  readonly var: Frame;
}

/** Structured-clonable recipe of a source. */
export type SourceDescriptor =
  | { readonly kind: "h5ad"; readonly path: string; readonly options: H5adOptions }
  | { readonly kind: "memory"; readonly cells: MemoryCells }
  | { readonly kind: "subset"; readonly source: SourceDescriptor; readonly rows: Int32Array };

/** Options of `openCells` for .h5ad. */
export interface H5adOptions {
  /** Use `layers/<layer>` instead of X. */
  readonly layer?: string;
  /** Use `raw/X` with `raw/var`. Default false. */
  readonly raw?: boolean;
  /** Column of var that holds gene identifiers; default: the var index. */
  readonly geneColumn?: string;
}

/** A whole data set in memory, in compressed rows. */
export interface MemoryCells {
  readonly name: string;
  readonly ids: readonly string[];
  readonly genes: readonly Gene[];
  readonly offsets: Int32Array | Float64Array;
  readonly geneColumns: Int32Array;
  readonly counts: Float32Array;
  /** Metadata columns by name, one value a cell. */
  readonly metadata: Readonly<Record<string, readonly string[] | Float64Array>>;
  readonly notes: readonly string[];
}
