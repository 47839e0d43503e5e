import { cellsBetween } from "../../batching/collate.js";
import type { RaggedBatch } from "../../batching/index.js";

/** Which of how many ranks computes. */
export interface Share {
  readonly rank: number;
  readonly world: number;
}

/** A process alone computes everything. */
export const WHOLE: Share = { rank: 0, world: 1 };

/** Cells of a batch that a rank computes: neighbours, `first` to `last` - 1. */
export interface SharedCells {
  readonly first: number;
  readonly last: number;
  readonly batch: RaggedBatch;
}

/**
 * Shares out the cells of a batch so that ranks have about as many tokens each. Every cell is one rank's; where there are fewer
 * cells than ranks, some have none.
 */
export function shareOf(batch: RaggedBatch, { rank, world }: Share): SharedCells {
  const count = batch.cells.length;
  if (world === 1) return { first: 0, last: count, batch };
  const first = boundOf(batch, rank / world);
  const last = boundOf(batch, (rank + 1) / world);
  return { first, last, batch: cellsBetween(batch, first, last) };
}

/** The number of cells whose middle lies before a share of the batch's tokens. */
function boundOf({ offsets, cells }: RaggedBatch, share: number): number {
  const end = share * (offsets[cells.length] ?? 0);
  let cell = 0;
  while (cell < cells.length && ((offsets[cell] ?? 0) + (offsets[cell + 1] ?? 0)) / 2 < end) cell++;
  return cell;
}
