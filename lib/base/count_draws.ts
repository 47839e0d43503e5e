import type { RandomStream } from "./random.js";

/** Means up to which a negative binomial is drawn by going through its probabilities. */
const LARGEST_STEPPED = 30;
/** Rounding: no probability of 0 is less for such means, and what is left of a uniform then is not known. */
const LEAST_PROBABILITY = 1e-18;

/** Negative binomial as a Poisson whose mean is gamma distributed: variance = mean + dispersion mean^2; 0 is Poisson. */
export function negativeBinomial(stream: RandomStream, mean: number, dispersion: number): number {
  if (dispersion === 0) return poisson(stream, mean);
  return poisson(stream, gamma(stream, 1 / dispersion) * mean * dispersion);
}

/**
 * Negative binomial of this mean and size (variance = mean + mean^2 / size), by inversion where the mean is small: one uniform for
 * each count, most of which are 0.
 */
export function negativeBinomialOfSize(stream: RandomStream, mean: number, size: number): number {
  if (mean > LARGEST_STEPPED) return negativeBinomial(stream, mean, 1 / size);
  const odds = mean / (mean + size);
  let probability = Math.exp(-size * Math.log1p(mean / size));
  let left = stream.uniform();
  let count = 0;
  while (left >= probability && probability > LEAST_PROBABILITY) {
    left -= probability;
    probability *= (odds * (count + size)) / (count + 1);
    count++;
  }
  return count;
}

/** Gamma with scale 1 (Marsaglia and Tsang, 2000; below shape 1 boosted by a power of a uniform). */
export function gamma(stream: RandomStream, shape: number): number {
  if (shape < 1) return gamma(stream, shape + 1) * (1 - stream.uniform()) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const normal = stream.normal();
    const v = (1 + c * normal) ** 3;
    if (v <= 0) continue;
    const u = 1 - stream.uniform();
    if (Math.log(u) < 0.5 * normal * normal + d - d * v + d * Math.log(v)) return d * v;
  }
}

/** Poisson: by products of uniforms, a large mean split into parts that do not underflow. */
function poisson(stream: RandomStream, mean: number): number {
  let count = 0;
  let left = mean;
  for (; left > 30; left -= 30) count += poissonBelow(stream, 30);
  return count + poissonBelow(stream, left);
}

function poissonBelow(stream: RandomStream, mean: number): number {
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = stream.uniform(); product > limit; product *= stream.uniform()) count++;
  return count;
}
