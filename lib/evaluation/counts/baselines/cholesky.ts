/**
 * Systems of equations by Cholesky's method, on flat arrays and in place: tens of thousands of small ones are solved, and a
 * leading part of the factor solves the leading equations, which serves several ranks at once.
 */

/** The lower factor L of a positive definite matrix A = L L^T, from A's lower triangle, which it overwrites; [size x size]. */
export function choleskyInPlace(matrix: Float64Array, size: number): void {
  for (let j = 0; j < size; j++) {
    for (let i = j; i < size; i++) {
      let sum = matrix[i * size + j] as number;
      for (let k = 0; k < j; k++) {
        sum -= (matrix[i * size + k] as number) * (matrix[j * size + k] as number);
      }
      // Rounding may leave a direction of no extent a hair below 0.
      matrix[i * size + j] =
        i === j ? Math.sqrt(Math.max(sum, Number.MIN_VALUE)) : sum / (matrix[j * size + j] as number);
    }
  }
}

/** Solves the leading `rank` equations of L L^T x = right for the factor of `choleskyInPlace`. */
export function solveCholesky(
  factor: Float64Array,
  size: number,
  right: Float64Array,
  rank: number = size,
): Float64Array {
  const x = right.slice(0, rank);
  for (let i = 0; i < rank; i++) {
    let sum = x[i] as number;
    for (let k = 0; k < i; k++) sum -= (factor[i * size + k] as number) * (x[k] as number);
    x[i] = sum / (factor[i * size + i] as number);
  }
  for (let i = rank - 1; i >= 0; i--) {
    let sum = x[i] as number;
    for (let k = i + 1; k < rank; k++) sum -= (factor[k * size + i] as number) * (x[k] as number);
    x[i] = sum / (factor[i * size + i] as number);
  }
  return x;
}
