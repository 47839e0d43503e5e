import { checkNumber } from "../../base/errors.js";
import { drawKeptCounts } from "../../native/counts.js";
import type { CountCells } from "./count_cells.js";

/** Cells split by molecules: what methods see, and what they are tested on. */
export interface ThinnedCells {
  readonly kept: CountCells;
  readonly test: CountCells;
}

/**
 * Sends each molecule to the test cells with chance `thin`, by itself, and keeps it otherwise (molecular cross-validation, Batson,
 * Royer and Webber 2019): the two are independent given the cell's rates, where counts are Poisson. Decided by the stream
 * `Purpose.thin` of the seed at the cell's place, molecule by molecule in the order of genes.
 */
export async function thinCells(cells: CountCells, thin: number, seed: number): Promise<ThinnedCells> {
  checkNumber("thin", thin, { min: 1e-6, max: 1 - 1e-6 });
  const { offsets, genes, counts, panels } = cells;
  const places = Float64Array.from(panels.keys());
  const drawn = await drawKeptCounts({ offsets, genes, counts, panels, cells: places }, thin, seed, 0);
  return {
    kept: withCounts(cells, (i) => (counts[i] as number) - (drawn[i] as number)),
    test: withCounts(cells, (i) => drawn[i] as number),
  };
}

function withCounts(cells: CountCells, countAt: (entry: number) => number): CountCells {
  const offsets = new Int32Array(cells.offsets.length);
  const genes = new Int32Array(cells.genes.length);
  const counts = new Int32Array(cells.genes.length);
  let next = 0;
  for (let cell = 0; cell < cells.panels.length; cell++) {
    for (let i = cells.offsets[cell] as number; i < (cells.offsets[cell + 1] as number); i++) {
      const count = countAt(i);
      if (count === 0) continue;
      genes[next] = cells.genes[i] as number;
      counts[next++] = count;
    }
    offsets[cell + 1] = next;
  }
  return { ...cells, offsets, genes: genes.slice(0, next), counts: counts.slice(0, next) };
}
