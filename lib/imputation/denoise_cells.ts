import { isTurnOver, takeTurn } from "../base/turns.js";
import { posteriorsInFolds } from "../counts/posteriors.js";
import type { CellBlock } from "../data/sources/cells.js";
import type { CellSource } from "../data/sources/source.js";
import type { Denoiser } from "../model/denoiser.js";
import { findGenes } from "../sampling/find_genes.js";
import { type CountedCellsOptions, countedSource } from "./counted_cells.js";

/** Options of `denoiseCells`. */
export interface DenoiseCellsOptions extends CountedCellsOptions {
  /** What the model is told of the cells' conditions: "own" (default), what the source's columns say, or "none". */
  readonly conditions?: "own" | "none";
  /**
   * Names or vocabulary ids of the genes to predict; default all that the model knows. Of those that the source does not measure nothing
   * is given. What is said of a gene does not depend on which others are named.
   */
  readonly genes?: readonly (string | number)[] | Int32Array;
}

/**
 * Some cells of a source, denoised. An entry is a gene of a cell that was measured and predicted: the rate of its molecules at the
 * cell's own depth has a Gamma distribution of this mean and shape, so that a replicate count is negative binomial with the mean and
 * the size `shape` (`chanceAboveZero`, `negativeBinomialQuantile`).
 */
export interface DenoisedCells {
  /** The cells as they are stored; `block.rows` are their rows in the source. */
  readonly block: CellBlock;
  /** Bounds of each cell's entries, [cells + 1]. */
  readonly offsets: Int32Array;
  /** Column of each entry in the source, ascending within a cell. */
  readonly columns: Int32Array;
  /** Denoised count: mean of the rate, [entries]. */
  readonly mean: Float64Array;
  /** Shape of the rate's distribution, [entries]. */
  readonly shape: Float64Array;
}

/**
 * Denoises cells with a model of counts, some at a time, by ascending row. Each measured gene is hidden once, in 5 folds by its id, and
 * predicted from the genes of the other folds; a Gamma prior of the predicted mean and variance then takes the gene's own count into
 * account (`ratePosterior`). The depth is that of the cell as it was counted: nothing is normalised.
 *
 * A denoised value is shrunk to what the model expects of such a cell. Values of different genes and of similar cells share what the
 * model learnt, so they are no independent observations: no input of a test for differences.
 *
 * Throws `MODEL_CONFIG` for a model of ranks, `MODEL_BASE` for one that was never trained, `GENE_UNKNOWN`, `GENE_DUPLICATE`,
 * `ARGUMENT_*`, `DATA_*` for counts that cannot be read; rejects with the signal's reason when aborted.
 */
export async function* denoiseCells(
  source: CellSource,
  model: Denoiser,
  options: DenoiseCellsOptions = {},
): AsyncGenerator<DenoisedCells, void, undefined> {
  const { mapping, conditions, blocks } = await countedSource(source, model, options, "own");
  const { maxRows, signal } = options;
  const wanted = options.genes === undefined ? undefined : new Uint8Array(model.vocabulary.size);
  if (options.genes !== undefined)
    for (const gene of findGenes(model, options.genes)) wanted?.fill(1, gene, gene + 1);
  const columnOf = new Map(Array.from(mapping.match.ids, (id, column) => [id, column]));
  const orders = mapping.panels.map((panel) =>
    columnOrder(
      panel.filter((gene) => wanted === undefined || wanted[gene] === 1),
      columnOf,
    ),
  );
  for await (const { block, cells } of blocks()) {
    const told = { rows: Float64Array.from(block.rows), conditions };
    const found = await posteriorsInFolds(model, { cells, told }, { wanted, maxRows, signal });
    const columns = new Int32Array(found.genes.length);
    const mean = new Float64Array(columns.length);
    const shape = new Float64Array(columns.length);
    for (const [cell, panel] of cells.panels.entries()) {
      if (isTurnOver()) await takeTurn(signal);
      const start = found.offsets[cell] ?? 0;
      const order = orders[panel];
      if (order === undefined) continue;
      columns.set(order.columns, start);
      for (let i = 0; i < order.places.length; i++) {
        const place = start + (order.places[i] ?? 0);
        mean[start + i] = found.mean[place] ?? 0;
        shape[start + i] = found.shape[place] ?? 0;
      }
    }
    await takeTurn(signal);
    yield { block, offsets: found.offsets, columns, mean, shape };
  }
}

/** The genes of a panel by ascending column: their places among the genes, and the columns. */
function columnOrder(
  genes: Int32Array,
  columnOf: ReadonlyMap<number, number>,
): { readonly places: Int32Array; readonly columns: Int32Array } {
  const of = Int32Array.from(genes, (gene) => columnOf.get(gene) ?? 0);
  const places = Int32Array.from(genes.keys()).sort((a, b) => (of[a] ?? 0) - (of[b] ?? 0));
  return { places, columns: places.map((place) => of[place] ?? 0) };
}
