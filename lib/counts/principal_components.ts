import { setImmediate } from "node:timers/promises";
import { Purpose, RandomStream } from "../base/random.js";

/** A matrix of numbers, row-major. */
export interface Matrix {
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/** The directions along which the rows of a matrix differ most from 0. */
export interface PrincipalComponents {
  /** Unit columns, by descending variance; of each the largest number is positive. Row-major, [columns, width]. */
  readonly loadings: Float64Array;
  /** Mean square of the rows along each; 0, with loadings of 0, beyond the rank of the matrix. [width] */
  readonly variances: Float64Array;
}

/** Directions that are followed beyond those that are asked for: the last of these then settle faster. */
const OVERSAMPLING = 16;
const MOST_ROUNDS = 12;
/** Variances that change by less, relative to the greatest, have settled. */
const STANDS_STILL = 1e-5;
/** A direction of less variance, relative to the greatest, is rounding. */
const RANK_TOLERANCE = 1e-10;
/** Multiplications between two looks at the event loop. */
const CHUNK = 8_000_000;
/** Steps of the streams of random starts; training draws with steps from 1 on. */
const START_STEP = 2 ** 44 - 1;

/**
 * Principal components of a matrix that is not centred: the right singular vectors of its `width` largest singular values. Found
 * by subspace iteration from a random start (Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Review
 * 2011, algorithm 4.4, on a few more directions than are asked for), until the variances stand still; exact where rows or
 * columns are not more than the directions. A function of matrix and seed alone.
 *
 * Lets the event loop run between chunks; throws the signal's reason once it is aborted.
 */
export async function principalComponents(
  matrix: Matrix,
  width: number,
  seed: number,
  signal?: AbortSignal,
): Promise<PrincipalComponents> {
  const { rows, columns } = matrix;
  const directions = Math.min(width + OVERSAMPLING, rows, columns);
  let basis = randomBasis(columns, directions, seed);
  let before: Float64Array = new Float64Array(directions);
  for (let round = 0; ; round++) {
    const { image, square } = await applySquare(matrix, basis, directions, signal);
    const { values, vectors } = symmetricEigen(square, directions);
    const change = Math.max(
      0,
      ...values.subarray(0, width).map((value, i) => Math.abs(value - (before[i] ?? 0))),
    );
    before = values;
    if (round + 1 >= MOST_ROUNDS || change <= STANDS_STILL * (values[0] ?? 0))
      return components(basis, columns, { values, vectors }, width, rows);
    basis = orthonormal(image, columns, directions);
  }
}

/** Columns of unit length at right angles, [size, directions], of random direction. */
function randomBasis(size: number, directions: number, seed: number): Float64Array {
  const basis = new Float64Array(size * directions);
  for (let j = 0; j < directions; j++) {
    const stream = new RandomStream(seed, Purpose.initialise, START_STEP, j);
    for (let i = 0; i < size; i++) basis[i * directions + j] = stream.normal();
  }
  return orthonormal(basis, size, directions);
}

/**
 * Gram and Schmidt's orthonormal columns of a matrix, [size, directions], each taken through the others twice, which leaves
 * rounding errors only; a column that depends on those before it becomes 0.
 */
function orthonormal(matrix: Float64Array, size: number, directions: number): Float64Array {
  const columns: Float64Array[] = [];
  for (let j = 0; j < directions; j++) {
    const column = Float64Array.from({ length: size }, (_, i) => matrix[i * directions + j] as number);
    const length = Math.sqrt(dot(column, column));
    for (let pass = 0; pass < 2; pass++) {
      for (const other of columns) {
        const along = dot(column, other);
        for (let i = 0; i < size; i++) column[i] = (column[i] as number) - along * (other[i] as number);
      }
    }
    const left = Math.sqrt(dot(column, column));
    const scale = left > RANK_TOLERANCE * length ? 1 / left : 0;
    columns.push(column.map((value) => value * scale));
  }
  const basis = new Float64Array(size * directions);
  for (const [j, column] of columns.entries())
    for (let i = 0; i < size; i++) basis[i * directions + j] = column[i] as number;
  return basis;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

/** With the matrix R and a basis Q of so many directions: image = R'R Q and square = Q'R'R Q, in one pass over R. */
async function applySquare(
  { values, rows, columns }: Matrix,
  basis: Float64Array,
  directions: number,
  signal?: AbortSignal,
): Promise<{ readonly image: Float64Array; readonly square: Float64Array }> {
  const image = new Float64Array(basis.length);
  const square = new Float64Array(directions * directions);
  const scores = Array.from({ length: 4 }, () => new Float64Array(directions)) as Scores;
  const none = new Float32Array(columns);
  const chunk = Math.max(1, Math.floor(CHUNK / (8 * columns * directions)));
  for (let first = 0; first < rows; first += 4) {
    if ((first / 4) % chunk === 0) {
      await setImmediate();
      signal?.throwIfAborted();
    }
    // Four rows at a time, those after the last being 0: a number that was loaded is used four times.
    const four = [0, 1, 2, 3].map((i) =>
      first + i < rows ? values.subarray((first + i) * columns, (first + i + 1) * columns) : none,
    ) as Rows;
    for (const [i, row] of four.entries()) project(row, basis, scores[i] as Float64Array);
    for (const score of scores) addSquare(score, square);
    addImage(four, scores, image);
  }
  return { image, square };
}

type Scores = [Float64Array, Float64Array, Float64Array, Float64Array];
type Rows = [Float32Array, Float32Array, Float32Array, Float32Array];

/** score = row Q */
function project(row: Float32Array, basis: Float64Array, score: Float64Array): void {
  const directions = score.length;
  score.fill(0);
  const whole = row.length - (row.length % 4);
  for (let i = 0; i < whole; i += 4) {
    const [x0, x1, x2, x3] = [row[i], row[i + 1], row[i + 2], row[i + 3]] as [number, number, number, number];
    const at0 = i * directions;
    const at1 = at0 + directions;
    const at2 = at1 + directions;
    const at3 = at2 + directions;
    for (let j = 0; j < directions; j++) {
      score[j] =
        (score[j] as number) +
        x0 * (basis[at0 + j] as number) +
        x1 * (basis[at1 + j] as number) +
        x2 * (basis[at2 + j] as number) +
        x3 * (basis[at3 + j] as number);
    }
  }
  for (let i = whole; i < row.length; i++) {
    const x = row[i] as number;
    for (let j = 0; j < directions; j++)
      score[j] = (score[j] as number) + x * (basis[i * directions + j] as number);
  }
}

function addSquare(score: Float64Array, square: Float64Array): void {
  const directions = score.length;
  for (let i = 0; i < directions; i++) {
    const x = score[i] as number;
    const at = i * directions;
    for (let j = 0; j < directions; j++)
      square[at + j] = (square[at + j] as number) + x * (score[j] as number);
  }
}

/** image += rows' scores */
function addImage([r0, r1, r2, r3]: Rows, [s0, s1, s2, s3]: Scores, image: Float64Array): void {
  const directions = s0.length;
  for (let i = 0; i < r0.length; i++) {
    const [x0, x1, x2, x3] = [r0[i], r1[i], r2[i], r3[i]] as [number, number, number, number];
    const at = i * directions;
    for (let j = 0; j < directions; j++) {
      image[at + j] =
        (image[at + j] as number) +
        x0 * (s0[j] as number) +
        x1 * (s1[j] as number) +
        x2 * (s2[j] as number) +
        x3 * (s3[j] as number);
    }
  }
}

/** Eigenvalues and -vectors of a symmetric matrix. */
interface Eigen {
  /** Descending. */
  readonly values: Float64Array;
  /** Column j is the unit vector of value j, row-major. */
  readonly vectors: Float64Array;
}

const MOST_SWEEPS = 60;

/** Of a symmetric matrix by Jacobi's rotations (Golub and Van Loan, "Matrix computations", 8.5). */
function symmetricEigen(symmetric: Float64Array, size: number): Eigen {
  const a = symmetric.slice();
  const vectors = new Float64Array(size * size);
  for (let i = 0; i < size; i++) vectors[i * size + i] = 1;
  const scale = Math.sqrt(dot(a, a));
  for (let sweep = 0; sweep < MOST_SWEEPS; sweep++) {
    let beside = 0;
    for (let p = 0; p < size; p++)
      for (let q = p + 1; q < size; q++) beside = Math.max(beside, Math.abs(a[p * size + q] as number));
    if (beside <= 1e-15 * scale) break;
    for (let p = 0; p < size; p++) for (let q = p + 1; q < size; q++) rotate(a, vectors, size, p, q);
  }
  const diagonal = Float64Array.from({ length: size }, (_, i) => a[i * size + i] as number);
  const order = [...diagonal.keys()].sort((i, j) => (diagonal[j] as number) - (diagonal[i] as number));
  const sorted = new Float64Array(size * size);
  for (const [to, from] of order.entries())
    for (let i = 0; i < size; i++) sorted[i * size + to] = vectors[i * size + from] as number;
  return { values: Float64Array.from(order, (i) => diagonal[i] as number), vectors: sorted };
}

/** Turns directions p and q so that a[p, q] becomes 0. */
function rotate(a: Float64Array, vectors: Float64Array, size: number, p: number, q: number): void {
  const beside = a[p * size + q] as number;
  if (beside === 0) return;
  const tau = ((a[q * size + q] as number) - (a[p * size + p] as number)) / (2 * beside);
  const tangent = (tau >= 0 ? 1 : -1) / (Math.abs(tau) + Math.sqrt(1 + tau * tau));
  const cosine = 1 / Math.sqrt(1 + tangent * tangent);
  const sine = tangent * cosine;
  const turn = (numbers: Float64Array, i: number, j: number) => {
    const [x, y] = [numbers[i] as number, numbers[j] as number];
    numbers[i] = cosine * x - sine * y;
    numbers[j] = sine * x + cosine * y;
  };
  for (let i = 0; i < size; i++) {
    turn(a, i * size + p, i * size + q);
    turn(vectors, i * size + p, i * size + q);
  }
  for (let i = 0; i < size; i++) turn(a, p * size + i, q * size + i);
}

/** The first `width` components: the basis turned by the eigenvectors, with fixed signs. */
function components(
  basis: Float64Array,
  columns: number,
  { values, vectors }: Eigen,
  width: number,
  rows: number,
): PrincipalComponents {
  const directions = values.length;
  const loadings = new Float64Array(columns * width);
  const variances = new Float64Array(width);
  const least = RANK_TOLERANCE * (values[0] ?? 0);
  for (let j = 0; j < Math.min(width, directions); j++) {
    const value = values[j] as number;
    if (!(value > least)) break;
    variances[j] = value / rows;
    let largest = 0;
    for (let i = 0; i < columns; i++) {
      let sum = 0;
      for (let k = 0; k < directions; k++)
        sum += (basis[i * directions + k] as number) * (vectors[k * directions + j] as number);
      loadings[i * width + j] = sum;
      if (Math.abs(sum) > Math.abs(largest)) largest = sum;
    }
    if (largest > 0) continue;
    for (let i = 0; i < columns; i++) loadings[i * width + j] = -(loadings[i * width + j] as number);
  }
  return { loadings, variances };
}
