import { isTurnOver, takeTurn } from "../base/turns.js";
import type { Features } from "./features.js";

/** A fitted logistic regression: the log odds of class 1 are offset + sum of weight times feature. */
export interface LogisticModel {
  /** [features] */
  readonly weights: Float64Array;
  readonly offset: number;
}

/** Pairs of steps that L-BFGS remembers. */
const MEMORY = 10;
const MOST_ITERATIONS = 200;
/** Largest entry of the gradient, over the number of cells, at which fitting ends. */
const TOLERANCE = 1e-4;
/** Of the decrease that the slope promises, what a step must reach at least. */
const SUFFICIENT = 1e-4;

/**
 * Logistic regression on features that are standardised over the training cells (mean 0, variance 1; constant ones are left out),
 * with an L2 penalty on the weights but not on the intercept: minimises sum log(1 + exp(-y z)) + |w|^2 / (2 C) by L-BFGS (Liu
 * and Nocedal 1989). Deterministic. Features stay sparse: the weights are folded with means and deviations instead.
 *
 * @param isPositive class of each cell, 0 or 1, [cells]
 * @param train places of the cells to learn from
 * @param strength C, > 0: how much the data count beside the penalty
 */
export async function fitLogistic(
  features: Features,
  isPositive: Uint8Array,
  train: Int32Array,
  strength: number,
  signal: AbortSignal | undefined,
): Promise<LogisticModel> {
  const problem = new LogisticProblem(features, isPositive, train, strength);
  const size = features.width + 1;
  const steps: { readonly step: Float64Array; readonly change: Float64Array; readonly scale: number }[] = [];
  let point: Float64Array = new Float64Array(size);
  let { value, gradient } = problem.evaluate(point);
  for (let iteration = 0; iteration < MOST_ITERATIONS; iteration++) {
    if (isTurnOver()) await takeTurn(signal);
    if (largest(gradient) <= TOLERANCE * train.length) break;
    const direction = descent(gradient, steps);
    const slope = dot(gradient, direction);
    let length = steps.length === 0 ? Math.min(1, 1 / Math.sqrt(dot(gradient, gradient))) : 1;
    let next = moved(point, direction, length);
    let found = problem.evaluate(next);
    while (found.value > value + SUFFICIENT * length * slope && length > 1e-12) {
      length /= 2;
      next = moved(point, direction, length);
      found = problem.evaluate(next);
      if (isTurnOver()) await takeTurn(signal);
    }
    const step = next.map((each, i) => each - (point[i] as number));
    const change = found.gradient.map((each, i) => each - (gradient[i] as number));
    const curvature = dot(step, change);
    // The objective is convex; rounding may say otherwise where it stands still.
    if (!(curvature > 0)) break;
    steps.push({ step, change, scale: 1 / curvature });
    if (steps.length > MEMORY) steps.shift();
    point = next;
    ({ value, gradient } = found);
  }
  return problem.modelAt(point);
}

/** Log odds of class 1 of some cells, [cells]. */
export function logOdds(
  features: Features,
  { weights, offset }: LogisticModel,
  cells: Int32Array,
): Float64Array {
  const { offsets, columns, values } = features;
  return Float64Array.from(cells, (cell) => {
    let sum = offset;
    for (let i = offsets[cell] as number; i < (offsets[cell + 1] as number); i++)
      sum += (values[i] as number) * (weights[columns[i] as number] as number);
    return sum;
  });
}

/** The objective and its gradient in standardised weights, the intercept last. */
class LogisticProblem {
  readonly #features: Features;
  readonly #isPositive: Uint8Array;
  readonly #train: Int32Array;
  readonly #strength: number;
  readonly #means: Float64Array;
  /** 1 / standard deviation; 0 for a constant feature. */
  readonly #scales: Float64Array;

  constructor(features: Features, isPositive: Uint8Array, train: Int32Array, strength: number) {
    this.#features = features;
    this.#isPositive = isPositive;
    this.#train = train;
    this.#strength = strength;
    const { width, offsets, columns, values } = features;
    const means = new Float64Array(width);
    const squares = new Float64Array(width);
    for (const cell of train) {
      for (let i = offsets[cell] as number; i < (offsets[cell + 1] as number); i++) {
        const [column, value] = [columns[i] as number, values[i] as number];
        means[column] = (means[column] as number) + value / train.length;
        squares[column] = (squares[column] as number) + (value * value) / train.length;
      }
    }
    this.#means = means;
    this.#scales = squares.map((square, column) => {
      const variance = square - (means[column] as number) ** 2;
      return variance > 1e-12 * square ? 1 / Math.sqrt(variance) : 0;
    });
  }

  /** The weights of features as they are. */
  modelAt(point: Float64Array): LogisticModel {
    const weights = this.#scales.map((scale, column) => scale * (point[column] as number));
    return { weights, offset: (point[weights.length] as number) - dot(weights, this.#means) };
  }

  evaluate(point: Float64Array): { value: number; gradient: Float64Array } {
    const { width, offsets, columns, values } = this.#features;
    const model = this.modelAt(point);
    const odds = logOdds(this.#features, model, this.#train);
    const raw = new Float64Array(width);
    let [value, residuals] = [0, 0];
    for (const [i, cell] of this.#train.entries()) {
      const z = odds[i] as number;
      const y = this.#isPositive[cell] as number;
      value += Math.max(z, 0) - y * z + Math.log1p(Math.exp(-Math.abs(z)));
      const residual = 1 / (1 + Math.exp(-z)) - y;
      residuals += residual;
      for (let j = offsets[cell] as number; j < (offsets[cell + 1] as number); j++) {
        const column = columns[j] as number;
        raw[column] = (raw[column] as number) + residual * (values[j] as number);
      }
    }
    const gradient = new Float64Array(width + 1);
    let penalty = 0;
    for (let column = 0; column < width; column++) {
      const weight = point[column] as number;
      penalty += weight * weight;
      const centred = (raw[column] as number) - residuals * (this.#means[column] as number);
      gradient[column] = (this.#scales[column] as number) * centred + weight / this.#strength;
    }
    gradient[width] = residuals;
    return { value: value + penalty / (2 * this.#strength), gradient };
  }
}

/** Minus the inverse Hessian, as the steps so far tell it, times the gradient (two-loop recursion). */
function descent(
  gradient: Float64Array,
  steps: readonly { readonly step: Float64Array; readonly change: Float64Array; readonly scale: number }[],
): Float64Array {
  const direction = gradient.map((each) => -each);
  const shares: number[] = [];
  for (const { step, change, scale } of steps.toReversed()) {
    const share = scale * dot(step, direction);
    shares.push(share);
    add(direction, change, -share);
  }
  const last = steps.at(-1);
  if (last !== undefined) {
    const curvature = 1 / (last.scale * dot(last.change, last.change));
    for (let i = 0; i < direction.length; i++) direction[i] = curvature * (direction[i] as number);
  }
  for (const { step, change, scale } of steps) {
    const share = shares.pop() as number;
    add(direction, step, share - scale * dot(change, direction));
  }
  return direction;
}

function moved(point: Float64Array, direction: Float64Array, length: number): Float64Array {
  return point.map((each, i) => each + length * (direction[i] as number));
}

function add(to: Float64Array, from: Float64Array, times: number): void {
  for (let i = 0; i < to.length; i++) to[i] = (to[i] as number) + times * (from[i] as number);
}

function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += (x[i] as number) * (y[i] as number);
  return sum;
}

function largest(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}
