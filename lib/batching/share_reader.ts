import type { CellSelector } from "../data/select/selection.js";
import { joinRows } from "../data/sources/parts.js";
import type { CellSource } from "../data/sources/source.js";
import { type CutWindow, cellsByNumber, cutByNumber, shareOfWindow } from "./cut_window.js";
import type { PlanOptions, ReadingOrder } from "./plan.js";
import type { Share } from "./share.js";
import { CellWindow } from "./window.js";
import { readBlocks, selectRows, WindowFill } from "./window_pieces.js";

/** What a reader needs to know. */
export interface ReaderOptions extends Required<PlanOptions> {
  /** Which cells of each batch are wanted. */
  readonly share: Share;
  /** How many cells of each piece of lanes belong to the selection: see `countLaneCells`. */
  readonly laneCells?: Int32Array | undefined;
  /** What cells with so many stored counts cost, above 0 each. */
  weigh(stored: Int32Array): Int32Array;
}

/** A window of which nothing was read. */
export interface PlannedWindow {
  readonly epoch: number;
  readonly start: number;
  /** Place of the first piece that is not in it. */
  readonly end: number;
  /** Its cells, ascending. */
  readonly rows: Int32Array;
  /** Stored counts of each. */
  readonly stored: Int32Array;
}

/**
 * Reads of each window the cells of a rank's share of its batches alone. What a window and a batch hold, and how a batch is
 * shared out, follows from row numbers and stored counts, which sources tell that keep bounds of rows: so each rank works out by
 * itself what all others work out, and none needs a word of the others before it reads.
 *
 * Shares are cut by stored counts, which are tokens but for genes that the vocabulary lacks: cut by cells, the rank with the
 * longer cells would keep the others waiting in every step. They are not cut by place in the file, though a rank would then have
 * chunks of its own: how many cells of a batch lie in its part would vary from batch to batch.
 */
export class ShareReader {
  readonly #source: CellSource;
  readonly #selector: CellSelector;
  readonly #order: ReadingOrder;
  readonly #options: ReaderOptions;
  readonly #signal: AbortSignal;
  readonly #batchCells: number;

  private constructor(
    source: CellSource,
    selector: CellSelector,
    order: ReadingOrder,
    options: ReaderOptions,
    signal: AbortSignal,
    batchCells: number,
  ) {
    this.#source = source;
    this.#selector = selector;
    this.#order = order;
    this.#options = options;
    this.#signal = signal;
    this.#batchCells = batchCells;
  }

  /** Undefined where all cells are wanted, or where batches are cut by lengths, for which all have to be read. */
  static of(
    source: CellSource,
    selector: CellSelector,
    order: ReadingOrder,
    options: ReaderOptions,
    signal: AbortSignal,
  ): ShareReader | undefined {
    const batchCells = cellsByNumber(options);
    if (options.share.world === 1 || batchCells === undefined) return undefined;
    return new ShareReader(source, selector, order, options, signal, batchCells);
  }

  /** The window that begins at a place of an epoch; undefined where the source does not tell the stored counts of its cells. */
  async plan(epoch: number, start: number): Promise<PlannedWindow | undefined> {
    const pieces: { readonly rows: Int32Array; readonly stored: Int32Array }[] = [];
    const fill = new WindowFill(this.#options);
    let end = start;
    for (; end < this.#order.count(epoch); end++) {
      const span = this.#order.piece(epoch, end);
      if (!fill.takes(span)) break;
      const rows = await selectRows(this.#selector, span, this.#signal);
      const stored = this.#source.storedCounts?.(rows);
      if (stored === undefined) return undefined;
      pieces.push({ rows, stored });
      fill.add(stored);
    }
    pieces.sort((a, b) => (a.rows[0] ?? 0) - (b.rows[0] ?? 0));
    return {
      epoch,
      start,
      end,
      rows: joinRows(pieces.map(({ rows }) => rows)),
      stored: joinRows(pieces.map(({ stored }) => stored)),
    };
  }

  /** Reads a rank's cells of a window; the batches are of those alone. */
  async read(plan: PlannedWindow): Promise<{ readonly window: CellWindow; readonly own: CutWindow }> {
    const { epoch, start, end, rows, stored } = plan;
    const { seed, weigh, share } = this.#options;
    const cut = cutByNumber(rows.length, { seed, epoch, start, batchCells: this.#batchCells });
    const own = shareOfWindow(cut, () => weigh(stored), share);
    const held = own.places.slice().sort();
    const wanted = held.map((place) => rows[place] ?? 0);
    const { blocks, memory } = await readBlocks(this.#source, [wanted], this.#signal);
    return { window: new CellWindow(start, end, blocks, [memory], held), own };
  }
}
