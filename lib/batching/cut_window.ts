import { Purpose, RandomStream } from "../base/random.js";
import type { CellTokenizer } from "../tokenizer/cell_tokenizer.js";
import { addReport, emptyReport, type TokenizerReport } from "../tokenizer/report.js";
import type { GeneMapping } from "../tokenizer/tokenized_cells.js";
import { cutBatches, evenBatches } from "./limit.js";
import type { PlanOptions } from "./plan.js";
import { cutShare, type Share } from "./share.js";
import type { CellWindow } from "./window.js";

/** The batches of a window. A place is a cell's number among those of the window by ascending row. */
export interface CutWindow {
  /** Places of cells, batch after batch. */
  readonly places: Int32Array;
  /** Bounds of each batch in `places`, [batches + 1]. */
  readonly bounds: Int32Array;
  /** The cells that were left out beforehand. */
  readonly left: TokenizerReport;
}

/** What decides how the cells of a window are ordered and cut. */
type CutOptions = Required<Pick<PlanOptions, "seed" | "limit" | "lengthBuckets">>;

/** Cells a batch at most, where its cells are told by how many a window has, whatever these are; undefined where by their lengths. */
export function cellsByNumber({ limit, lengthBuckets }: Omit<CutOptions, "seed">): number | undefined {
  return limit.kind === "cells" && !lengthBuckets ? limit.cells : undefined;
}

/** Shuffles the cells of a window and cuts them into batches; by length only where that is asked for. */
export function cutWindow(
  window: CellWindow,
  tokenizer: CellTokenizer,
  mapping: GeneMapping,
  epoch: number,
  options: CutOptions,
): CutWindow {
  const { seed, limit, lengthBuckets } = options;
  const batchCells = cellsByNumber(options);
  if (batchCells !== undefined)
    return cutByNumber(window.cellCount, { seed, epoch, start: window.start, batchCells });
  const random = new RandomStream(seed, Purpose.shuffle, epoch, 1 + window.start);
  const all = Int32Array.from({ length: window.cellCount }, (_, place) => place);
  const { lengths, left } = measure(window, tokenizer, mapping);
  const lengthOf = (place: number) => lengths[place] ?? 0;
  const places = random.shuffle(all.filter((place) => lengthOf(place) > 0));
  // The sort is stable: cells of one length stay in random order.
  if (lengthBuckets) places.sort((a, b) => lengthOf(a) - lengthOf(b));
  const bounds =
    limit.kind === "cells"
      ? evenBatches(places.length, limit.cells)
      : cutBatches(places.map(lengthOf), limit);
  return { ...(lengthBuckets ? shuffleBatches(places, bounds, random) : { places, bounds }), left };
}

/** As `cutWindow`, where the number of cells is enough: nothing of the window has to have been read. */
export function cutByNumber(
  cells: number,
  options: {
    readonly seed: number;
    readonly epoch: number;
    readonly start: number;
    readonly batchCells: number;
  },
): CutWindow {
  const { seed, epoch, start, batchCells } = options;
  const random = new RandomStream(seed, Purpose.shuffle, epoch, 1 + start);
  const places = random.shuffle(Int32Array.from({ length: cells }, (_, place) => place));
  return { places, bounds: evenBatches(cells, batchCells), left: emptyReport() };
}

/**
 * A rank's cells of every batch: as many batches, some of which may have none. What was left out beforehand is told by rank 0.
 *
 * @param weigh gives what each cell costs, by place: the same on every rank
 */
export function shareOfWindow(cut: CutWindow, weigh: () => Int32Array, share: Share): CutWindow {
  if (share.world === 1) return cut;
  const weights = weigh();
  const parts: Int32Array[] = [];
  const bounds = new Int32Array(cut.bounds.length);
  for (let batch = 0; batch + 1 < bounds.length; batch++) {
    const cells = cut.places.subarray(cut.bounds[batch], cut.bounds[batch + 1]);
    const { first, last } = cutShare(
      cells.map((place) => weights[place] ?? 1),
      share,
    );
    parts.push(cells.subarray(first, last));
    bounds[batch + 1] = (bounds[batch] ?? 0) + last - first;
  }
  const places = new Int32Array(bounds.at(-1) ?? 0);
  for (const [batch, part] of parts.entries()) places.set(part, bounds[batch]);
  return { places, bounds, left: share.rank === 0 ? cut.left : emptyReport() };
}

/** Tokens of every cell of a window, and the report of those that have none. */
function measure(
  window: CellWindow,
  tokenizer: CellTokenizer,
  mapping: GeneMapping,
): { readonly lengths: Int32Array; readonly left: TokenizerReport } {
  const lengths = new Int32Array(window.cellCount);
  const left = emptyReport();
  let done = 0;
  for (const block of window.blocks) {
    const measured = tokenizer.measure(block, mapping);
    lengths.set(measured.lengths, done);
    addReport(left, measured.skipped);
    done += block.rows.length;
  }
  return { lengths, left };
}

/** The same batches in random order. */
function shuffleBatches(
  places: Int32Array,
  bounds: Int32Array,
  random: RandomStream,
): { places: Int32Array; bounds: Int32Array } {
  const order = random.shuffle(Int32Array.from({ length: bounds.length - 1 }, (_, batch) => batch));
  const shuffled = new Int32Array(places.length);
  const shuffledBounds = new Int32Array(bounds.length);
  let length = 0;
  for (const [i, batch] of order.entries()) {
    const cells = places.subarray(bounds[batch], bounds[batch + 1]);
    shuffled.set(cells, length);
    length += cells.length;
    shuffledBounds[i + 1] = length;
  }
  return { places: shuffled, bounds: shuffledBounds };
}
