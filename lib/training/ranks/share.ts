import { cellsBetween, countValid } from "../../batching/collate.js";
import { type CellRange, cellLengths, cutShare, type RaggedBatch, type Share } from "../../batching/index.js";
import { rowRange } from "../../data/sources/parts.js";
import type { CellSource } from "../../data/sources/source.js";

/** Cells of a batch that a rank computes. */
export interface SharedCells extends CellRange {
  readonly batch: RaggedBatch;
}

/** What a rank has to know of the cells of a batch that others compute. */
export interface OtherCells {
  /** How many there are. */
  readonly cells: number;
  /** How many of them come before its own. */
  readonly before: number;
  /** Their tokens that are not special. */
  readonly validTokens: number;
}

/** Of a batch of which a rank has all cells. */
export const NO_OTHERS: OtherCells = { cells: 0, before: 0, validTokens: 0 };

/**
 * Shares out the cells of a batch so that ranks have about as many tokens each. Every cell is one rank's; where there are fewer
 * cells than ranks, some have none.
 */
export function shareOf(batch: RaggedBatch, share: Share): SharedCells {
  const count = batch.cells.length;
  if (share.world === 1) return { first: 0, last: count, batch };
  const { first, last } = cutShare(cellLengths(batch), share);
  return { first, last, batch: cellsBetween(batch, first, last) };
}

/** A rank's rows of a source that is read through once: neighbouring parts, about as many cells for each rank. */
export function rowsOfShare({ partBounds }: Pick<CellSource, "partBounds">, share: Share): Int32Array {
  const lengths = Float64Array.from(
    { length: Math.max(0, partBounds.length - 1) },
    (_, part) => (partBounds[part + 1] ?? 0) - (partBounds[part] ?? 0),
  );
  const { first, last } = cutShare(lengths, share);
  return rowRange(partBounds[first] ?? 0, partBounds[last] ?? 0);
}

/** A rank's shares of batches that it has whole, and what the others have of them. */
export function sharesOf(
  batches: readonly RaggedBatch[],
  share: Share,
): { readonly batches: readonly RaggedBatch[]; readonly others: readonly OtherCells[] } {
  const shares = batches.map((whole) => ({ whole, ...shareOf(whole, share) }));
  return {
    batches: shares.map(({ batch }) => batch),
    others: shares.map(({ whole, first, batch }) => ({
      cells: whole.cells.length - batch.cells.length,
      before: first,
      validTokens: countValid(whole.tokens) - countValid(batch.tokens),
    })),
  };
}

/** The place of each batch's first own cell among all cells of all batches, and how many those are. */
export function placesOf(
  batches: readonly RaggedBatch[],
  others: readonly OtherCells[],
): { readonly places: readonly number[]; readonly cellCount: number } {
  const places: number[] = [];
  let cellCount = 0;
  for (const [i, { cells }] of batches.entries()) {
    const rest = others[i] ?? NO_OTHERS;
    places.push(cellCount + rest.before);
    cellCount += cells.length + rest.cells;
  }
  return { places, cellCount };
}
