import { Purpose, RandomStream } from "../../lib/base/random.js";
import { type CellRows, rowsOf } from "../../lib/comparison/cell_rows.js";
import type { Features } from "../../lib/comparison/features.js";
import { cellsOf } from "../evaluation/counts/support.js";

/** Rows of dense counts. */
export function rowsFrom(dense: readonly (readonly number[])[], labels?: readonly string[]): CellRows {
  const cells = cellsOf(dense, labels);
  return rowsOf(cells, cells.panelGenes[0]!);
}

/** Dense counts of rows. */
export function denseFrom({ offsets, columns, counts, genes, totals }: CellRows): number[][] {
  return Array.from(totals, (_, cell) => {
    const row = new Array<number>(genes).fill(0);
    for (let i = offsets[cell]!; i < offsets[cell + 1]!; i++) row[columns[i]!] = counts[i]!;
    return row;
  });
}

/** Features from dense values; zeros are left out. */
export function featuresFrom(dense: readonly (readonly number[])[]): Features {
  const offsets = [0];
  const columns: number[] = [];
  const values: number[] = [];
  for (const row of dense) {
    for (const [column, value] of row.entries()) {
      if (value === 0) continue;
      columns.push(column);
      values.push(value);
    }
    offsets.push(columns.length);
  }
  return {
    width: dense[0]!.length,
    offsets: Int32Array.from(offsets),
    columns: Int32Array.from(columns),
    values: Float32Array.from(values),
  };
}

/** Random numbers of a test. */
export function streamOf(seed: number): RandomStream {
  return new RandomStream(seed, Purpose.simulate, 7);
}

/** Standard normals, row by row. */
export function normals(rows: number, columns: number, seed: number): number[][] {
  const stream = streamOf(seed);
  return Array.from({ length: rows }, () => Array.from({ length: columns }, () => stream.normal()));
}
