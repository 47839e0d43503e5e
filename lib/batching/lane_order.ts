import { DdscError } from "../base/errors.js";
import { Purpose, RandomStream } from "../base/random.js";
import { lowerBound, upperBound } from "../base/search.js";
import type { RowSpan } from "../data/sources/parts.js";
import { evenBatches } from "./limit.js";
import { checkPlanOptions, cutParts, type PlanOptions } from "./plan.js";
import type { Share } from "./share.js";

/** Neighbouring lanes, or pieces, `first` to `end` - 1. */
export interface Neighbours {
  readonly first: number;
  readonly end: number;
}

/** The lanes that a rank reads: every lane is one rank's. */
export function lanesOf(lanes: number, { rank, world }: Share): Neighbours {
  return { first: Math.floor((rank * lanes) / world), end: Math.floor(((rank + 1) * lanes) / world) };
}

/**
 * In which order lanes read: a lane has neighbouring pieces of the source, about as many rows as the others and the same ones in
 * every epoch, and goes through their parts in random order, anew each epoch. An epoch has as many windows for all lanes, to each of
 * which a lane gives about as many pieces. A function of its arguments alone. Memory: a few bytes a part.
 */
export class LaneOrder {
  readonly lanes: number;
  /** Windows of an epoch. */
  readonly windows: number;
  readonly #seed: number;
  /** Bounds of the pieces in the source's rows, [pieces + 1]. */
  readonly #bounds: Float64Array;
  /** First piece of each lane, and the number of pieces, [lanes + 1]. */
  readonly #firstOfLane: Int32Array;
  /** Of each lane the bounds of the pieces that belong to one part, the parts in the source's order, [parts + 1]. */
  readonly #parts: readonly Int32Array[];
  #epoch = -1;
  /** Of each lane, its pieces in the order of the epoch at hand, once they are known. */
  readonly #orders: Int32Array[] = [];

  /** Throws `ARGUMENT_RANGE` where there are fewer pieces than lanes. */
  constructor(
    partBounds: Float64Array,
    { lanes, windowCells, seed }: Pick<Required<PlanOptions>, "lanes" | "windowCells" | "seed">,
  ) {
    const { bounds, firstPiece } = cutParts(partBounds, windowCells);
    const pieces = bounds.length - 1;
    if (pieces < lanes) {
      throw new DdscError(
        "ARGUMENT_RANGE",
        `expected at most ${pieces} for lanes but received ${lanes}: the data come in no more parts that are read by themselves`,
        { argument: "lanes" },
      );
    }
    const firstOfLane = cutLanes(bounds, lanes);
    const ranges = Array.from({ length: lanes }, (_, lane) => ({
      first: firstOfLane[lane] ?? 0,
      end: firstOfLane[lane + 1] ?? 0,
    }));
    const cells = bounds.at(-1) ?? 0;
    const fewest = Math.min(...ranges.map(({ first, end }) => end - first));
    this.lanes = lanes;
    this.windows = Math.max(1, Math.min(fewest, Math.ceil(cells / windowCells)));
    this.#seed = seed;
    this.#bounds = bounds;
    this.#firstOfLane = firstOfLane;
    this.#parts = ranges.map((range) => partsWithin(range, firstPiece));
  }

  get pieceCount(): number {
    return this.#bounds.length - 1;
  }

  /** Rows of a piece. */
  piece(piece: number): RowSpan {
    return { first: this.#bounds[piece] ?? 0, end: this.#bounds[piece + 1] ?? 0 };
  }

  /** The pieces of neighbouring lanes. */
  piecesOf({ first, end }: Neighbours): Neighbours {
    return { first: this.#firstOfLane[first] ?? 0, end: this.#firstOfLane[end] ?? 0 };
  }

  /** The pieces that a lane gives to a window, ascending. */
  pieces(epoch: number, window: number, lane: number): Int32Array {
    if (this.#epoch !== epoch) this.#orders.length = 0;
    this.#epoch = epoch;
    this.#orders[lane] ??= this.#shuffled(epoch, lane);
    const order = this.#orders[lane];
    const first = Math.floor((window * order.length) / this.windows);
    const end = Math.floor(((window + 1) * order.length) / this.windows);
    return order.slice(first, end).sort();
  }

  /** What the order of a lane's cells within a window is drawn from. */
  cellOrder(epoch: number, window: number, lane: number): RandomStream {
    return this.#random(epoch, lane, 1 + window);
  }

  /** A lane's pieces in the order of an epoch; those of one part stay together. */
  #shuffled(epoch: number, lane: number): Int32Array {
    const parts = this.#parts[lane] ?? new Int32Array(1);
    const random = this.#random(epoch, lane, 0);
    const order = new Int32Array((parts.at(-1) ?? 0) - (parts[0] ?? 0));
    let length = 0;
    for (const part of random.shuffle(Int32Array.from({ length: parts.length - 1 }, (_, i) => i))) {
      const end = parts[part + 1] ?? 0;
      for (let piece = parts[part] ?? 0; piece < end; piece++) order[length++] = piece;
    }
    return order;
  }

  #random(epoch: number, lane: number, number: number): RandomStream {
    return new RandomStream(this.#seed, Purpose.shuffle, epoch, lane * (1 + this.windows) + number);
  }
}

/** Throws `ARGUMENT_RANGE` where a source has fewer parts than lanes, before any of it is read. */
export function requireLaneParts(partBounds: Float64Array, options: PlanOptions): void {
  const plan = checkPlanOptions(options);
  if (plan.lanes > 1) new LaneOrder(partBounds, plan);
}

/**
 * How many cells of each lane each batch of a window has: as near to its share as whole numbers are, and all batches of equal size to
 * within one cell.
 *
 * @param cells of each lane
 * @returns one list of batches a lane
 */
export function spreadLanes(cells: readonly number[], batchCells: number): Int32Array[] {
  const total = cells.reduce((sum, count) => sum + count, 0);
  const lanes = new Int32Array(total);
  const places = new Float64Array(total);
  let done = 0;
  for (const [lane, count] of cells.entries()) {
    // The lanes' cells are spread over the window evenly, and do not all come at once.
    const phase = (lane + 0.5) / cells.length;
    for (let cell = 0; cell < count; cell++, done++) {
      lanes[done] = lane;
      places[done] = (cell + phase) / count;
    }
  }
  const order = Int32Array.from({ length: total }, (_, cell) => cell).sort(
    (a, b) => (places[a] ?? 0) - (places[b] ?? 0) || a - b,
  );
  const bounds = evenBatches(total, batchCells);
  const spread = cells.map(() => new Int32Array(bounds.length - 1));
  for (let batch = 0; batch + 1 < bounds.length; batch++) {
    for (const cell of order.subarray(bounds[batch], bounds[batch + 1])) {
      const counts = spread[lanes[cell] ?? 0];
      if (counts !== undefined) counts[batch] = (counts[batch] ?? 0) + 1;
    }
  }
  return spread;
}

/** The first piece of each lane and the number of pieces: lanes of about as many rows, each of a piece at least. */
function cutLanes(bounds: Float64Array, lanes: number): Int32Array {
  const pieces = bounds.length - 1;
  const rows = bounds.at(-1) ?? 0;
  const first = new Int32Array(lanes + 1);
  let piece = 0;
  for (let lane = 1; lane < lanes; lane++) {
    const least = (first[lane - 1] ?? 0) + 1;
    const wanted = (lane / lanes) * rows;
    // As far as the middle of a piece lies before.
    while (piece < pieces && ((bounds[piece] ?? 0) + (bounds[piece + 1] ?? 0)) / 2 < wanted) piece++;
    first[lane] = Math.min(Math.max(piece, least), pieces - (lanes - lane));
  }
  first[lanes] = pieces;
  return first;
}

/** The bounds of the pieces of each part within a range. */
function partsWithin({ first, end }: Neighbours, firstPiece: Int32Array): Int32Array {
  // Once each: a part without cells has no pieces.
  const bounds = new Set(firstPiece.subarray(upperBound(firstPiece, first), lowerBound(firstPiece, end)));
  return Int32Array.from([first, ...bounds, end]);
}
