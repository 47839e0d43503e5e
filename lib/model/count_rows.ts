import type { ToldConditions } from "../conditions/cell_conditions.js";
import type { CountBase } from "../counts/count_base.js";
import type { CountRows } from "../native/counts.js";
import type { NativeCountRows } from "../native/types.js";

/** What cells are told beside their evidence. */
export interface ToldCells extends ToldConditions {
  /** Whole total of each cell, [cells]; NaN: not given. */
  readonly total: Float32Array;
}

/** What the network reads of chosen rows. */
export type ChosenRows = Omit<CountRows, "total" | "answers" | "counts" | "weight">;

/**
 * Cells with hidden genes as the network reads them: the depth at which the base stands is estimated from what is visible, or
 * what the whole total leaves (`CountBase`).
 */
export function countRows(chosen: ChosenRows, base: CountBase, told: ToldCells): NativeCountRows {
  const { offsets, genes, tokens, cells, keys, hidden, measured, visibleTotal, visibleShare } = chosen;
  const depth = Float64Array.from(visibleTotal, (visible, cell) => {
    const total = told.total[cell] ?? Number.NaN;
    const share = visibleShare[cell] ?? 0;
    return Number.isNaN(total)
      ? base.estimateDepth(visible, share)
      : base.remainingDepth(total, visible, share, chosen.hiddenShare[cell]);
  });
  return {
    offsets,
    genes,
    tokens,
    cells,
    keys,
    hidden,
    measured,
    visibleTotal,
    visibleShare,
    depth,
    total: told.total,
    numbers: told.numbers,
    labels: told.labels,
  };
}
