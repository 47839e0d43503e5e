import { checkNumber } from "../base/errors.js";
import { HALF_LOG_TWO_PI, logGamma } from "./negative_binomial.js";

/** Probabilities are added up from 0 while P(0) can be told from nothing and the mean is below this; beyond, quantiles are searched for. */
const MOST_SUMMED = 500;
const LEAST_LOG = -700;
/** A continued fraction has converged, or is taken as it is. */
const CONVERGED = 1e-15;
const MOST_TERMS = 100_000;
const TINY = 1e-300;
const TWO_PI = 2 * Math.PI;
/** Counts are signed 32-bit numbers, and quantiles at most this. */
const MOST_COUNT = 2 ** 31 - 1;

/** P(X > 0) of the negative binomial of this mean and size. */
export function chanceAboveZero(mean: number, size: number): number {
  return mean <= 0 ? 0 : -Math.expm1(-size * Math.log1p(mean / size));
}

/**
 * The smallest count k with P(X <= k) >= p, of the negative binomial of this mean and size (variance mean + mean^2 / size); at most
 * 2^31 - 1. Below a mean of 500 the probabilities of 0, 1, 2, ... are added up; above, k is searched for with the regularised
 * incomplete beta function, P(X <= k) = I(size / (size + mean); size, k + 1). Both to some 1e-12 of P.
 *
 * @param p within 0..1, both excluded
 * @param mean 0 or above
 * @param size above 0
 */
export function negativeBinomialQuantile(p: number, mean: number, size: number): number {
  checkNumber("p", p, { min: Number.MIN_VALUE, max: 1 - Number.EPSILON });
  checkNumber("mean", mean, { min: 0 });
  if (mean === 0) return 0;
  checkNumber("size", size, { min: Number.MIN_VALUE });
  const zero = -size * Math.log1p(mean / size);
  return mean < MOST_SUMMED && zero > LEAST_LOG
    ? (summedQuantile(p, mean, size, Math.exp(zero)) ?? searchedQuantile(p, mean, size))
    : searchedQuantile(p, mean, size);
}

/** By adding up; undefined where it takes too long, in a long tail. */
function summedQuantile(p: number, mean: number, size: number, zero: number): number | undefined {
  const ratio = mean / (mean + size);
  let term = zero;
  let sum = term;
  let count = 0;
  while (sum < p) {
    if (count === 20 * MOST_SUMMED) return undefined;
    term *= ((size + count) / (count + 1)) * ratio;
    sum += term;
    count++;
  }
  return count;
}

/** By bisection, from a bracket around mean and deviation. */
function searchedQuantile(p: number, mean: number, size: number): number {
  let step = Math.max(1, Math.ceil(Math.sqrt(mean + (mean * mean) / size)));
  let high = Math.min(MOST_COUNT, Math.floor(mean));
  let low = -1;
  if (cumulative(high, mean, size) >= p) {
    // P(X <= low) < p
    for (low = high - step; low >= 0 && cumulative(low, mean, size) >= p; step *= 2) {
      high = low;
      low -= step;
    }
    low = Math.max(low, -1);
  } else {
    while (high < MOST_COUNT && cumulative(high, mean, size) < p) {
      low = high;
      high = Math.min(MOST_COUNT, high + step);
      step *= 2;
    }
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (cumulative(middle, mean, size) >= p) high = middle;
    else low = middle;
  }
  return high;
}

/** P(X <= count), count >= 0. */
function cumulative(count: number, mean: number, size: number): number {
  const x = size / (size + mean);
  const y = mean / (size + mean);
  const [a, b] = [size, count + 1];
  // x^a y^b / B(a, b)
  const front = probability(count, mean, size) * (size + count) * y;
  // The fraction converges fast on its own side of the mean.
  return x < (a + 1) / (a + b + 2)
    ? Math.min(1, (front * betaFraction(a, b, x)) / a)
    : Math.max(0, 1 - (front * betaFraction(b, a, y)) / b);
}

/** The continued fraction of the incomplete beta function (Abramowitz and Stegun 26.5.8), by Lentz's method. */
function betaFraction(a: number, b: number, x: number): number {
  let c = 1;
  let d = 1 / away(1 - ((a + b) * x) / (a + 1));
  let result = d;
  for (let m = 1; m <= MOST_TERMS; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away(1 + even * d);
    c = away(1 + even / c);
    result *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + odd * d);
    c = away(1 + odd / c);
    const change = d * c;
    result *= change;
    if (Math.abs(change - 1) < CONVERGED) break;
  }
  return result;
}

function away(value: number): number {
  return Math.abs(value) < TINY ? TINY : value;
}

/**
 * P(X = count) by Loader's saddle-point form ("Fast and accurate computation of binomial probabilities", 2000): differences of large
 * logarithms of gamma functions, which lose digits, do not occur.
 */
function probability(count: number, mean: number, size: number): number {
  if (count === 0) return Math.exp(-size * Math.log1p(mean / size));
  const all = size + count;
  const x = size / (size + mean);
  const y = mean / (size + mean);
  const log =
    stirlingError(all) -
    stirlingError(size) -
    stirlingError(count) -
    deviance(size, all * x) -
    deviance(count, all * y);
  return (size / all) * Math.exp(log) * Math.sqrt(all / (TWO_PI * size * count));
}

/** log(Gamma(x + 1)) - (x + 1/2) log(x) + x - log(2 pi) / 2 */
function stirlingError(x: number): number {
  if (x < 16) return logGamma(x + 1) - (x + 0.5) * Math.log(x) + x - HALF_LOG_TWO_PI;
  const inverse = 1 / (x * x);
  return (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse * (1 / 1680 - inverse / 1188)))) / x;
}

/** x log(x / mean) + mean - x, without cancellation where x is near the mean. */
function deviance(x: number, mean: number): number {
  const ratio = (x - mean) / (x + mean);
  if (Math.abs(ratio) > 0.1) return x * Math.log(x / mean) + mean - x;
  // x log((1 + v) / (1 - v)) is 2 x (v + v^3 / 3 + ...)
  let sum = (x - mean) * ratio;
  let power = 2 * x * ratio;
  const square = ratio * ratio;
  for (let j = 1; j < 100; j++) {
    power *= square;
    const next = sum + power / (2 * j + 1);
    if (next === sum) break;
    sum = next;
  }
  return sum;
}
