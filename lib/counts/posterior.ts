/** What is known of the rate of a gene in a cell: a Gamma distribution. */
export interface RatePosterior {
  /** Shape of the Gamma; the size of the negative binomial that a replicate count is drawn from. */
  readonly shape: number;
  /** Mean of the rate, and of a replicate count. */
  readonly mean: number;
}

/** The spread of a rate is taken to be this at least: a variance over that of Poisson counts. */
const LEAST_EXCESS = 1e-4;

/**
 * What the other genes say of a gene, and what was counted of it, taken together: the prior is the Gamma whose counts have the
 * mean m and the variance v that are predicted for the hidden gene, of shape s = m^2 / (v - m); a count x then makes
 * shape s + x and mean m (s + x) / (s + m). (`posterior` of the PyTorch reference.)
 *
 * @param mean m, above 0
 * @param variance v
 * @param count x
 */
export function ratePosterior(mean: number, variance: number, count: number): RatePosterior {
  const shape = (mean * mean) / Math.max(variance - mean, LEAST_EXCESS);
  return { shape: shape + count, mean: (mean * (shape + count)) / (shape + mean) };
}
