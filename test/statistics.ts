/** Pearson's chi-square tests. They hold for fixed seeds: the numbers below never change from run to run. */

/** Value a chi-square variable exceeds with chance 1e-4 (Wilson and Hilferty 1931). */
function critical(degrees: number): number {
  const normal = 3.719;
  const spread = 2 / (9 * degrees);
  return degrees * (1 - spread + normal * Math.sqrt(spread)) ** 3;
}

/** Statistic over the value it exceeds by chance once in 10,000 times; below 1: counts fit the probabilities. */
export function misfit(counts: ArrayLike<number>, probabilities: ArrayLike<number>): number {
  const total = Array.from(counts).reduce((sum, count) => sum + count, 0);
  let statistic = 0;
  let degrees = -1;
  for (let i = 0; i < counts.length; i++) {
    const expected = total * probabilities[i]!;
    if (expected === 0) {
      if (counts[i]! > 0) return Number.POSITIVE_INFINITY;
      continue;
    }
    statistic += (counts[i]! - expected) ** 2 / expected;
    degrees++;
  }
  return statistic / critical(degrees);
}

/** The same for two sets of counts that should come from one distribution. */
export function disagreement(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const totalA = Array.from(a).reduce((sum, count) => sum + count, 0);
  const totalB = Array.from(b).reduce((sum, count) => sum + count, 0);
  let statistic = 0;
  let degrees = -1;
  for (let i = 0; i < a.length; i++) {
    const both = a[i]! + b[i]!;
    if (both === 0) continue;
    const scaled = a[i]! * Math.sqrt(totalB / totalA) - b[i]! * Math.sqrt(totalA / totalB);
    statistic += scaled ** 2 / both;
    degrees++;
  }
  return statistic / critical(degrees);
}
