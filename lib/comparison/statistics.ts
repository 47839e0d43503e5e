import { quantile } from "../base/quantile.js";

/** Pearson correlation of two lists; null where either is constant or there are fewer than two values. */
export function pearson(x: ArrayLike<number>, y: ArrayLike<number>): number | null {
  const size = x.length;
  const [meanX, meanY] = [mean(x), mean(y)];
  let [xx, yy, xy] = [0, 0, 0];
  for (let i = 0; i < size; i++) {
    const [a, b] = [(x[i] as number) - meanX, (y[i] as number) - meanY];
    xx += a * a;
    yy += b * b;
    xy += a * b;
  }
  return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : null;
}

/** Root of the mean square of the differences of two lists; null for empty ones. */
export function rmsDifference(x: ArrayLike<number>, y: ArrayLike<number>): number | null {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += ((x[i] as number) - (y[i] as number)) ** 2;
  return x.length === 0 ? null : Math.sqrt(sum / x.length);
}

/** Mean of a list. */
export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] as number;
  return sum / values.length;
}

/** Lower quartile, median and upper quartile of some values. */
export function quartiles(values: Float64Array): { q1: number; median: number; q3: number } {
  const sorted = values.slice().sort();
  const at = (place: number) => sorted[place] as number;
  const [q1, median, q3] = [0.25, 0.5, 0.75].map((share) => quantile(sorted.length, at, share)) as [
    number,
    number,
    number,
  ];
  return { q1, median, q3 };
}

/** Median of some values. */
export function median(values: Float64Array): number {
  return quartiles(values).median;
}
