import type { MemoryCells } from "../../lib/data/sources/descriptor.js";
import { MemorySource } from "../../lib/data/sources/memory.js";

/** Cells in memory from lists of [column, count], for tests. */
export function smallCells(
  cells: readonly (readonly (readonly [number, number])[])[],
  geneCount: number,
): MemoryCells {
  const offsets = [0];
  for (const cell of cells) offsets.push(offsets.at(-1)! + cell.length);
  return {
    name: "small cells",
    ids: cells.map((_, i) => `cell${i}`),
    genes: Array.from({ length: geneCount }, (_, i) => ({ id: `G${i}`, aliases: [] })),
    offsets: Int32Array.from(offsets),
    geneColumns: Int32Array.from(cells.flat(), ([column]) => column),
    counts: Float32Array.from(cells.flat(), ([, count]) => count),
    metadata: {},
    notes: [],
  };
}

/** As many cells of varied length (some without genes) as asked for. */
export function variedSource(cellCount: number, geneCount = 30): MemorySource {
  const cells = Array.from({ length: cellCount }, (_, cell) =>
    Array.from(
      { length: (cell * 7) % geneCount },
      (_, gene) => [gene, 1 + ((cell + gene * gene) % 11)] as const,
    ),
  );
  return new MemorySource(smallCells(cells, geneCount));
}
