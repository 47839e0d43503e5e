import type { ToldConditions } from "../../conditions/cell_conditions.js";
import type { ToldCells } from "../../counts/network_rows.js";

/** Of what `count` cells are told, that of some. */
export function toldOf(
  { labels, numbers, total }: ToldCells,
  cells: readonly number[],
  count: number,
): ToldCells {
  const size = (all: { readonly length: number }) => (all.length / count) * cells.length;
  const rows = <T extends Int32Array | Float32Array>(all: T, into: T): T => {
    const width = all.length / count;
    for (const [i, cell] of cells.entries())
      into.set(all.subarray(cell * width, (cell + 1) * width), i * width);
    return into;
  };
  return {
    labels: rows(labels, new Int32Array(size(labels))),
    numbers: rows(numbers, new Float32Array(size(numbers))),
    total: rows(total, new Float32Array(size(total))),
  };
}

/** The same cells without their conditions. */
export function nothingTold({ labels, numbers }: ToldConditions): ToldConditions {
  return {
    labels: new Int32Array(labels.length),
    numbers: new Float32Array(numbers.length).fill(Number.NaN),
  };
}
