import { isTurnOver, takeTurn } from "../base/turns.js";
import { CountTokens } from "../tokenizer/count_tokens.js";
import { type AskOptions, askHidden, baseOf, type CountModel, type SourceCells } from "./ask_model.js";
import { type CountCells, cellCount } from "./count_cells.js";
import { countsOfGenes, FOLDS, foldOf, genesOfFold, genesOfPanels } from "./folds.js";
import { ratePosterior } from "./posterior.js";

/** What a model and a cell's own counts say together of its genes. */
export interface CellPosteriors {
  /** Bounds of each cell in the genes, [cells + 1]. */
  readonly offsets: Int32Array;
  /** Ids, ascending within a cell. */
  readonly genes: Int32Array;
  /** Mean of the rate of each gene at the cell's depth, which is the mean of a replicate count, [genes]. */
  readonly mean: Float64Array;
  /** Shape of the rate's Gamma distribution, which is the size of a replicate count's negative binomial, [genes]. */
  readonly shape: Float64Array;
  /**
   * -log P(count of the gene | the genes of the other folds), in nats, summed over the genes of each cell, [cells]. Of counts: where
   * the model predicts bins, a count has its share of the bin.
   */
  readonly nats: Float64Array;
}

/** A mean below it is as good as 0, of which there is no posterior. */
const LEAST_MEAN = 1e-30;

const { logWidth } = new CountTokens();

/**
 * Hides each measured gene once, in `FOLDS` folds by its id, lets the model predict it from the genes of the other folds and takes
 * into account what was counted of it: `ratePosterior`.
 *
 * @param wanted by gene id, 1 for the genes to tell of; default all. The folds are the same, and so is what is told.
 */
export async function posteriorsInFolds(
  model: CountModel,
  { cells, told }: { readonly cells: CountCells; readonly told: SourceCells },
  { wanted, ...options }: AskOptions & { readonly wanted?: Uint8Array | undefined } = {},
): Promise<CellPosteriors> {
  baseOf(model);
  const wantedGenes =
    wanted === undefined
      ? cells.panelGenes
      : cells.panelGenes.map((panel) => panel.filter((gene) => wanted[gene] === 1));
  const { offsets, genes } = genesOfPanels(cells, wantedGenes);
  const mean = new Float64Array(genes.length);
  const shape = new Float64Array(genes.length);
  const nats = new Float64Array(cellCount(cells));
  for (let fold = 0; fold < FOLDS; fold++) {
    await takeTurn(options.signal);
    const hidden = genesOfFold(cells, fold);
    const asked = genesOfPanels(
      cells,
      wantedGenes.map((panel) => panel.filter((gene) => foldOf(gene) === fold)),
    );
    if (asked.genes.length === 0) continue;
    await takeTurn(options.signal);
    const counts = countsOfGenes(cells, asked);
    await takeTurn(options.signal);
    for await (const { first, end, said, values } of askHidden(
      model,
      { cells, hidden, asked, told },
      counts,
      options,
    )) {
      const start = asked.offsets[first] ?? 0;
      for (let cell = first; cell < end; cell++) {
        if (isTurnOver()) await takeTurn(options.signal);
        let place = offsets[cell] ?? 0;
        let sum = 0;
        for (let i = asked.offsets[cell] ?? 0; i < (asked.offsets[cell + 1] ?? 0); i++) {
          const query = i - start;
          while (genes[place] !== asked.genes[i]) place++;
          const prior = Math.max(said.mean[query] ?? 0, LEAST_MEAN);
          const posterior = ratePosterior(prior, said.variance[query] ?? 0, counts[i] ?? 0);
          mean[place] = posterior.mean;
          shape[place] = posterior.shape;
          sum -= (said.logProbability[query] ?? 0) - (logWidth[values[query] ?? 0] ?? 0);
        }
        nats[cell] = (nats[cell] ?? 0) + sum;
      }
    }
  }
  return { offsets, genes, mean, shape, nats };
}
