import { checkKind } from "../../base/arguments.js";
import { DdscError, wrongType } from "../../base/errors.js";
import { shareOf } from "../../counts/count_base.js";
import { type CountCells, checkCellArrays } from "../../counts/count_cells.js";

export {
  type CountCells,
  cellCount,
  checkCellArrays,
  countCellsOf,
  measuredGenes,
} from "../../counts/count_cells.js";

/** What the training cells say of genes without looking at a cell: the base of a count model. */
export interface CountBase {
  /** Share of the molecules that is this gene's, by gene id; 0 for ids without a gene. */
  readonly share: Float64Array;
  /** Size (inverse dispersion) of each gene's negative binomial, by gene id, > 0. */
  readonly size: Float64Array;
  /** Mean total count of a training cell, > 0. */
  readonly meanDepth: number;
  /** a = mean^2 / variance of the training totals, > 0: how firmly a cell's depth is held to the mean. */
  readonly spread: number;
}

/** Total counts of each cell, [cells]. */
export function totalCounts(cells: CountCells): Float64Array {
  return Float64Array.from(cells.panels, (_, cell) => {
    let total = 0;
    for (let i = cells.offsets[cell] as number; i < (cells.offsets[cell + 1] as number); i++) {
      total += cells.counts[i] as number;
    }
    return total;
  });
}

/** Sum of the shares of each panel's genes, [panels]. */
export function panelShares(cells: CountCells, base: CountBase): Float64Array {
  return Float64Array.from(cells.panelGenes, (genes) => shareOf(genes, base.share));
}

/** Some of the cells, in the order given; panels are shared. */
export function chooseCells(cells: CountCells, chosen: Int32Array): CountCells {
  const offsets = new Int32Array(chosen.length + 1);
  chosen.forEach((cell, i) => {
    const length = (cells.offsets[cell + 1] as number) - (cells.offsets[cell] as number);
    offsets[i + 1] = (offsets[i] as number) + length;
  });
  const genes = new Int32Array(offsets[chosen.length] as number);
  const counts = new Int32Array(genes.length);
  chosen.forEach((cell, i) => {
    const start = cells.offsets[cell] as number;
    const end = cells.offsets[cell + 1] as number;
    genes.set(cells.genes.subarray(start, end), offsets[i]);
    counts.set(cells.counts.subarray(start, end), offsets[i]);
  });
  return {
    offsets,
    genes,
    counts,
    panels: chosen.map((cell) => cells.panels[cell] as number),
    panelGenes: cells.panelGenes,
    ...(cells.labels === undefined ? {} : { labels: Array.from(chosen, (cell) => cells.labels?.[cell]) }),
  };
}

/** Throws `ARGUMENT_TYPE` or `BATCH_INVALID` unless cells are whole, over genes that the base, where there is one, knows. */
export function checkCells(argument: string, cells: CountCells, base?: CountBase): void {
  checkCellArrays(argument, cells);
  if (cells.labels !== undefined) checkKind(`${argument}.labels`, cells.labels, "list");
  const invalid = (what: string) => new DdscError("BATCH_INVALID", `${argument}: ${what}`, { argument });
  const { offsets, genes, counts, panels, panelGenes, labels } = cells;
  if (offsets.length !== panels.length + 1 || offsets[0] !== 0) {
    throw invalid(`expected ${panels.length + 1} offsets from 0 for ${panels.length} cells`);
  }
  if (genes.length !== counts.length || offsets[panels.length] !== genes.length) {
    throw invalid(`${genes.length} genes, ${counts.length} counts and a last offset of ${offsets.at(-1)}`);
  }
  if (labels !== undefined && labels.length !== panels.length) {
    throw invalid(`${labels.length} labels for ${panels.length} cells`);
  }
  const measured = panelGenes.map((panel, place) => {
    const known = new Uint8Array(base?.share.length ?? Math.max(0, panel.at(-1) ?? -1) + 1);
    let last = -1;
    for (const gene of panel) {
      const isKnown = gene < known.length && (base === undefined || (base.share[gene] as number) > 0);
      if (gene <= last || !isKnown) {
        const other = base === undefined ? "" : " or has no share in the base";
        throw invalid(`panel ${place} lists gene ${gene}, which is out of order${other}`);
      }
      known[gene] = 1;
      last = gene;
    }
    return known;
  });
  for (let cell = 0; cell < panels.length; cell++) {
    const known = measured[panels[cell] as number] as Uint8Array;
    let last = -1;
    for (let i = offsets[cell] as number; i < (offsets[cell + 1] as number); i++) {
      const gene = genes[i] as number;
      if (gene <= last || known[gene] !== 1) {
        throw invalid(`cell ${cell} lists gene ${gene}, which is out of order or not of its panel`);
      }
      if (!((counts[i] as number) >= 1)) {
        throw invalid(`cell ${cell}, gene ${gene}: count ${counts[i]}; only counts above 0 are listed`);
      }
      last = gene;
    }
  }
}

/** Throws `ARGUMENT_TYPE` or `ARGUMENT_RANGE` unless the base has a share and a size for the same ids. */
export function checkBase(base: CountBase): void {
  checkKind("base", base, "object");
  const { share, size, meanDepth, spread } = base;
  if (!(share instanceof Float64Array)) throw wrongType("base.share", share, "a Float64Array");
  if (!(size instanceof Float64Array)) throw wrongType("base.size", size, "a Float64Array");
  const good =
    share.length === size.length &&
    size.every((value, gene) => (share[gene] as number) === 0 || value > 0) &&
    meanDepth > 0 &&
    spread > 0;
  if (good) return;
  throw new DdscError(
    "ARGUMENT_RANGE",
    "expected a size above 0 for every gene with a share, a mean depth above 0 and a spread above 0 for base; count it on the training cells",
    { argument: "base" },
  );
}
