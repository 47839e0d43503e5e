import { type CountCells, cellCount, type HiddenGenes } from "./count_cells.js";

/** Genes are hidden in so many folds, each gene once, to be told from the others. */
export const FOLDS = 5;

/** The fold of a gene, by a hash of its id (Knuth's multiplicative one), whatever else is measured. */
export function foldOf(gene: number): number {
  return (Math.imul(gene, 2654435761) >>> 16) % FOLDS;
}

/** Measured genes of each cell that are in a fold. */
export function genesOfFold(cells: CountCells, fold: number): HiddenGenes {
  const byPanel = cells.panelGenes.map((genes) => genes.filter((gene) => foldOf(gene) === fold));
  return genesOfPanels(cells, byPanel);
}

/** Of each cell the genes that are listed for its panel. */
export function genesOfPanels(
  { panels }: Pick<CountCells, "panels">,
  byPanel: readonly Int32Array[],
): HiddenGenes {
  const offsets = new Int32Array(panels.length + 1);
  for (const [cell, panel] of panels.entries())
    offsets[cell + 1] = (offsets[cell] ?? 0) + (byPanel[panel]?.length ?? 0);
  const genes = new Int32Array(offsets.at(-1) ?? 0);
  for (const [cell, panel] of panels.entries()) genes.set(byPanel[panel] ?? new Int32Array(0), offsets[cell]);
  return { offsets, genes };
}

/** The count of each of these genes of each cell, 0 where it has none, [genes]; both ascend within a cell. */
export function countsOfGenes(cells: CountCells, { offsets, genes }: HiddenGenes): Int32Array {
  const counts = new Int32Array(genes.length);
  for (let cell = 0; cell < cellCount(cells); cell++) {
    let entry = cells.offsets[cell] ?? 0;
    const end = cells.offsets[cell + 1] ?? 0;
    for (let i = offsets[cell] ?? 0; i < (offsets[cell + 1] ?? 0); i++) {
      const gene = genes[i] ?? 0;
      while (entry < end && (cells.genes[entry] ?? 0) < gene) entry++;
      if (entry < end && cells.genes[entry] === gene) counts[i] = cells.counts[entry] ?? 0;
    }
  }
  return counts;
}
