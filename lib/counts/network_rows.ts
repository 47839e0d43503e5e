import { checkKind } from "../base/arguments.js";
import type { ToldConditions } from "../conditions/cell_conditions.js";
import type { CountRows } from "../native/counts.js";
import type { NativeCountRows } from "../native/types.js";
import type { CountBase } from "./count_base.js";

/** What cells are told beside their evidence. */
export interface ToldCells extends ToldConditions {
  /** Whole total of each cell, [cells]; NaN: not given. */
  readonly total: Float32Array;
}

/** What the network reads of chosen rows. */
export type ChosenRows = Omit<CountRows, "total" | "answers" | "counts" | "weight">;

/** Numbers about the visible part of a cell that come with its summary. */
export const SUMMARY_EXTRAS = 3;

/**
 * Cells with hidden genes as the network reads them: the depth at which the base stands is estimated from what is visible, or
 * what the whole total leaves (`CountBase`).
 */
export function networkRows(chosen: ChosenRows, base: CountBase, told: ToldCells): NativeCountRows {
  checkKind("chosen", chosen, "object");
  for (const name of ["visibleTotal", "visibleShare", "hiddenShare"] as const)
    checkKind(name, chosen[name], "doubles");
  checkKind("base", base, "base");
  checkKind("told", told, "object");
  checkKind("told.total", told.total, "floats");
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
    ...(chosen.summary === undefined ? {} : { summary: withExtras(chosen.summary, chosen, base) }),
  };
}

/** The summary of each cell with log(1 + V) - log(mean depth), S and S^2 after it. */
function withExtras(
  summary: Float32Array,
  { visibleTotal, visibleShare }: Pick<CountRows, "visibleTotal" | "visibleShare">,
  { meanDepth }: CountBase,
): Float32Array {
  const cells = visibleTotal.length;
  const width = cells === 0 ? 0 : summary.length / cells;
  const whole = new Float32Array(cells * (width + SUMMARY_EXTRAS));
  for (let cell = 0; cell < cells; cell++) {
    const at = cell * (width + SUMMARY_EXTRAS);
    const share = visibleShare[cell] ?? 0;
    whole.set(summary.subarray(cell * width, (cell + 1) * width), at);
    whole[at + width] = Math.log1p(visibleTotal[cell] ?? 0) - Math.log(meanDepth);
    whole[at + width + 1] = share;
    whole[at + width + 2] = share * share;
  }
  return whole;
}
