import { checkNumber } from "../errors.js";
import { Purpose, RandomStream } from "../random.js";
import { type BatchLimit, checkLimit, cutBatches } from "./limit.js";

/** How an epoch is ordered and cut into batches. */
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
  /** Cells that are shuffled together, and held in memory at once; default 16,384. */
  readonly windowCells?: number;
  /** Neighbouring cells that enter a window together, so that a file is read in runs; default 256. */
  readonly chunkCells?: number;
}

/** Consecutive batches of an epoch whose cells are in memory together. */
export interface PlanWindow {
  /** Number of the first batch within the epoch, from 0. */
  readonly firstBatch: number;
  /** Rows, batch after batch. */
  readonly rows: Int32Array;
  /** Bounds of each batch in `rows`, [batches + 1]. */
  readonly bounds: Int32Array;
}

/** Throws `ARGUMENT_RANGE` for options out of range; returns them with defaults filled in. */
export function checkPlanOptions(options: PlanOptions): Required<PlanOptions> {
  const range = { min: 1, max: 2 ** 31 - 1, integer: true };
  return {
    limit: checkLimit(options.limit),
    seed: checkNumber("seed", options.seed, { min: 0, max: Number.MAX_SAFE_INTEGER, integer: true }),
    lengthBuckets: options.lengthBuckets ?? false,
    windowCells: checkNumber("windowCells", options.windowCells ?? 16_384, range),
    chunkCells: checkNumber("chunkCells", options.chunkCells ?? 256, range),
  };
}

/** Whether `planEpoch` needs the lengths of the cells. */
export function needsLengths(options: PlanOptions): boolean {
  return options.limit.kind === "tokens" || options.lengthBuckets === true;
}

/**
 * The batches of one epoch, every row in exactly one of them: chunks of neighbouring rows in random order, the
 * cells of several chunks (a window) shuffled together. Where all rows fit in one window, every order of the rows
 * is equally likely. A pure function of its arguments: a run that resumes at a batch walks the plan up to it, which
 * reads nothing. The rows that a window leaves without a full batch join the next window.
 *
 * @param rows ascending row numbers
 * @param lengths tokens of each of the rows, [rows]; rows of length 0 are left out. Needed for limits in tokens and
 *   length buckets (`needsLengths`).
 * @param epoch from 0
 */
export function* planEpoch(
  rows: Int32Array,
  lengths: Int32Array | undefined,
  options: PlanOptions,
  epoch: number,
): Generator<PlanWindow, void, undefined> {
  const { limit, seed, lengthBuckets, windowCells, chunkCells } = checkPlanOptions(options);
  const lengthOf = (place: number) => (lengths === undefined ? 1 : (lengths[place] as number));
  const chunks = Int32Array.from({ length: Math.ceil(rows.length / chunkCells) }, (_, chunk) => chunk);
  new RandomStream(seed, Purpose.shuffle, epoch, 0).shuffle(chunks);
  const windowChunks =
    rows.length <= windowCells ? chunks.length : Math.max(1, Math.floor(windowCells / chunkCells));

  let firstBatch = 0;
  let carried = new Int32Array(0);
  for (let first = 0; first < chunks.length; first += windowChunks) {
    const random = new RandomStream(seed, Purpose.shuffle, epoch, 1 + first / windowChunks);
    const fresh = chunkPlaces(chunks.subarray(first, first + windowChunks), chunkCells, rows.length);
    const wanted = lengths === undefined ? fresh : fresh.filter((place) => lengthOf(place) > 0);
    const places = new Int32Array(carried.length + wanted.length);
    places.set(carried);
    places.set(wanted, carried.length);
    random.shuffle(places);
    // The sort is stable: cells of one length stay in random order.
    if (lengthBuckets) places.sort((a, b) => lengthOf(a) - lengthOf(b));

    let bounds = cutBatches(places.map(lengthOf), limit);
    const isLast = first + windowChunks >= chunks.length;
    const held = isLast ? 0 : incomplete(bounds, limit);
    carried = places.slice(places.length - held);
    if (held > 0) bounds = bounds.slice(0, -1);
    if (bounds.length < 2) continue;

    const window = lengthBuckets ? shuffleBatches(places, bounds, random) : { places, bounds };
    const planned = window.places.subarray(0, window.bounds.at(-1));
    yield { firstBatch, rows: planned.map((place) => rows[place] as number), bounds: window.bounds };
    firstBatch += bounds.length - 1;
  }
}

/** Number of batches of an epoch. */
export function countBatches(
  rows: Int32Array,
  lengths: Int32Array | undefined,
  options: PlanOptions,
  epoch: number,
): number {
  let batches = 0;
  for (const { bounds } of planEpoch(rows, lengths, options, epoch)) batches += bounds.length - 1;
  return batches;
}

/** Places of the cells of these chunks, in the order of the chunks. */
function chunkPlaces(chunks: Int32Array, chunkCells: number, total: number): Int32Array {
  const places = new Int32Array(chunks.length * chunkCells);
  let length = 0;
  for (const chunk of chunks) {
    const end = Math.min((chunk + 1) * chunkCells, total);
    for (let place = chunk * chunkCells; place < end; place++) places[length++] = place;
  }
  return places.subarray(0, length);
}

/** Cells of the last batch where it may still grow; 0 where it is full. */
function incomplete(bounds: Int32Array, limit: BatchLimit): number {
  const last = bounds.length - 1;
  if (last < 1) return 0;
  const cells = (bounds[last] as number) - (bounds[last - 1] as number);
  return limit.kind === "cells" && cells === limit.cells ? 0 : cells;
}

/** The same batches in random order. */
function shuffleBatches(
  places: Int32Array,
  bounds: Int32Array,
  random: RandomStream,
): { places: Int32Array; bounds: Int32Array } {
  const order = random.shuffle(Int32Array.from({ length: bounds.length - 1 }, (_, batch) => batch));
  const shuffled = new Int32Array(bounds.at(-1) as number);
  const shuffledBounds = new Int32Array(bounds.length);
  let length = 0;
  order.forEach((batch, i) => {
    const cells = places.subarray(bounds[batch], bounds[batch + 1]);
    shuffled.set(cells, length);
    length += cells.length;
    shuffledBounds[i + 1] = length;
  });
  return { places: shuffled, bounds: shuffledBounds };
}
