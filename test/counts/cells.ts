import { CountTokens } from "../../lib/tokenizer/index.js";
import type { RaggedBatch } from "../../lib/tokenizer/ragged_batch.js";

const strategy = new CountTokens();

/** Cells given as counts by place, place 0 being gene 3; cells are numbered from `firstCell` on. */
export function cellsOf(
  cells: readonly ArrayLike<number>[],
  panels: readonly number[] = cells.map(() => 0),
  firstCell = 100,
): RaggedBatch {
  const offsets = [0];
  const genes: number[] = [];
  const counts: number[] = [];
  for (const cell of cells) {
    genes.push(1);
    counts.push(0);
    for (let place = 0; place < cell.length; place++) {
      if (cell[place] === 0) continue;
      genes.push(place + 3);
      counts.push(cell[place]!);
    }
    offsets.push(genes.length);
  }
  return {
    offsets: Int32Array.from(offsets),
    genes: Int32Array.from(genes),
    tokens: Int32Array.from(counts, (count, i) => (genes[i] === 1 ? 0 : strategy.valueOf(count) + 2)),
    counts: Int32Array.from(counts),
    cells: Float64Array.from(cells.keys(), (cell) => firstCell + cell),
    panels: Int32Array.from(panels),
  };
}
