import { DdscError } from "../base/errors.js";
import { Purpose, RandomStream } from "../base/random.js";
import { type CellSelection, CellSelector } from "../data/select/selection.js";
import type { CellSource } from "../data/sources/source.js";
import type { CellTokenizer } from "../tokenizer/cell_tokenizer.js";
import type { RaggedBatch } from "../tokenizer/ragged_batch.js";
import { addReport, emptyReport, type TokenizerReport } from "../tokenizer/report.js";
import type { GeneMapping, TokenizedCells } from "../tokenizer/tokenized_cells.js";
import { cutBatches, evenBatches } from "./limit.js";
import { type PlanOptions, ReadingOrder } from "./plan.js";
import { TOKENIZED_AT_ONCE } from "./read_ahead.js";
import type { CellWindow } from "./window.js";
import { WindowReader } from "./window_reader.js";

/**
 * A place in training data: the batch to come next. Says all that is needed to go on from there, whatever came before: a
 * window is read from its first part on, and shuffled by its own random stream.
 */
export interface BatchPosition {
  /** From 0. */
  readonly epoch: number;
  /** Place in the epoch's order of parts at which the window of cells begins, from 0. */
  readonly window: number;
  /** Number of the batch within the window, from 0. */
  readonly batch: number;
}

/** The first batch of all. */
export const FIRST_POSITION: BatchPosition = { epoch: 0, window: 0, batch: 0 };

/** One batch of an epoch. */
export interface LoadedBatch {
  readonly batch: RaggedBatch;
  /** From 0. */
  readonly epoch: number;
  /** Where a loader has to start to go on after this batch. */
  readonly next: BatchPosition;
  /** What the tokenizer left out since the batch before. */
  readonly report: TokenizerReport;
}

/** What `produceBatches` needs to know beside source and tokenizer; structured-clonable. */
export interface ProducerOptions extends Required<PlanOptions> {
  /** Which cells are used. */
  readonly selection: CellSelection;
  /** Where to start. */
  readonly start: BatchPosition;
  /** Epochs in all, counted from epoch 0; `Infinity` for no end. */
  readonly epochs: number;
}

/**
 * Reads, shuffles and tokenizes: the batches of epoch after epoch from a starting place. While the batches of a window are
 * given out the next window is read and the next batches are tokenized, off the event loop as far as the format and the
 * tokenizer allow. Nothing is kept but two windows and a piece. Returns a report of what was left out after the last batch.
 *
 * Throws `DATA_NO_CELLS` where an epoch holds no usable cell, and as `CellSelector.create`.
 *
 * @param wanted how many batches are asked for and not given yet: no more are begun, but for the one that is asked for
 */
export async function* produceBatches(
  source: CellSource,
  tokenizer: CellTokenizer,
  options: ProducerOptions,
  wanted: () => number,
): AsyncGenerator<LoadedBatch, TokenizerReport, undefined> {
  const mapping = tokenizer.map(source);
  const order = new ReadingOrder(source.partBounds, options);
  const selector = await CellSelector.create(source, options.selection);
  const stop = new AbortController();
  const reader = new WindowReader(source, selector, order, options, stop.signal);
  const { start, epochs } = options;
  let report = emptyReport();
  /** Usable cells of the epoch so far; one that was begun before is taken to have some. */
  let usable = start.window + start.batch;
  let skipped = start.batch;
  try {
    for await (const { window, epoch, isLast, following } of reader.windows(start, epochs)) {
      const { places, bounds, left } = cutWindow(window, tokenizer, mapping, epoch, options);
      addReport(report, left);
      const batches = bounds.length - 1;
      const begin = (batch: number) =>
        tokenizer.tokenizePicked(
          window.blocks,
          window.placesOf(places.subarray(bounds[batch], bounds[batch + 1])),
          mapping,
          epoch,
        );
      let i = skipped;
      for await (const tokenized of severalAtOnce(begin, i, batches, wanted)) {
        i++;
        addReport(report, tokenized.report);
        if (tokenized.report.cells === 0) continue;
        usable += tokenized.report.cells;
        const next = i < batches ? { epoch, window: window.start, batch: i } : { ...following, batch: 0 };
        yield { batch: tokenized.batch, epoch, next, report };
        report = emptyReport();
      }
      if (isLast && usable === 0) throw noCells(source, tokenizer.minGenes);
      if (isLast) usable = 0;
      skipped = 0;
    }
    return report;
  } finally {
    stop.abort();
  }
}

/** Batches `first` to `end` - 1 in order, several of them being tokenized at a time: no more than are wanted. */
async function* severalAtOnce(
  begin: (batch: number) => Promise<TokenizedCells>,
  first: number,
  end: number,
  wanted: () => number,
): AsyncGenerator<TokenizedCells, void, undefined> {
  const underWay: Promise<TokenizedCells>[] = [];
  try {
    for (let made = first, begun = first; made < end; made++) {
      const most = Math.min(end, made + Math.max(1, Math.min(wanted(), TOKENIZED_AT_ONCE)));
      for (; begun < most; begun++) {
        const tokenized = begin(begun);
        tokenized.catch(() => undefined); // thrown in its turn
        underWay.push(tokenized);
      }
      const tokenized = await underWay[0];
      underWay.shift();
      if (tokenized !== undefined) yield tokenized;
    }
  } finally {
    // Whoever frees the window must find nobody reading it.
    await Promise.allSettled(underWay);
  }
}

interface CutWindow {
  /** Places of cells in the window, batch after batch. */
  readonly places: Int32Array;
  /** Bounds of each batch in `places`, [batches + 1]. */
  readonly bounds: Int32Array;
  /** The cells that were left out beforehand. */
  readonly left: TokenizerReport;
}

/** Shuffles the cells of a window and cuts them into batches; by length only where that is asked for. */
function cutWindow(
  window: CellWindow,
  tokenizer: CellTokenizer,
  mapping: GeneMapping,
  epoch: number,
  { seed, limit, lengthBuckets }: ProducerOptions,
): CutWindow {
  const random = new RandomStream(seed, Purpose.shuffle, epoch, 1 + window.start);
  const all = Int32Array.from({ length: window.cellCount }, (_, place) => place);
  if (limit.kind === "cells" && !lengthBuckets) {
    return {
      places: random.shuffle(all),
      bounds: evenBatches(all.length, limit.cells),
      left: emptyReport(),
    };
  }
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

function noCells(source: CellSource, minGenes: number): DdscError {
  return new DdscError(
    "DATA_NO_CELLS",
    `${source.name}: none of the cells asked for has ${minGenes} or more expressed genes of the vocabulary; ` +
      "check the gene identifiers, the conditions on cells and minGenes",
    { file: source.name },
  );
}
