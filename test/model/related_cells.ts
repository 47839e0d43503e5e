import type { Gene } from "../../lib/data/sources/cells.js";
import { MemorySource } from "../../lib/data/sources/memory.js";
import { simulateCells } from "../../lib/data/sources/simulate.js";

/** What is taken of one simulated tissue. */
export interface RelatedOptions {
  readonly rows: readonly number[];
  /** Columns of the tissue, in the order of the source. */
  readonly columns: readonly number[];
  /** Columns that follow these, without a count. */
  readonly zeros?: readonly number[];
  /** Names of a gene that stands at a column; default "G" and the number. */
  readonly nameOf?: (column: number) => Gene;
  /** Metadata of a cell beside `cell_type` and `depth`. */
  readonly more?: Readonly<Record<string, (row: number) => string>>;
}

/** Cells and genes of a tissue that all sources of the tests are of. */
export const TISSUE = { cells: 700, genes: 48, types: 5, programmes: 6, librarySize: 400, seed: 8 } as const;

/** A source of some cells and some genes of one tissue, so that several have cells of the same kind over genes in common. */
export function relatedSource(options: RelatedOptions): MemorySource {
  const { cells } = simulateCells(TISSUE);
  const { rows, columns, zeros = [], more = {} } = options;
  const { nameOf = (column) => ({ id: `G${column}`, aliases: [] }) } = options;
  const columnOf = new Map(columns.map((column, own) => [column, own]));
  const offsets = [0];
  const entries: [number, number][] = [];
  for (const row of rows) {
    const cell: [number, number][] = [];
    for (let i = cells.offsets[row]!; i < cells.offsets[row + 1]!; i++) {
      const own = columnOf.get(cells.geneColumns[i]!);
      if (own !== undefined) cell.push([own, cells.counts[i]!]);
    }
    entries.push(...cell.sort(([a], [b]) => a - b));
    offsets.push(entries.length);
  }
  const { cell_type: types, library_size: depths } = cells.metadata;
  return new MemorySource({
    name: "related cells",
    ids: rows.map((row) => `cell${row}`),
    genes: [...columns, ...zeros].map(nameOf),
    offsets: Int32Array.from(offsets),
    geneColumns: Int32Array.from(entries, ([column]) => column),
    counts: Float32Array.from(entries, ([, count]) => count),
    metadata: {
      cell_type: rows.map((row) => types![row] as string),
      depth: Float64Array.from(rows, (row) => depths![row] as number),
      ...Object.fromEntries(Object.entries(more).map(([name, of]) => [name, rows.map(of)])),
    },
    notes: [],
  });
}

/** first, ..., end - 1. */
export function numbers(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, i) => first + i);
}
