/** Terms of Stirling's series: B(2k) / (2k (2k - 1)). */
const STIRLING = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156] as const;
export const HALF_LOG_TWO_PI = 0.9189385332046728;
/** Counts up to here are summed term by term; lgamma costs more. */
const SHORT = 12;
/** Terms of a cumulative probability at most; the ones left out are below 1e-12 of it. */
const MOST_TERMS = 1_000_000;
/** Bounds of a size that moments give. */
const SMALLEST_SIZE = 0.01;
const LARGEST_SIZE = 100;

/** Logarithm of the gamma function for x > 0 (Stirling's series above 10, the recurrence below): to some 1e-15 of its size. */
export function logGamma(x: number): number {
  let shift = 0;
  let y = x;
  if (y < 10) {
    let product = 1;
    while (y < 10) product *= y++;
    shift = Math.log(product);
  }
  const inverse = 1 / (y * y);
  let series = 0;
  for (let k = STIRLING.length - 1; k >= 0; k--) series = series * inverse + (STIRLING[k] as number);
  return (y - 0.5) * Math.log(y) - y + HALF_LOG_TWO_PI + series / y - shift;
}

/** A size by moments: squared means over what the variance is more than the mean, within 0.01..100; 100 where that is not positive. */
export function sizeByMoments(squaredMeans: number, excess: number): number {
  if (!(excess > 0)) return LARGEST_SIZE;
  return Math.min(Math.max(squaredMeans / excess, SMALLEST_SIZE), LARGEST_SIZE);
}

/** log P(X = count) of the negative binomial with this mean and size: variance mean + mean^2 / size. */
export function logNegativeBinomial(count: number, mean: number, size: number): number {
  const zero = -size * Math.log1p(mean / size);
  if (count === 0) return zero;
  const log = zero - count * Math.log1p(size / mean);
  if (count > SHORT) {
    return log + logGamma(count + size) - logGamma(size) - logGamma(count + 1);
  }
  let product = size;
  for (let k = 1; k < count; k++) product *= (k + size) / (k + 1);
  return log + Math.log(product);
}

/**
 * P(X < count) of the same, given at = P(X = count). Terms are summed downwards from the count by their ratio, so that
 * nothing underflows before it is negligible; where `at` itself is 0 in float64, the count lies far in one of the tails.
 */
export function belowNegativeBinomial(count: number, mean: number, size: number, at: number): number {
  if (count === 0) return 0;
  if (at === 0) return count > mean ? 1 : 0;
  const ratio = mean / (mean + size);
  const least = Math.max(0, count - MOST_TERMS);
  let term = at;
  let sum = 0;
  for (let k = count; k > least; k--) {
    term *= k / ((k - 1 + size) * ratio);
    sum += term;
    if (k < mean && term < 1e-14 * sum) break;
  }
  return Math.min(1 - at, sum);
}
