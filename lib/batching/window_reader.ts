import type { CellSelector } from "../data/select/selection.js";
import type { CellBlock } from "../data/sources/cells.js";
import { joinRows } from "../data/sources/parts.js";
import type { CellSource } from "../data/sources/source.js";
import { HeldMemory } from "../native/tokens.js";
import type { CutWindow } from "./cut_window.js";
import { LaneReader } from "./lane_reader.js";
import type { ReadingOrder } from "./plan.js";
import { PIECES_AT_ONCE } from "./read_ahead.js";
import { type PlannedWindow, type ReaderOptions, ShareReader } from "./share_reader.js";
import { CellWindow } from "./window.js";
import { readSlice, slicesOf, WindowFill } from "./window_pieces.js";

/** A piece of an epoch that is being read. */
interface Piece {
  readonly epoch: number;
  readonly place: number;
  readonly blocks: Promise<readonly CellBlock[]>;
  /** That of its blocks. */
  readonly memory: HeldMemory;
}

/** Where a window begins. */
export interface WindowPlace {
  readonly epoch: number;
  /** Place in the epoch's order of pieces. */
  readonly window: number;
}

/** Cells of a window in memory. */
interface ReadCells {
  readonly window: CellWindow;
  /** The batches of a rank's cells, where those alone were read. */
  readonly own?: CutWindow;
}

/** A window that was read. */
export interface WindowRead extends ReadCells {
  readonly epoch: number;
  /** Whether the epoch ends with it. */
  readonly isLast: boolean;
  /** The window after it. */
  readonly following: WindowPlace;
}

/**
 * Reads windows: pieces of the order until there are cells or counts enough, or what lanes give; of a rank, where it is known which,
 * only its own cells.
 * Data that fits in one window is read once for all epochs, whole by every rank, whose share is another one in each epoch.
 */
export class WindowReader {
  readonly #source: CellSource;
  readonly #selector: CellSelector;
  readonly #order: ReadingOrder;
  readonly #options: ReaderOptions;
  readonly #signal: AbortSignal;
  readonly #shareReader: ShareReader | undefined;
  readonly #laneReader: LaneReader | undefined;
  /** Pieces that were begun and belong to no window yet, in the order of the epoch. */
  #begun: Piece[] = [];
  /** A window that holds a whole epoch, and so every other. */
  #whole: CellWindow | undefined;

  constructor(
    source: CellSource,
    selector: CellSelector,
    order: ReadingOrder,
    options: ReaderOptions,
    signal: AbortSignal,
  ) {
    this.#source = source;
    this.#selector = selector;
    this.#order = order;
    this.#options = options;
    this.#signal = signal;
    this.#shareReader = ShareReader.of(source, selector, order, options, signal);
    this.#laneReader = LaneReader.of(source, selector, options, signal);
  }

  /** What each cell of a whole window costs, by place. */
  weights(window: CellWindow): Int32Array {
    return joinRows(window.blocks.map((block) => this.#options.weigh(this.#storedCounts(block))));
  }

  /**
   * The windows from a place on, up to the end of the last of `epochs`; while one is used the next is read. A window is freed
   * when the next one is asked for, and at the end.
   */
  async *windows(start: WindowPlace, epochs: number): AsyncGenerator<WindowRead, void, undefined> {
    let place = start;
    let window: CellWindow | undefined;
    let ahead: Promise<ReadCells> | undefined;
    try {
      while (place.epoch < epochs) {
        const { epoch } = place;
        const read = await (ahead ?? this.#read(epoch, place.window));
        ahead = undefined;
        window = read.window;
        const isLast = window.end >= (this.#laneReader?.order.windows ?? this.#order.count(epoch));
        const following = isLast ? { epoch: epoch + 1, window: 0 } : { epoch, window: window.end };
        if (following.epoch < epochs && !this.#keeps) {
          ahead = this.#read(following.epoch, following.window);
          ahead.catch(() => undefined); // thrown in its turn
        }
        yield { ...read, epoch, isLast, following };
        if (!this.#keeps) window.free();
        place = following;
      }
    } finally {
      window?.free();
      ahead?.then((unused) => unused.window.free()).catch(() => undefined);
      for (const { blocks, memory } of this.#begun)
        void blocks.catch(() => undefined).then(() => memory.free());
    }
  }

  /** Whether the window at hand is that of every epoch. */
  get #keeps(): boolean {
    return this.#whole !== undefined || this.#laneReader?.keeps === true;
  }

  /** The window that begins at a place of an epoch; one at a time. */
  async #read(epoch: number, start: number): Promise<ReadCells> {
    if (this.#laneReader !== undefined) return this.#laneReader.read(epoch, start);
    if (this.#whole !== undefined && start === 0) return { window: this.#whole };
    const shared = this.#shareReader;
    const plan = await shared?.plan(epoch, start);
    if (shared !== undefined && plan !== undefined && !this.#isWhole(plan)) return shared.read(plan);
    return { window: await this.#readAll(epoch, start) };
  }

  async #readAll(epoch: number, start: number): Promise<CellWindow> {
    const blocks: CellBlock[] = [];
    const memory: HeldMemory[] = [];
    const fill = new WindowFill(this.#options);
    let end = start;
    try {
      for (; end < this.#order.count(epoch); end++) {
        if (!fill.takes(this.#order.piece(epoch, end))) break;
        const piece = this.#piece(epoch, end);
        memory.push(piece.memory);
        for (const block of await piece.blocks) {
          blocks.push(block);
          fill.add(this.#storedCounts(block));
        }
      }
    } catch (error) {
      for (const held of memory) held.free();
      throw error;
    }
    const window = new CellWindow(start, end, blocks, memory);
    if (this.#isWhole({ epoch, start, end })) this.#whole = window;
    return window;
  }

  /** Whether a window holds a whole epoch, and so every other. */
  #isWhole({ epoch, start, end }: Pick<PlannedWindow, "epoch" | "start" | "end">): boolean {
    return start === 0 && end === this.#order.count(epoch) && this.#options.shard.count === 1;
  }

  /** As the source tells them before it reads, so that windows end in the same place however they are read. */
  #storedCounts({ rows, offsets }: CellBlock): Int32Array {
    return (
      this.#source.storedCounts?.(rows) ??
      rows.map((_, cell) => (offsets[cell + 1] ?? 0) - (offsets[cell] ?? 0))
    );
  }

  /** The cells of a piece; those that follow in the epoch are begun, too. */
  #piece(epoch: number, place: number): Piece {
    const take = (next: number): Piece => {
      const known = this.#begun.find((piece) => piece.epoch === epoch && piece.place === next);
      return known ?? this.#begin(epoch, next);
    };
    const piece = take(place);
    const ahead: Piece[] = [];
    const end = Math.min(place + PIECES_AT_ONCE, this.#order.count(epoch));
    for (let next = place + 1; next < end; next++) ahead.push(take(next));
    this.#begun = ahead;
    return piece;
  }

  #begin(epoch: number, place: number): Piece {
    const memory = new HeldMemory();
    const blocks = this.#readPiece(epoch, place, memory);
    blocks.catch(() => undefined); // thrown in its turn
    return { epoch, place, blocks, memory };
  }

  /** Reads a piece, and takes charge of the memory of blocks that are `owned`. */
  async #readPiece(epoch: number, place: number, memory: HeldMemory): Promise<CellBlock[]> {
    const rows = await this.#selector.rows(this.#order.piece(epoch, place));
    const blocks: CellBlock[] = [];
    for (const slice of slicesOf(rows)) {
      const block = await readSlice(this.#source, slice, this.#signal);
      if (block.owned === true) memory.hold(block.columns, block.counts);
      blocks.push(block);
    }
    return blocks;
  }
}
