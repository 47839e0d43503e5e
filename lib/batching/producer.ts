import { DdscError } from "../base/errors.js";
import { type CellSelection, CellSelector } from "../data/select/selection.js";
import type { CellSource } from "../data/sources/source.js";
import type { CellTokenizer } from "../tokenizer/cell_tokenizer.js";
import type { RaggedBatch } from "../tokenizer/ragged_batch.js";
import { addReport, emptyReport, type TokenizerReport } from "../tokenizer/report.js";
import type { TokenizedCells } from "../tokenizer/tokenized_cells.js";
import { cutWindow, shareOfWindow } from "./cut_window.js";
import { type PlanOptions, ReadingOrder } from "./plan.js";
import { TOKENIZED_AT_ONCE } from "./read_ahead.js";
import type { Share } from "./share.js";
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

/** One batch of an epoch, or a rank's share of it. */
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
  /** Which cells of each batch are wanted. */
  readonly share: Share;
  /** See `BatchLoaderOptions`. */
  readonly laneCells?: Int32Array | undefined;
}

/**
 * Reads, shuffles and tokenizes: the batches of epoch after epoch from a starting place. While the batches of a window are
 * given out the next window is read and the next batches are tokenized, off the event loop as far as the format and the
 * tokenizer allow. Nothing is kept but two windows and a piece. Returns a report of what was left out after the last batch.
 *
 * Of each batch a rank's share is tokenized, and where that is told beforehand (`ShareReader`) nothing else is read. Batches are given
 * then though the rank has no usable cell of them: what the others have it does not know.
 *
 * Throws, to who has all cells, `DATA_NO_CELLS` where an epoch holds no usable cell, and as `CellSelector.create`.
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
  const weigh = (stored: Int32Array) => tokenizer.mostTokens(stored, mapping);
  const reader = new WindowReader(source, selector, order, { ...options, weigh }, stop.signal);
  const { start, epochs, share } = options;
  const hasAll = share.world === 1;
  let report = emptyReport();
  /** Usable cells of the epoch so far; one that was begun before is taken to have some. */
  let usable = start.window + start.batch;
  let skipped = start.batch;
  try {
    for await (const { window, own, epoch, isLast, following } of reader.windows(start, epochs)) {
      const { places, bounds, left } =
        own ??
        shareOfWindow(
          cutWindow(window, tokenizer, mapping, epoch, options),
          () => reader.weights(window),
          share,
        );
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
        if (hasAll && tokenized.report.cells === 0) continue;
        usable += tokenized.report.cells;
        const next = i < batches ? { epoch, window: window.start, batch: i } : { ...following, batch: 0 };
        yield { batch: tokenized.batch, epoch, next, report };
        report = emptyReport();
      }
      if (hasAll && isLast && usable === 0) throw noCells(source, tokenizer.minGenes);
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

/** What is wrong with data of which an epoch has no cell that can be used. */
export function noCells(source: Pick<CellSource, "name">, minGenes: number): DdscError {
  return new DdscError(
    "DATA_NO_CELLS",
    `${source.name}: none of the cells asked for has ${minGenes} or more expressed genes of the vocabulary; ` +
      "check the gene identifiers, the conditions on cells and minGenes",
    { file: source.name },
  );
}
