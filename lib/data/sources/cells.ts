/** The plain data that sources are made of and give out. */

/** A gene (column) of a source. */
export interface Gene {
  /** Identifier used to look the gene up: the file's index, an Ensembl id or a symbol. */
  readonly id: string;
  /** Other names of the same gene found in the file (symbol, Ensembl id, ...), tried after `id`. */
  readonly aliases: readonly string[];
}

/** Some cells of a source in compressed rows: only stored, non-zero counts. */
export interface CellBlock {
  /** Row number in the source of each cell, [cells]. */
  readonly rows: Int32Array;
  /** Bounds of each cell in `columns` and `counts`, [cells + 1]; starts at 0. */
  readonly offsets: Int32Array;
  /** Column (index into `CellSource.genes`) of each stored count, ascending within a cell. */
  readonly columns: Int32Array;
  /** Counts as stored, > 0. */
  readonly counts: Float32Array;
  /** Whether nobody else has the memory of `columns` and `counts`, so that whoever asked for the block may free it; default false. */
  readonly owned?: boolean;
}

/**
 * Which columns the cells of a source measure, where they do not all measure all of them: cells of several files, say. A
 * column that a cell does not measure says nothing of its gene, not even that it is unexpressed.
 */
export interface MeasuredPanels {
  /** The sets of columns that there are, each different from the others; columns ascending, [panels][columns]. */
  readonly columns: readonly Int32Array[];
  /** Where runs of neighbouring rows of one panel end: run i is rows ends[i - 1] (0) .. ends[i] - 1; ascending, [runs]. */
  readonly ends: Float64Array;
  /** Number of each run's panel, [runs]. */
  readonly numbers: Int32Array;
}

/** What a column of cell metadata holds. */
export interface MetadataColumn {
  readonly name: string;
  readonly kind: "text" | "number" | "boolean";
}

/** A column of the table of genes. */
export interface GeneColumn {
  readonly name: string;
  /** Its first value; undefined where there is none. */
  readonly example: string | undefined;
}

/** A part of an AnnData file: "obsm", with what is in it. */
export interface AnnDataPart {
  readonly name: string;
  /** Names in it; none where it is one matrix. */
  readonly members: readonly string[];
}

/** What the files of a source hold, beside counts and the table of cells. */
export interface SourceContents {
  /** Columns of the table of genes, the index first: what `geneColumn` may name. */
  readonly geneColumns: readonly GeneColumn[];
  /** Of AnnData only. */
  readonly anndata?: {
    readonly layers: readonly string[];
    /** Whether there is a raw matrix. */
    readonly raw: boolean;
    /** What was not read, the matrices beside the chosen one included, and so is written nowhere. */
    readonly unread: readonly AnnDataPart[];
  };
}

/** Which part of the metadata to read. */
export interface MetadataOptions {
  /** Names of columns, in the order of the table; default all. */
  readonly columns?: readonly string[];
  /** Row numbers, in the order of the table, repeats allowed; default all rows. */
  readonly rows?: Int32Array;
}

/** Options of `openCells`; one that no format of what is opened takes is not used, and a note says so. */
export interface OpenOptions {
  /** AnnData: use `layers/<layer>` instead of X. */
  readonly layer?: string;
  /** AnnData: use `raw/X` with `raw/var`. Default false. */
  readonly raw?: boolean;
  /** 10x: use the genes of this genome; default all, or of several matrices the one with the most counts. */
  readonly genome?: string;
  /** Tables of text: true if a line is a gene, false if a line is a cell; default: told by the names. */
  readonly transpose?: boolean;
  /** Tables of text: columns of numbers that describe cells and are no genes, beside those commonly used for that. */
  readonly metadataColumns?: readonly string[];
  /** Parquet and Arrow with gene tokens: the table that names them (Parquet, or JSON of {name: token}); default: found beside the file. */
  readonly geneTable?: string;
  /** Column of gene metadata that holds the identifiers; default: the index of var, or the format's identifiers. */
  readonly geneColumn?: string;
}
