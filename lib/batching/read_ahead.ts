/**
 * How far ahead of the training step its data is, in three stages, each of which waits while the next one is full. What they
 * hold in memory is in docs/data.md.
 *
 * 1. **Windows of cells** (`WindowReader`): the one whose batches are given out, and the next one, which is being read.
 * 2. **Batches** (`BatchLoader`): tokenized, or being tokenized, and not taken yet.
 * 3. **The step to come** (`StepsAhead`): its batches with their noise. A GPU has the first of them already, beside the one that it
 *    computes on. In a cluster ranks tell one another of it before the step at hand begins, so that the batches of the one after it are
 *    asked for, too.
 */

/** Pieces of a window that are read at the same time: while one is decoded, another comes from the disk or is decoded, too. */
export const PIECES_AT_ONCE = 2;

/** Batches made ahead of the consumer, unless `prefetch` says otherwise. */
export const BATCHES_AHEAD = 4;

/** How many of those are tokenized at the same time, at most. */
export const TOKENIZED_AT_ONCE = 3;

/** Steps whose batches are asked for while one computes. */
export const STEPS_AHEAD = 1;
