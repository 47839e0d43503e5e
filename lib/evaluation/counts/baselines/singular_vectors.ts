import type { CountBase } from "../count_cells.js";
import { estimatedDepth, type MaskedCells } from "../masked_cells.js";
import type { CellScores } from "./cell_scores.js";
import type { MeanMethod } from "./mean_method.js";

/** Ranks to choose from. */
const RANKS = [2, 4, 8, 16, 32] as const;
/** Components that `SingularVectorMeans` can use. */
export const MOST_COMPONENTS = 32;

/**
 * Truncated SVD: the cell's scores, found from its visible genes, times the genes' loadings give the expected Pearson residual y,
 * and so the count L s + sqrt(L s) y at the estimated depth L. The residual is linear in the count, so the mean is not bent
 * as one that comes back from a logarithm is.
 */
export class SingularVectorMeans implements MeanMethod {
  readonly name = "truncated SVD";
  readonly settings: readonly string[];
  readonly #ranks: readonly number[];
  readonly #scores: CellScores;
  readonly #base: CountBase;

  constructor(scores: CellScores, base: CountBase) {
    this.#base = base;
    this.#scores = scores;
    this.#ranks = ranksUpTo(RANKS, scores.components.rank);
    this.settings = this.#ranks.map((rank) => `rank ${rank}`);
  }

  means(masked: MaskedCells, settings: readonly number[]): Float64Array[] {
    const all = settings.map(() => new Float64Array(masked.queries.genes.length));
    const ranks = settings.map((setting) => this.#ranks[setting] as number);
    const { vectors, rank } = this.#scores.components;
    const { offsets, genes } = masked.queries;
    const { share } = this.#base;
    for (let cell = 0; cell < masked.cells.length; cell++) {
      const depth = estimatedDepth(masked, cell, this.#base);
      this.#scores.of(masked, cell, ranks).forEach((scores, place) => {
        const means = all[place] as Float64Array;
        for (let query = offsets[cell] as number; query < (offsets[cell + 1] as number); query++) {
          const at = (genes[query] as number) * rank;
          let y = 0;
          for (let j = 0; j < scores.length; j++) y += (scores[j] as number) * (vectors[at + j] as number);
          const mean = depth * (share[genes[query] as number] as number);
          means[query] = mean + Math.sqrt(mean) * y;
        }
      });
    }
    return all;
  }
}

/** The ranks that there are components for; at least one. */
export function ranksUpTo(ranks: readonly number[], most: number): number[] {
  return ranks.filter((rank, i) => i === 0 || rank <= most).map((rank) => Math.min(rank, most));
}
