import { checkOptions } from "../base/arguments.js";
import { checkNumber, checkSeed, checkWhole, DdscError } from "../base/errors.js";
import { Purpose, RandomStream } from "../base/random.js";
import type { RowSpan } from "../data/sources/parts.js";
import { type BatchLimit, checkLimit } from "./limit.js";

/** Cells that are shuffled together, unless something else is said. */
export const WINDOW_CELLS = 8192;

/** How cells are ordered and cut into batches. */
export interface PlanOptions {
  /** Size of a batch. */
  readonly limit: BatchLimit;
  /** Seed of the order, a whole number below 2^53. */
  readonly seed: number;
  /**
   * Whether cells of similar length share a batch: evens out the tokens of batches of so many cells. Default false.
   * Batches are ragged, so nothing is wasted without it.
   */
  readonly lengthBuckets?: boolean;
  /** Cells that are shuffled together, and held in memory at once; default 8,192, and at least two batches. */
  readonly windowCells?: number;
  /** Counts that are held in memory at once, as they are stored: a window ends where it has as many; default 2^24 (128 MiB). */
  readonly windowCounts?: number;
  /**
   * This reader's share where several processes read one source: of `count` readers with the same other options each has
   * its own `index` from 0, and every cell of an epoch goes to exactly one of them. Default all cells.
   */
  readonly shard?: { readonly index: number; readonly count: number };
  /**
   * Number of lanes that the source's parts are divided into, each with parts of its own: every batch has its share of cells of each
   * lane. Of several ranks each then reads whole lanes and nothing else, with the same batches for any number of ranks up to that
   * of lanes. For batches of so many cells alone. Default 1: a window is of any parts.
   */
  readonly lanes?: number;
}

/**
 * Throws `ARGUMENT_RANGE` for options out of range, `ARGUMENT_CONFLICT` for lanes beside what goes without; returns them with defaults
 * filled in.
 */
export function checkPlanOptions(options: PlanOptions): Required<PlanOptions> {
  checkOptions(options, { lengthBuckets: "switch", shard: "object" });
  const range = { min: 1, max: 2 ** 31 - 1, integer: true };
  const { limit, shard = { index: 0, count: 1 }, lanes = 1 } = options;
  const windowCells = checkNumber("windowCells", options.windowCells ?? WINDOW_CELLS, range);
  const count = checkNumber("shard.count", shard.count, { ...range, max: 2 ** 20 });
  checkNumber("lanes", lanes, { ...range, max: 2 ** 16 });
  if (lanes > 1) requireLanes(options);
  return {
    limit: checkLimit(limit),
    lanes,
    seed: checkSeed(options.seed),
    lengthBuckets: options.lengthBuckets ?? false,
    windowCells: limit.kind === "cells" ? Math.max(windowCells, 2 * limit.cells) : windowCells,
    windowCounts: checkNumber("windowCounts", options.windowCounts ?? 2 ** 24, range),
    shard: {
      index: checkWhole("shard.index", shard.index, 0, count - 1),
      count,
    },
  };
}

/** Throws `ARGUMENT_CONFLICT` where batches are not told by numbers of cells. */
function requireLanes({ limit, lengthBuckets, shard }: PlanOptions): void {
  const other =
    limit.kind === "tokens"
      ? "batches of so many tokens"
      : lengthBuckets === true
        ? "lengthBuckets"
        : shard !== undefined && shard.count > 1
          ? "shard"
          : undefined;
  if (other === undefined) return;
  throw new DdscError("ARGUMENT_CONFLICT", `lanes and ${other} exclude each other; leave one of them out`, {
    argument: "lanes",
  });
}

/**
 * In which order the rows of a source are read: its parts in random order, anew each epoch, one that is longer than a window
 * in several pieces, one after the other. A function of its arguments alone, so that a reader may begin anywhere. Memory: a
 * few bytes a part.
 */
export class ReadingOrder {
  /** Bounds of the pieces in the source's rows, [pieces + 1]. */
  readonly #bounds: Float64Array;
  /** First piece of each part, [parts + 1]. */
  readonly #firstPiece: Int32Array;
  readonly #options: Required<PlanOptions>;
  #epoch = -1;
  /** Pieces of the epoch at hand in order, this shard's alone. */
  #order = new Int32Array(0);

  constructor(partBounds: Float64Array, options: Required<PlanOptions>) {
    const { windowCells, shard } = options;
    const cells = partBounds.at(-1) ?? 0;
    // Small enough that every one of several readers gets some.
    const share = shard.count === 1 ? windowCells : Math.max(1, Math.ceil(cells / (4 * shard.count)));
    const { bounds, firstPiece } = cutParts(partBounds, Math.min(windowCells, share));
    this.#bounds = bounds;
    this.#firstPiece = firstPiece;
    this.#options = options;
  }

  /** Number of pieces of an epoch. */
  count(epoch: number): number {
    this.#shuffle(epoch);
    return this.#order.length;
  }

  /** Rows of the piece at a place of an epoch. */
  piece(epoch: number, place: number): RowSpan {
    this.#shuffle(epoch);
    const piece = this.#order[place] ?? 0;
    return { first: this.#bounds[piece] ?? 0, end: this.#bounds[piece + 1] ?? 0 };
  }

  #shuffle(epoch: number): void {
    if (this.#epoch === epoch) return;
    const { seed, shard } = this.#options;
    const parts = Int32Array.from({ length: this.#firstPiece.length - 1 }, (_, part) => part);
    new RandomStream(seed, Purpose.shuffle, epoch, 0).shuffle(parts);
    const order = new Int32Array(this.#bounds.length - 1);
    let length = 0;
    for (const part of parts) {
      const end = this.#firstPiece[part + 1] ?? 0;
      for (let piece = this.#firstPiece[part] ?? 0; piece < end; piece++) order[length++] = piece;
    }
    this.#order = shard.count === 1 ? order : order.filter((_, place) => place % shard.count === shard.index);
    this.#epoch = epoch;
  }
}

/** Cuts parts that are longer than `most` rows. */
export function cutParts(
  partBounds: Float64Array,
  most: number,
): { readonly bounds: Float64Array; readonly firstPiece: Int32Array } {
  const bounds = [0];
  const firstPiece = [0];
  for (let part = 1; part < partBounds.length; part++) {
    const end = partBounds[part] ?? 0;
    for (let start = bounds.at(-1) ?? 0; start < end; start = bounds.at(-1) ?? end) {
      bounds.push(Math.min(start + most, end));
    }
    firstPiece.push(bounds.length - 1);
  }
  return { bounds: Float64Array.from(bounds), firstPiece: Int32Array.from(firstPiece) };
}
