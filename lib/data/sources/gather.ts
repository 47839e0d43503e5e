import type { CellBlock } from "./cells.js";

/** Cells of several blocks by number of block and place in it, pair after pair. */
export type CellPlaces = Int32Array;

/** These cells in the order given, as one block. */
export function gatherCells(blocks: readonly CellBlock[], places: CellPlaces): CellBlock {
  const cells = places.length / 2;
  const rows = new Int32Array(cells);
  const offsets = new Int32Array(cells + 1);
  const boundsOf = (i: number) => {
    const block = blocks[places[2 * i] ?? 0];
    const cell = places[2 * i + 1] ?? 0;
    return { block, cell, start: block?.offsets[cell] ?? 0, end: block?.offsets[cell + 1] ?? 0 };
  };
  for (let i = 0; i < cells; i++) {
    const { block, cell, start, end } = boundsOf(i);
    rows[i] = block?.rows[cell] ?? 0;
    offsets[i + 1] = (offsets[i] ?? 0) + end - start;
  }
  const columns = new Int32Array(offsets[cells] ?? 0);
  const counts = new Float32Array(columns.length);
  for (let i = 0; i < cells; i++) {
    const { block, start, end } = boundsOf(i);
    if (block === undefined) continue;
    columns.set(block.columns.subarray(start, end), offsets[i]);
    counts.set(block.counts.subarray(start, end), offsets[i]);
  }
  return { rows, offsets, columns, counts };
}
