import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { Purpose, RandomStream } from "../../../base/random.js";

/** A cells x genes matrix S - u v^T in which unmeasured genes are 0: sparse S, and v taken over each cell's panel alone. */
export interface CentredMatrix {
  readonly offsets: Int32Array;
  readonly genes: Int32Array;
  /** Entries of S, beside `genes`. */
  readonly values: Float64Array;
  /** u, [cells]. */
  readonly rowScale: Float64Array;
  /** v, by gene id. */
  readonly columnScale: Float64Array;
  readonly panels: Int32Array;
  readonly panelGenes: readonly Int32Array[];
}

/** Right singular vectors of a matrix and what they explain. */
export interface Components {
  /** Orthonormal columns, [gene ids x rank] by row. */
  readonly vectors: Float64Array;
  /** Squared singular values over the number of cells, descending, [rank]. */
  readonly variances: Float64Array;
  readonly rank: number;
}

/** Columns beyond the rank of the random sketch, and its power iterations. */
const OVERSAMPLING = 10;
const POWER_ITERATIONS = 4;

/**
 * The leading right singular vectors, by a randomised range finder with power iterations (Halko, Martinsson and Tropp 2011):
 * nothing dense is made but [genes x (rank + 10)] and one row of a cell.
 */
export function principalComponents(matrix: CentredMatrix, rank: number, seed: number): Components {
  const geneIds = matrix.columnScale.length;
  const measured = new Set(matrix.panelGenes.flatMap((genes) => [...genes])).size;
  const columns = Math.min(rank + OVERSAMPLING, measured, matrix.panels.length);
  const stream = new RandomStream(seed, Purpose.initialise);
  let basis: Float64Array = Float64Array.from({ length: geneIds * columns }, () => stream.normal());
  for (let step = 0; step <= POWER_ITERATIONS; step++) {
    basis = orthonormal(timesTransposed(matrix, basis, columns).product, columns);
  }
  const { gram } = timesTransposed(matrix, basis, columns);
  const { values, vectors } = eigen(gram, columns);
  const kept = Math.min(rank, columns);
  return {
    vectors: timesSmall(basis, vectors, columns, kept),
    variances: Float64Array.from({ length: kept }, (_, i) =>
      Math.max(0, (values[i] as number) / matrix.panels.length),
    ),
    rank: kept,
  };
}

/** A^T A B and (A B)^T A B for a basis B [gene ids x columns], cell by cell. */
function timesTransposed(
  matrix: CentredMatrix,
  basis: Float64Array,
  columns: number,
): { product: Float64Array; gram: Float64Array<ArrayBuffer> } {
  const { offsets, genes, values, rowScale, columnScale, panels, panelGenes } = matrix;
  const product = new Float64Array(basis.length);
  const gram = new Float64Array(columns * columns);
  // v_p^T B by panel, and the sum of u_c times a cell's row of A B, which v_p multiplies at the end.
  const centres = panelGenes.map((panel) => {
    const centre = new Float64Array(columns);
    for (const gene of panel) {
      const scale = columnScale[gene] as number;
      for (let k = 0; k < columns; k++) {
        centre[k] = (centre[k] as number) + scale * (basis[gene * columns + k] as number);
      }
    }
    return centre;
  });
  const pulled = panelGenes.map(() => new Float64Array(columns));
  const row = new Float64Array(columns);
  for (let cell = 0; cell < panels.length; cell++) {
    const panel = panels[cell] as number;
    const centre = centres[panel] as Float64Array;
    const pull = pulled[panel] as Float64Array;
    const scale = rowScale[cell] as number;
    for (let k = 0; k < columns; k++) row[k] = -scale * (centre[k] as number);
    const end = offsets[cell + 1] as number;
    for (let i = offsets[cell] as number; i < end; i++) {
      const value = values[i] as number;
      const at = (genes[i] as number) * columns;
      for (let k = 0; k < columns; k++) row[k] = (row[k] as number) + value * (basis[at + k] as number);
    }
    for (let i = offsets[cell] as number; i < end; i++) {
      const value = values[i] as number;
      const at = (genes[i] as number) * columns;
      for (let k = 0; k < columns; k++)
        product[at + k] = (product[at + k] as number) + value * (row[k] as number);
    }
    for (let k = 0; k < columns; k++) {
      const value = row[k] as number;
      pull[k] = (pull[k] as number) + scale * value;
      for (let j = 0; j <= k; j++) {
        gram[k * columns + j] = (gram[k * columns + j] as number) + value * (row[j] as number);
      }
    }
  }
  for (let k = 0; k < columns; k++) {
    for (let j = 0; j < k; j++) gram[j * columns + k] = gram[k * columns + j] as number;
  }
  panelGenes.forEach((panel, place) => {
    const pull = pulled[place] as Float64Array;
    for (const gene of panel) {
      const scale = columnScale[gene] as number;
      for (let k = 0; k < columns; k++) {
        product[gene * columns + k] = (product[gene * columns + k] as number) - scale * (pull[k] as number);
      }
    }
  });
  return { product, gram };
}

/** An orthonormal basis of the columns' span (modified Gram-Schmidt, twice); a column within the others' span becomes 0. */
function orthonormal(basis: Float64Array, columns: number): Float64Array {
  const result = basis.slice();
  for (let k = 0; k < columns; k++) {
    const before = Math.sqrt(dotOfColumns(result, columns, k, k));
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < k; j++) {
        const part = dotOfColumns(result, columns, j, k);
        for (let at = 0; at < result.length; at += columns) {
          result[at + k] = (result[at + k] as number) - part * (result[at + j] as number);
        }
      }
    }
    const length = Math.sqrt(dotOfColumns(result, columns, k, k));
    const scale = length > 1e-12 * before ? 1 / length : 0;
    for (let at = k; at < result.length; at += columns) result[at] = (result[at] as number) * scale;
  }
  return result;
}

function dotOfColumns(matrix: Float64Array, columns: number, a: number, b: number): number {
  let sum = 0;
  for (let at = 0; at < matrix.length; at += columns) {
    sum += (matrix[at + a] as number) * (matrix[at + b] as number);
  }
  return sum;
}

/** B M for B [rows x columns] and the first `kept` columns of M [columns x columns]. */
function timesSmall(basis: Float64Array, small: Float64Array, columns: number, kept: number): Float64Array {
  const rows = basis.length / columns;
  const result = new Float64Array(rows * kept);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const value = basis[i * columns + j] as number;
      if (value === 0) continue;
      for (let k = 0; k < kept; k++) {
        result[i * kept + k] = (result[i * kept + k] as number) + value * (small[j * columns + k] as number);
      }
    }
  }
  return result;
}

/** Eigenvalues of a symmetric matrix, descending, and the eigenvectors as columns. */
function eigen(symmetric: Float64Array, size: number): { values: Float64Array; vectors: Float64Array } {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(
    Matrix.from1DArray(size, size, symmetric as unknown as number[]),
    { assumeSymmetric: true },
  );
  const order = realEigenvalues
    .map((_, i) => i)
    .sort((a, b) => (realEigenvalues[b] as number) - (realEigenvalues[a] as number));
  const vectors = new Float64Array(size * size);
  order.forEach((from, to) => {
    for (let row = 0; row < size; row++) vectors[row * size + to] = eigenvectorMatrix.get(row, from);
  });
  return { values: Float64Array.from(order, (i) => realEigenvalues[i] as number), vectors };
}
