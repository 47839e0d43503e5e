import { checkKind } from "../base/arguments.js";
import { cellStates } from "../counts/ask_model.js";
import { measuredGenes } from "../counts/count_cells.js";
import { posteriorsInFolds } from "../counts/posteriors.js";
import type { CellBlock } from "../data/sources/cells.js";
import type { CellSource } from "../data/sources/source.js";
import type { Denoiser } from "../model/denoiser.js";
import { type CountedCellsOptions, countedSource } from "./counted_cells.js";

/** Options of `embedCells`. */
export interface EmbedCellsOptions extends CountedCellsOptions {
  /** What the model is told of the cells' conditions: "none" (default), so that no label gets into an embedding, or "own". */
  readonly conditions?: "own" | "none";
  /** Whether each cell's negative log-likelihood is computed, which takes some 15 times as long as its state; default false. */
  readonly nll?: boolean;
}

/** Some cells of a source, embedded. */
export interface EmbeddedCells {
  /** The cells as they are stored; `block.rows` are their rows in the source. */
  readonly block: CellBlock;
  /** z of each cell, [cells, state width]. */
  readonly state: Float32Array;
  /**
   * -log P(count of a gene | the genes of the other folds), mean over the cell's measured genes, nats, [cells]; where it was asked for.
   */
  readonly nll?: Float64Array;
}

/**
 * The state z of cells, some at a time, by ascending row: what a model of counts makes of a cell with every measured gene visible, zeros
 * included. z tilts the base of each gene: log mean = log(depth * share) + factor . z + what the network adds. A function of model,
 * counts and row alone (of a cell with more expressed genes than the network sees, the row decides which it sees), to the last bit.
 *
 * Throws as `denoiseCells`.
 */
export async function* embedCells(
  source: CellSource,
  model: Denoiser,
  options: EmbedCellsOptions = {},
): AsyncGenerator<EmbeddedCells, void, undefined> {
  const { conditions, blocks } = await countedSource(source, model, options, "none");
  const { nll = false, maxRows, signal } = options;
  checkKind("nll", nll, "switch");
  for await (const { block, cells } of blocks()) {
    const told = { rows: Float64Array.from(block.rows), conditions };
    const state = await cellStates(model, { cells, told }, { maxRows, signal });
    if (!nll) {
      yield { block, state };
      continue;
    }
    const { nats } = await posteriorsInFolds(model, { cells, told }, { maxRows, signal });
    yield { block, state, nll: nats.map((sum, cell) => sum / measuredGenes(cells, cell).length) };
  }
}
