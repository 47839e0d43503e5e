import type { CountBase, CountCells } from "../count_cells.js";
import { estimatedDepth, type MaskedCells } from "../masked_cells.js";
import { choleskyInPlace, solveCholesky } from "./cholesky.js";
import { HiddenFlags, wholeDepths } from "./mean_method.js";
import { type CentredMatrix, type Components, principalComponents } from "./principal_components.js";

/** Noise of a gene is at least this part of its variance. */
const LEAST_NOISE = 0.1;

/**
 * Principal components of the training cells' Pearson residuals y = (x - D s) / sqrt(D s) (D a cell's depth, s the gene's
 * share: what is left when depth is known, of unit variance where only chance is at work), and a cell's scores z given the
 * genes that are visible in it. With y = sqrt(D / mean depth) W z + noise, z normal with the components' variances (less the noise
 * in them) and each gene's own noise variance, the scores are the posterior's mean: least squares on the visible genes, shrunk.
 */
export class CellScores {
  readonly components: Components;
  /** Variance of each score, [rank]. */
  readonly prior: Float64Array;
  /** Variance of y that the components leave, by gene id. */
  readonly noise: Float64Array;
  readonly #base: CountBase;
  readonly #rootShare: Float64Array;
  readonly #hidden: HiddenFlags;

  constructor(training: CountCells, base: CountBase, rank: number, seed: number) {
    this.#base = base;
    this.#hidden = new HiddenFlags(base.share.length);
    this.#rootShare = base.share.map(Math.sqrt);
    const matrix = pearsonResiduals(training, base, this.#rootShare);
    this.components = principalComponents(matrix, rank, seed);
    const { noise, prior } = noiseAndPrior(matrix, this.components);
    this.noise = noise;
    this.prior = prior;
  }

  /**
   * Scores of one masked cell at each of these ranks (the leading components), times sqrt(D / mean depth): W times them is the
   * expected y. D is `estimatedDepth`.
   */
  of(masked: MaskedCells, cell: number, ranks: readonly number[]): Float64Array[] {
    const { vectors, rank } = this.components;
    const size = Math.min(rank, Math.max(...ranks));
    const hidden = this.#hidden.of(masked, cell);
    const noise = this.noise;
    const rootShare = this.#rootShare;
    const depth = estimatedDepth(masked, cell, this.#base);
    const root = Math.sqrt(depth);
    const precision = new Float64Array(size * size);
    const pull = new Float64Array(size);
    for (const gene of masked.panelGenes[masked.panels[cell] as number] as Int32Array) {
      if (hidden[gene] === 1) continue;
      const at = gene * rank;
      const weight = 1 / (noise[gene] as number);
      // As if the count were 0; what is above 0 is added below.
      const zero = -root * (rootShare[gene] as number);
      for (let j = 0; j < size; j++) {
        const value = weight * (vectors[at + j] as number);
        pull[j] = (pull[j] as number) + value * zero;
        const row = j * size;
        for (let k = 0; k <= j; k++) {
          precision[row + k] = (precision[row + k] as number) + value * (vectors[at + k] as number);
        }
      }
    }
    for (
      let i = masked.visibleOffsets[cell] as number;
      i < (masked.visibleOffsets[cell + 1] as number);
      i++
    ) {
      const gene = masked.visibleGenes[i] as number;
      const more =
        (masked.visibleCounts[i] as number) / (root * (rootShare[gene] as number) * (noise[gene] as number));
      for (let j = 0; j < size; j++) {
        pull[j] = (pull[j] as number) + more * (vectors[gene * rank + j] as number);
      }
    }
    const scale = depth / this.#base.meanDepth;
    for (let j = 0; j < size; j++) {
      precision[j * size + j] = (precision[j * size + j] as number) + 1 / (scale * (this.prior[j] as number));
    }
    choleskyInPlace(precision, size);
    return ranks.map((each) => solveCholesky(precision, size, pull, Math.min(each, size)));
  }
}

function pearsonResiduals(training: CountCells, base: CountBase, rootShare: Float64Array): CentredMatrix {
  const { offsets, genes, counts, panels, panelGenes } = training;
  const roots = wholeDepths(training, base).map((depth) => Math.sqrt(Math.max(depth, 1)));
  const values = new Float64Array(counts.length);
  for (let cell = 0; cell < panels.length; cell++) {
    for (let i = offsets[cell] as number; i < (offsets[cell + 1] as number); i++) {
      values[i] =
        (counts[i] as number) / ((roots[cell] as number) * (rootShare[genes[i] as number] as number));
    }
  }
  return { offsets, genes, values, rowScale: roots, columnScale: rootShare, panels, panelGenes };
}

/** Noise of each gene: its variance less what the components explain. Signal of a component: its variance less the mean noise. */
function noiseAndPrior(
  matrix: CentredMatrix,
  { vectors, variances, rank }: Components,
): { noise: Float64Array; prior: Float64Array } {
  const noise = columnVariances(matrix);
  let total = 0;
  let genes = 0;
  for (let gene = 0; gene < noise.length; gene++) {
    const variance = noise[gene] as number;
    if (variance === 0) {
      noise[gene] = 1;
      continue;
    }
    let explained = 0;
    for (let j = 0; j < rank; j++) {
      explained += (vectors[gene * rank + j] as number) ** 2 * (variances[j] as number);
    }
    noise[gene] = Math.max(variance - explained, LEAST_NOISE * variance);
    total += noise[gene] as number;
    genes++;
  }
  const mean = total / Math.max(1, genes);
  return { noise, prior: variances.map((variance) => Math.max(variance - mean, 1e-3 * variance, 1e-12)) };
}

/** Mean square of each column over the cells that were measured for it, by gene id; 0 for genes of no cell. */
function columnVariances(matrix: CentredMatrix): Float64Array {
  const { offsets, genes, values, rowScale, columnScale, panels, panelGenes } = matrix;
  const squares = new Float64Array(columnScale.length);
  const cells = new Float64Array(columnScale.length);
  const rowSquares = new Float64Array(panelGenes.length);
  const panelCells = new Float64Array(panelGenes.length);
  for (let cell = 0; cell < panels.length; cell++) {
    const panel = panels[cell] as number;
    const scale = rowScale[cell] as number;
    rowSquares[panel] = (rowSquares[panel] as number) + scale * scale;
    panelCells[panel] = (panelCells[panel] as number) + 1;
    for (let i = offsets[cell] as number; i < (offsets[cell + 1] as number); i++) {
      const gene = genes[i] as number;
      const value = values[i] as number;
      squares[gene] = (squares[gene] as number) + value * (value - 2 * scale * (columnScale[gene] as number));
    }
  }
  panelGenes.forEach((panel, place) => {
    for (const gene of panel) {
      squares[gene] =
        (squares[gene] as number) + (rowSquares[place] as number) * (columnScale[gene] as number) ** 2;
      cells[gene] = (cells[gene] as number) + (panelCells[place] as number);
    }
  });
  return squares.map((sum, gene) => (cells[gene] === 0 ? 0 : Math.max(sum, 1e-9) / (cells[gene] as number)));
}
