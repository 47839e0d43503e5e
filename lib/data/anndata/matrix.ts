import { DdscError } from "../../base/errors.js";
import type { Hierarchy, StoredArray } from "../hierarchy.js";
import type { CompactRows } from "../sources/compact_rows.js";
import type { RowReader } from "../sources/file_source.js";

/** Most cells, genes or entries of some rows: they are numbered by 32-bit numbers. */
export const MAX_EXTENT = 0x7fff_ffff;

/** Cells by genes. */
export interface MatrixShape {
  readonly rows: number;
  readonly columns: number;
}

/** A matrix of a hierarchy, read by rows. */
export interface StoredMatrix extends MatrixShape, RowReader {
  /** See `CellSource.partBounds`. */
  readonly partBounds: Float64Array;
  /** Set where the matrix had to be turned over; to be disposed of with the file. */
  readonly compact?: CompactRows;
}

/** Throws `DATA_TYPE` unless the array holds numbers or booleans. */
export function checkNumbers(file: Hierarchy, { path, kind }: StoredArray): void {
  if (kind !== "string" && kind !== "other") return;
  throw new DdscError(
    "DATA_TYPE",
    `${file.path}: ${path} does not hold numbers; choose another matrix with --layer`,
    { file: file.path },
  );
}
