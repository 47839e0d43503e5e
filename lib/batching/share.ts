/** Which of how many ranks computes. */
export interface Share {
  readonly rank: number;
  readonly world: number;
}

/** A process alone computes everything. */
export const WHOLE: Share = { rank: 0, world: 1 };

/** Neighbouring cells of a batch, `first` to `last` - 1. */
export interface CellRange {
  readonly first: number;
  readonly last: number;
}

/**
 * Shares out cells of these weights, each above 0, so that ranks have about the same weight each. Every cell is one rank's; where
 * there are fewer cells than ranks, some have none.
 */
export function cutShare(weights: ArrayLike<number>, { rank, world }: Share): CellRange {
  const total = sumOf(weights);
  return {
    first: boundOf(weights, (rank / world) * total),
    last: boundOf(weights, ((rank + 1) / world) * total),
  };
}

function sumOf(weights: ArrayLike<number>): number {
  let sum = 0;
  for (let cell = 0; cell < weights.length; cell++) sum += weights[cell] ?? 0;
  return sum;
}

/** The number of cells whose middle lies before a share of the weight. */
function boundOf(weights: ArrayLike<number>, end: number): number {
  let before = 0;
  let cell = 0;
  for (; cell < weights.length; cell++) {
    const weight = weights[cell] ?? 0;
    if (before + weight / 2 >= end) break;
    before += weight;
  }
  return cell;
}
