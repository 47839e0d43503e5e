import type { SourceTraits } from "../files/outlines.js";
import type { PoolArrays } from "../files/pool_arrays.js";
import type { MappedFile } from "../io/mapped_arrays.js";
import type { Gene, MetadataColumn, OpenOptions } from "./cells.js";
import type { SharedRows } from "./compact_rows.js";
import type { Column, Frame } from "./frame.js";
import type { PackedText } from "./packed_strings.js";
import type { SimulateOptions } from "./simulation.js";

/** Structured-clonable recipe of a source. */
export type SourceDescriptor =
  | FileDescriptor
  | FilesDescriptor
  | PooledFiles
  | SharedCells
  | { readonly kind: "memory"; readonly cells: MemoryCells }
  | { readonly kind: "simulated"; readonly options: SimulateOptions }
  | { readonly kind: "subset"; readonly source: SourceDescriptor; readonly rows: Int32Array }
  | { readonly kind: "concatenated"; readonly name: string; readonly sources: readonly SourceDescriptor[] };

/** A file or folder of any format, which `openCells` finds by its content. */
export interface FileDescriptor {
  readonly kind: "file";
  /** Path or URL. */
  readonly path: string;
  readonly options: OpenOptions;
}

/** Files of formats that are opened again at little cost. */
export interface FilesDescriptor {
  readonly kind: "files";
  readonly name: string;
  readonly paths: readonly string[];
  /** Of each. */
  readonly options: OpenOptions;
}

/** Those files for another thread, which opens none before it reads it. */
export interface PooledFiles {
  readonly kind: "pool";
  readonly name: string;
  readonly options: OpenOptions;
  readonly traits: readonly SourceTraits[];
  /** A file of them: good while the source it comes from is open. */
  readonly arrays: PoolArrays | MappedFile;
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

/** A text file of cells that was read once, but for its counts; structured-clonable. */
export interface CompactTables {
  /** The file or folder as the user named it. */
  readonly path: string;
  readonly options: OpenOptions;
  readonly indexName: string;
  /** Place of the first cell's name among the names. */
  readonly firstName: number;
  readonly metadataColumns: readonly MetadataColumn[];
  /** Those columns, whole. */
  readonly metadata: ReadonlyMap<string, Column>;
  readonly genes: Frame;
  readonly notes: readonly string[];
}

/** Those cells for another thread of this process: good while the source it comes from is open. */
export interface SharedCells extends CompactTables {
  readonly kind: "shared";
  readonly rows: SharedRows;
  readonly names: PackedText | undefined;
}
