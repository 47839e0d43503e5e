import { TRAINING_CELLS } from "../../evaluation/defaults.js";

/** How many cells a report takes, so that it is done in about a minute on two cores. */
export interface ReportSizes {
  /** Held-out cells that are scored, and as many to compare generated ones with, at most. */
  readonly cells: number;
  /** Training cells that baselines are fitted on, and that generated cells are compared beside, at most. */
  readonly training: number;
}

/** Entries (cells times genes) that are scored, at most. */
const SCORED_ENTRIES = 250_000;

/** The sizes for cells of so many genes; `cells` where a reader asks for so many. */
export function reportSizes(genes: number, cells?: number): ReportSizes {
  const affordable = Math.floor(SCORED_ENTRIES / Math.max(1, genes));
  return { cells: cells ?? Math.min(500, Math.max(40, affordable)), training: TRAINING_CELLS };
}

/** At most `most` of some things, evenly spread over their order, the first and the last always. */
export function evenly<T>(all: readonly T[], most: number): readonly T[] {
  if (all.length <= most) return all;
  return Array.from(
    { length: most },
    (_, i) => all[Math.round((i * (all.length - 1)) / Math.max(1, most - 1))] as T,
  );
}
