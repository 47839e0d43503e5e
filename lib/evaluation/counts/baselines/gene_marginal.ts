import { belowNegativeBinomial, logNegativeBinomial } from "../../../counts/negative_binomial.js";
import type { CountBase, CountCells } from "../count_cells.js";
import type { MaskedCells } from "../masked_cells.js";
import { type CountPredictor, emptyPredictions, type QueryPredictions } from "../predictor.js";

/** Weights of the smoothing distribution to choose from, in cells. */
export const MARGINAL_WEIGHTS = [0.3, 1, 3, 10, 30] as const;

/**
 * Each gene's counts as often as the training cells had them, whatever else the cell holds: P(x) = (n(x) + w q(x)) / (n + w)
 * with n(x) of the n training cells that were measured for the gene at count x, and q the negative binomial of the gene's mean and
 * variance over cells, which gives counts that were never seen a probability.
 */
export class GeneMarginal implements CountPredictor {
  readonly name = "gene marginal";
  readonly #weight: number;
  /** Bounds of each gene id in `#counts`, [gene ids + 1]. */
  readonly #offsets: Int32Array;
  /** Its counts above 0, ascending. */
  readonly #counts: Int32Array;
  /** Cells that were measured for each gene id. */
  readonly #cells: Float64Array;
  readonly #mean: Float64Array;
  readonly #size: Float64Array;

  constructor(training: CountCells, base: CountBase, weight: number) {
    this.#weight = weight;
    const geneIds = base.share.length;
    this.#cells = new Float64Array(geneIds);
    const panelCells = new Float64Array(training.panelGenes.length);
    for (const panel of training.panels) panelCells[panel] = (panelCells[panel] as number) + 1;
    training.panelGenes.forEach((panel, place) => {
      for (const gene of panel) {
        this.#cells[gene] = (this.#cells[gene] as number) + (panelCells[place] as number);
      }
    });
    const { offsets, counts } = columnsOf(training, geneIds);
    this.#offsets = offsets;
    this.#counts = counts;
    this.#mean = new Float64Array(geneIds);
    this.#size = new Float64Array(geneIds);
    for (let gene = 0; gene < geneIds; gene++) {
      const cells = this.#cells[gene] as number;
      const column = counts.subarray(offsets[gene], offsets[gene + 1]);
      const sum = column.reduce((total, count) => total + count, 0);
      // Half a molecule more, as in the base: a gene that was never seen may be seen.
      const mean = (sum + 0.5) / (cells + 0.5);
      const squares = column.reduce((total, count) => total + count * count, 0);
      const variance = squares / Math.max(1, cells) - (sum / Math.max(1, cells)) ** 2;
      this.#mean[gene] = mean;
      this.#size[gene] =
        variance > mean ? Math.min(100, Math.max(0.01, (mean * mean) / (variance - mean))) : 100;
    }
  }

  async predict(masked: MaskedCells, answers: Int32Array): Promise<QueryPredictions> {
    const { genes } = masked.queries;
    const predictions = emptyPredictions(genes.length);
    for (let query = 0; query < genes.length; query++) {
      const gene = genes[query] as number;
      const count = answers[query] as number;
      const from = this.#offsets[gene] as number;
      const to = this.#offsets[gene + 1] as number;
      const cells = this.#cells[gene] as number;
      const total = cells + this.#weight;
      const mean = this.#mean[gene] as number;
      const size = this.#size[gene] as number;
      const smooth = Math.exp(logNegativeBinomial(count, mean, size));
      const zeros = cells - (to - from);
      const lower = count === 0 ? 0 : zeros + this.#fewer(from, to, count) - from;
      const same = count === 0 ? zeros : this.#fewer(from, to, count + 1) - from + zeros - lower;
      const at = (same + this.#weight * smooth) / total;
      predictions.at[query] = at;
      predictions.logProbability[query] = Math.log(Math.max(at, Number.MIN_VALUE));
      predictions.below[query] =
        (lower + this.#weight * belowNegativeBinomial(count, mean, size, smooth)) / total;
      predictions.mean[query] = mean;
      predictions.expressed[query] =
        1 - (zeros + this.#weight * Math.exp(logNegativeBinomial(0, mean, size))) / total;
    }
    return predictions;
  }

  /** First place from..to of a count that is not below this one. */
  #fewer(from: number, to: number, count: number): number {
    let low = from;
    let high = to;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#counts[middle] as number) < count) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Counts above 0 by gene id, ascending. */
function columnsOf(cells: CountCells, geneIds: number): { offsets: Int32Array; counts: Int32Array } {
  const offsets = new Int32Array(geneIds + 1);
  for (const gene of cells.genes) offsets[gene + 1] = (offsets[gene + 1] as number) + 1;
  for (let gene = 0; gene < geneIds; gene++) {
    offsets[gene + 1] = (offsets[gene + 1] as number) + (offsets[gene] as number);
  }
  const next = offsets.slice();
  const counts = new Int32Array(cells.counts.length);
  cells.genes.forEach((gene, i) => {
    const place = next[gene] as number;
    counts[place] = cells.counts[i] as number;
    next[gene] = place + 1;
  });
  for (let gene = 0; gene < geneIds; gene++) counts.subarray(offsets[gene], offsets[gene + 1]).sort();
  return { offsets, counts };
}
