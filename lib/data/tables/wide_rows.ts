import type { MetadataColumn } from "../sources/cells.js";
import type { RawRows } from "../sources/count_matrix.js";
import { describesCells } from "./table_layout.js";

/** The columns of a table with a column a gene. */
export interface WideLayout {
  /** Places of the columns that are genes. */
  readonly genes: readonly number[];
  readonly metadata: readonly MetadataColumn[];
}

/**
 * Tells genes from metadata: columns of numbers are genes, unless named otherwise or by a name that describes cells.
 * Columns of other types (undefined) are left out.
 */
export function wideLayout(
  columns: readonly { readonly name: string; readonly kind: MetadataColumn["kind"] | undefined }[],
  metadataColumns: readonly string[],
): WideLayout {
  const genes: number[] = [];
  const metadata: MetadataColumn[] = [];
  for (const [place, { name, kind }] of columns.entries()) {
    if (kind === undefined) continue;
    const isGene =
      kind === "number" &&
      !metadataColumns.includes(name) &&
      !describesCells(name) &&
      !/^__index_level_\d+__$/.test(name);
    if (isGene) genes.push(place);
    else metadata.push({ name, kind });
  }
  return { genes, metadata };
}

/** Columns one after the other, turned into rows in the end. */
export class WideRows {
  readonly #rowCount: number;
  readonly #columns: { readonly rows: Int32Array; readonly values: Float32Array }[] = [];
  /** Counts of each row so far. */
  readonly #lengths: Int32Array;

  constructor(rowCount: number) {
    this.#rowCount = rowCount;
    this.#lengths = new Int32Array(rowCount);
  }

  add(dense: Float32Array): void {
    let count = 0;
    for (let row = 0; row < dense.length; row++) if (dense[row] !== 0) count++;
    const rows = new Int32Array(count);
    const values = new Float32Array(count);
    let place = 0;
    for (let row = 0; row < dense.length; row++) {
      const value = dense[row] as number;
      if (value === 0) continue;
      rows[place] = row;
      values[place++] = value;
      this.#lengths[row] = (this.#lengths[row] as number) + 1;
    }
    this.#columns.push({ rows, values });
  }

  rows(): RawRows {
    const offsets = new Int32Array(this.#rowCount + 1);
    for (let row = 0; row < this.#rowCount; row++)
      offsets[row + 1] = (offsets[row] as number) + (this.#lengths[row] as number);
    const next = offsets.slice(0, this.#rowCount);
    const columns = new Int32Array(offsets[this.#rowCount] ?? 0);
    const values = new Float32Array(columns.length);
    for (const [column, own] of this.#columns.entries()) {
      for (let i = 0; i < own.rows.length; i++) {
        const row = own.rows[i] as number;
        const place = next[row] as number;
        columns[place] = column;
        values[place] = own.values[i] as number;
        next[row] = place + 1;
      }
    }
    return { offsets, columns, values };
  }
}
