import { writeH5ad } from "../../lib/data/anndata/h5ad_write.js";
import { openCells } from "../../lib/data/open/open_cells.js";
import type { Column } from "../../lib/data/sources/frame.js";
import type { CellSource } from "../../lib/data/sources/source.js";

/** Writes cells of two genes with these columns of metadata as an .h5ad file, and opens it. */
export async function cellsWith(
  file: string,
  columns: Readonly<Record<string, Column>>,
  cells: number,
): Promise<CellSource> {
  const named = (index: readonly string[]) => ({ index, indexName: "_index", columns: new Map() });
  await writeH5ad(file, {
    obs: {
      index: Array.from({ length: cells }, (_, cell) => `cell-${cell}`),
      indexName: "_index",
      columns: new Map(Object.entries(columns)),
    },
    var: named(["A", "B"]),
    X: {
      kind: "csr",
      offsets: Int32Array.from({ length: cells + 1 }, (_, cell) => 2 * cell),
      columns: Int32Array.from({ length: 2 * cells }, (_, entry) => entry % 2),
      values: new Float32Array(2 * cells).fill(1),
    },
  });
  return openCells(file);
}

/** A column of text; null: no value. */
export function texts(values: readonly (string | null)[]): Column {
  const categories = [...new Set(values)].filter((value) => value !== null);
  return {
    kind: "categories",
    codes: Int32Array.from(values, (value) => (value === null ? -1 : categories.indexOf(value))),
    categories: { kind: "strings", values: categories },
    ordered: false,
  };
}

/** A column of numbers. */
export function numbers(...values: readonly number[]): Column {
  return { kind: "numbers", values: Float64Array.from(values) };
}
