import type { CountBase, CountCells } from "../count_cells.js";
import { estimatedDepth, hideGenes, type MaskedCells, maskCells } from "../masked_cells.js";
import type { CellScores } from "./cell_scores.js";
import { choleskyInPlace, solveCholesky } from "./cholesky.js";
import type { MeanMethod } from "./mean_method.js";
import { ranksUpTo } from "./singular_vectors.js";

/** Numbers of components to choose from. */
const RANKS = [4, 8, 16] as const;
/** Penalties to choose from, in units of the scores' mean second moment. */
const PENALTIES = [0.01, 0.1, 1] as const;
/** Cells that are masked at a time. */
const CHUNK = 256;

/** Moments of a ridge regression at one rank, added up over cells. */
interface Moments {
  readonly rank: number;
  /** Sum of z z^T, [rank x rank]. */
  readonly scores: Float64Array;
  /** Sum of z (x - L s) over the cells in which a gene is hidden, [gene ids x rank]. */
  readonly cross: Float64Array;
}

/**
 * Ridge regression of each gene on the principal components of what is visible. The training cells are masked like those that are
 * evaluated, so that a gene is regressed on scores that do not hold it: (x - L s) / L = B z, weighted by L since the variance
 * of x / L goes as 1 / L. Scores of a cell are sqrt(L / mean depth) times those of mean depth, as `CellScores` gives them, so the
 * sums are of z z^T and z (x - L s) sqrt(mean depth / L), and the prediction is L s + sqrt(L / mean depth) B z. A gene is hidden in a share `ratio` of the cells: its second moments are that
 * share of everyone's.
 */
export class RidgeMeans implements MeanMethod {
  readonly name = "ridge on principal components";
  readonly settings: readonly string[];
  readonly #settings: readonly { readonly place: number; readonly rank: number; readonly penalty: number }[];
  readonly #ranks: readonly number[];
  readonly #coefficients: readonly Float64Array[];
  readonly #scores: CellScores;
  readonly #base: CountBase;

  private constructor(scores: CellScores, base: CountBase, moments: readonly Moments[], ratio: number) {
    this.#scores = scores;
    this.#base = base;
    this.#ranks = moments.map(({ rank }) => rank);
    this.#settings = moments.flatMap(({ rank }, place) =>
      PENALTIES.map((penalty) => ({ place, rank, penalty })),
    );
    this.settings = this.#settings.map(({ rank, penalty }) => `${rank} components, penalty ${penalty}`);
    this.#coefficients = this.#settings.map(({ place, penalty }) =>
      coefficients(moments[place] as Moments, penalty, ratio),
    );
  }

  /**
   * Fits the coefficients.
   *
   * @param pause awaited between chunks of cells
   */
  static async fit(
    training: CountCells,
    base: CountBase,
    scores: CellScores,
    options: { readonly ratio: number; readonly seed: number; readonly pause: () => Promise<void> },
  ): Promise<RidgeMeans> {
    const ranks = ranksUpTo(RANKS, scores.components.rank);
    const moments = ranks.map((rank) => ({
      rank,
      scores: new Float64Array(rank * rank),
      cross: new Float64Array(base.share.length * rank),
    }));
    const hidden = hideGenes(training, options.ratio, options.seed);
    const cells = training.panels.length;
    for (let first = 0; first < cells; first += CHUNK) {
      const masked = maskCells(training, hidden, first, Math.min(cells, first + CHUNK), base);
      for (let cell = 0; cell < masked.cells.length; cell++) {
        addCell(training, masked, cell, base, scores.of(masked, cell, ranks), moments);
      }
      await options.pause();
    }
    return new RidgeMeans(scores, base, moments, options.ratio);
  }

  means(masked: MaskedCells, settings: readonly number[]): Float64Array[] {
    const all = settings.map(() => new Float64Array(masked.queries.genes.length));
    const chosen = settings.map((setting) => this.#settings[setting] as { place: number });
    const { offsets, genes } = masked.queries;
    const { share, meanDepth } = this.#base;
    for (let cell = 0; cell < masked.cells.length; cell++) {
      const depth = estimatedDepth(masked, cell, this.#base);
      const root = Math.sqrt(depth / meanDepth);
      const scores = this.#scores.of(masked, cell, this.#ranks);
      settings.forEach((setting, which) => {
        const z = scores[chosen[which]?.place as number] as Float64Array;
        const table = this.#coefficients[setting] as Float64Array;
        const means = all[which] as Float64Array;
        for (let query = offsets[cell] as number; query < (offsets[cell + 1] as number); query++) {
          const gene = genes[query] as number;
          let y = 0;
          for (let j = 0; j < z.length; j++) y += (z[j] as number) * (table[gene * z.length + j] as number);
          means[query] = depth * (share[gene] as number) + root * y;
        }
      });
    }
    return all;
  }
}

function addCell(
  training: CountCells,
  masked: MaskedCells,
  cell: number,
  base: CountBase,
  scores: readonly Float64Array[],
  moments: readonly Moments[],
): void {
  const depth = estimatedDepth(masked, cell, base);
  const scale = Math.sqrt(base.meanDepth / depth);
  const place = masked.cells[cell] as number;
  const hidden = masked.hidden.genes.subarray(masked.hidden.offsets[cell], masked.hidden.offsets[cell + 1]);
  // What is hidden, found by merging two ascending lists of genes.
  const residuals = new Float64Array(hidden.length);
  let next = training.offsets[place] as number;
  const end = training.offsets[place + 1] as number;
  for (let i = 0; i < hidden.length; i++) {
    const gene = hidden[i] as number;
    while (next < end && (training.genes[next] as number) < gene) next++;
    const count = next < end && training.genes[next] === gene ? (training.counts[next] as number) : 0;
    residuals[i] = (count - depth * (base.share[gene] as number)) * scale;
  }
  moments.forEach(({ rank, scores: squares, cross }, which) => {
    const z = scores[which] as Float64Array;
    for (let j = 0; j < rank; j++) {
      for (let k = 0; k <= j; k++) {
        squares[j * rank + k] = (squares[j * rank + k] as number) + (z[j] as number) * (z[k] as number);
      }
    }
    for (let i = 0; i < hidden.length; i++) {
      const at = (hidden[i] as number) * rank;
      const residual = residuals[i] as number;
      for (let j = 0; j < rank; j++) cross[at + j] = (cross[at + j] as number) + residual * (z[j] as number);
    }
  });
}

/** B of (ratio sum z z^T + penalty) B = sum z (x - L s) sqrt(mean depth / L), [gene ids x rank]. */
function coefficients({ rank, scores, cross }: Moments, penalty: number, ratio: number): Float64Array {
  const factor = scores.map((value) => value * ratio);
  let trace = 0;
  for (let j = 0; j < rank; j++) trace += factor[j * rank + j] as number;
  for (let j = 0; j < rank; j++) {
    factor[j * rank + j] = (factor[j * rank + j] as number) + (penalty * trace) / rank + Number.EPSILON;
  }
  choleskyInPlace(factor, rank);
  const result = new Float64Array(cross.length);
  for (let at = 0; at < cross.length; at += rank) {
    result.set(solveCholesky(factor, rank, cross.subarray(at, at + rank)), at);
  }
  return result;
}
