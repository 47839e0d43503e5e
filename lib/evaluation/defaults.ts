/** What evaluations and comparisons take where nobody says otherwise, from JavaScript and on the command line. */

/** The default mask ratios. */
export const DEFAULT_RATIOS: readonly number[] = [0.2, 0.5, 0.8];
/** Share of the molecules that molecular cross-validation tests on. */
export const THIN = 0.1;
/** Held-out cells that are scored at most. */
export const HELD_OUT_CELLS = 1000;
/**
 * Training cells that baselines are fitted on, and that generated cells are compared beside, at most: baselines that saw fewer than
 * they could would flatter the model.
 */
export const TRAINING_CELLS = 10_000;
/** Fewest cells that are compared as a whole; groups of fewer are marked. */
export const FEW_CELLS = 20;
/** Cells of each kind that are compared at most. */
export const COMPARED_CELLS = 2000;
/** Bootstrap resamples for intervals. */
export const RESAMPLES = 1000;
