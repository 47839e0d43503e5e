import { DdscError } from "../base/errors.js";
import type { CountCells } from "../evaluation/counts/count_cells.js";

/** Counts of cells over the genes that are compared, sparse. */
export interface CellRows {
  /** Number of genes. */
  readonly genes: number;
  /** Bounds of each cell in `columns`, `counts` and `logs`, [cells + 1]. */
  readonly offsets: Int32Array;
  /** Which gene each count is of, 0 to genes - 1, ascending within a cell. */
  readonly columns: Int32Array;
  /** Counts above 0. */
  readonly counts: Int32Array;
  /** log(1 + count) of each, nats. */
  readonly logs: Float32Array;
  /** Sum of each cell's counts, over the genes compared, [cells]. */
  readonly totals: Float64Array;
  /** Type of each cell; the empty text where none is known, [cells]. */
  readonly labels: readonly string[];
}

/** Sparse counts without what follows from them. */
export interface SparseCounts {
  readonly offsets: Int32Array;
  readonly columns: Int32Array;
  readonly counts: Int32Array;
}

/** Gene ids that every cell of every set measures, ascending. Throws `COMPARE_NO_GENES` where there is none. */
export function commonGenes(sets: readonly CountCells[]): Int32Array {
  const panels = sets.flatMap(({ panels, panelGenes }) =>
    [...new Set(panels)].map((panel) => panelGenes[panel] as Int32Array),
  );
  const times = new Map<number, number>();
  for (const panel of panels) for (const gene of panel) times.set(gene, (times.get(gene) ?? 0) + 1);
  const common = Int32Array.from([...times].filter(([, count]) => count === panels.length).map(([id]) => id));
  if (common.length > 0) return common.sort();
  throw new DdscError(
    "COMPARE_NO_GENES",
    "no gene is measured in all cells that are compared; check the gene identifiers of the files, or take other cells",
    { argument: "generated" },
  );
}

/** Cells reduced to some genes (ids, ascending). */
export function rowsOf(cells: CountCells, genes: Int32Array): CellRows {
  const columnOf = new Int32Array(cells.genes.reduce((most, gene) => Math.max(most, gene), 0) + 1).fill(-1);
  for (const [column, gene] of genes.entries()) if (gene < columnOf.length) columnOf[gene] = column;
  const offsets = new Int32Array(cells.panels.length + 1);
  const columns = new Int32Array(cells.genes.length);
  const counts = new Int32Array(cells.genes.length);
  let length = 0;
  for (let cell = 0; cell < cells.panels.length; cell++) {
    for (let i = cells.offsets[cell] as number; i < (cells.offsets[cell + 1] as number); i++) {
      const column = columnOf[cells.genes[i] as number] as number;
      if (column < 0) continue;
      columns[length] = column;
      counts[length++] = cells.counts[i] as number;
    }
    offsets[cell + 1] = length;
  }
  const labels = Array.from(cells.panels, (_, cell) => cells.labels?.[cell] ?? "");
  const sparse = { offsets, columns: columns.subarray(0, length), counts: counts.subarray(0, length) };
  return withLogs(sparse, genes.length, labels);
}

/** Adds what follows from the counts. */
export function withLogs(
  { offsets, columns, counts }: SparseCounts,
  genes: number,
  labels: readonly string[],
): CellRows {
  const totals = Float64Array.from(labels, (_, cell) => {
    let total = 0;
    for (let i = offsets[cell] as number; i < (offsets[cell + 1] as number); i++)
      total += counts[i] as number;
    return total;
  });
  return { genes, offsets, columns, counts, logs: Float32Array.from(counts, Math.log1p), totals, labels };
}

/** Number of cells. */
export function rowCount(rows: CellRows): number {
  return rows.totals.length;
}

/** Some of the cells, in the order given. */
export function takeRows(rows: CellRows, places: Int32Array): CellRows {
  const offsets = new Int32Array(places.length + 1);
  for (const [i, cell] of places.entries()) {
    const length = (rows.offsets[cell + 1] as number) - (rows.offsets[cell] as number);
    offsets[i + 1] = (offsets[i] as number) + length;
  }
  const size = offsets[places.length] as number;
  const columns = new Int32Array(size);
  const counts = new Int32Array(size);
  const logs = new Float32Array(size);
  for (const [i, cell] of places.entries()) {
    const [start, end] = [rows.offsets[cell] as number, rows.offsets[cell + 1] as number];
    columns.set(rows.columns.subarray(start, end), offsets[i]);
    counts.set(rows.counts.subarray(start, end), offsets[i]);
    logs.set(rows.logs.subarray(start, end), offsets[i]);
  }
  return {
    genes: rows.genes,
    offsets,
    columns,
    counts,
    logs,
    totals: Float64Array.from(places, (cell) => rows.totals[cell] as number),
    labels: Array.from(places, (cell) => rows.labels[cell] as string),
  };
}

/** Places of the cells of each label, labels in the order of their first cell. */
export function placesByLabel(labels: readonly string[]): Map<string, Int32Array> {
  const places = new Map<string, number[]>();
  for (const [place, label] of labels.entries()) {
    const known = places.get(label);
    if (known === undefined) places.set(label, [place]);
    else known.push(place);
  }
  return new Map([...places].map(([label, list]) => [label, Int32Array.from(list)]));
}

/** Columns as rows: the same values, of each of `width` columns by ascending row. */
export function transpose<T extends Int32Array | Float32Array>(
  { offsets, columns, values }: { offsets: Int32Array; columns: Int32Array; values: T },
  width: number,
): { offsets: Int32Array; columns: Int32Array; values: T } {
  const starts = new Int32Array(width + 1);
  for (const column of columns) starts[column + 1] = (starts[column + 1] as number) + 1;
  for (let i = 0; i < width; i++) starts[i + 1] = (starts[i + 1] as number) + (starts[i] as number);
  const next = starts.slice();
  const rows = new Int32Array(columns.length);
  const moved = values.slice() as T;
  for (let row = 0; row + 1 < offsets.length; row++) {
    for (let i = offsets[row] as number; i < (offsets[row + 1] as number); i++) {
      const column = columns[i] as number;
      const place = next[column] as number;
      next[column] = place + 1;
      rows[place] = row;
      moved[place] = values[i] as number;
    }
  }
  return { offsets: starts, columns: rows, values: moved };
}
