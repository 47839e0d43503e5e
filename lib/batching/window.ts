import { setImmediate } from "node:timers/promises";
import { rowRange } from "../data/parts.js";
import type { CellSelector } from "../data/selection.js";
import type { CellBlock, CellSource } from "../data/source.js";
import { DdscError } from "../errors.js";
import type { PlanOptions, ReadingOrder } from "./plan.js";

/** Cells read at a time: between two reads other work may run. */
const SLICE_CELLS = 1024;

/** Cells of some pieces of an epoch in memory, to be picked in any order. */
export class CellWindow {
  /** Place of its first piece in the epoch's order. */
  readonly start: number;
  /** Place of the first piece that is not in it. */
  readonly end: number;
  /** By ascending row. */
  readonly blocks: readonly CellBlock[];
  /** Number of cells. */
  readonly cellCount: number;
  /** Cells in the blocks before each, [blocks + 1]. */
  readonly #firstCell: Int32Array;

  constructor(start: number, end: number, blocks: readonly CellBlock[]) {
    this.start = start;
    this.end = end;
    // However the pieces were ordered: a window that is kept for several epochs is the same in all of them.
    this.blocks = [...blocks].sort((a, b) => (a.rows[0] ?? 0) - (b.rows[0] ?? 0));
    this.#firstCell = new Int32Array(blocks.length + 1);
    for (const [i, { rows }] of this.blocks.entries()) {
      this.#firstCell[i + 1] = (this.#firstCell[i] ?? 0) + rows.length;
    }
    this.cellCount = this.#firstCell[blocks.length] ?? 0;
  }

  /** The cells at these places of the window (0 the cell of the lowest row), in this order. Throws `WINDOW_MISSING_ROW`. */
  pick(places: Int32Array): CellBlock {
    const rows = new Int32Array(places.length);
    const offsets = new Int32Array(places.length + 1);
    const found = Array.from(places, (place, i) => {
      const cell = this.#locate(place);
      rows[i] = cell.row;
      offsets[i + 1] = (offsets[i] ?? 0) + cell.end - cell.start;
      return cell;
    });
    const genes = new Int32Array(offsets[places.length] ?? 0);
    const counts = new Float32Array(genes.length);
    for (const [i, { block, start, end }] of found.entries()) {
      genes.set(block.genes.subarray(start, end), offsets[i]);
      counts.set(block.counts.subarray(start, end), offsets[i]);
    }
    return { rows, offsets, genes, counts };
  }

  #locate(place: number): { block: CellBlock; row: number; start: number; end: number } {
    let low = 0;
    let high = this.blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#firstCell[middle] ?? 0) <= place) low = middle;
      else high = middle - 1;
    }
    const block = this.blocks[low];
    const cell = place - (this.#firstCell[low] ?? 0);
    const row = block?.rows[cell];
    if (block === undefined || row === undefined) {
      throw new DdscError("WINDOW_MISSING_ROW", `cell ${place} is not in a window of ${this.cellCount}`, {});
    }
    return { block, row, start: block.offsets[cell] ?? 0, end: block.offsets[cell + 1] ?? 0 };
  }
}

/** Reads windows: pieces of the order until there are cells or counts enough. */
export class WindowReader {
  readonly #source: CellSource;
  readonly #selector: CellSelector;
  readonly #order: ReadingOrder;
  readonly #options: Required<PlanOptions>;
  readonly #signal: AbortSignal;
  /** A window that holds a whole epoch, and so every other. */
  #whole: CellWindow | undefined;

  constructor(
    source: CellSource,
    selector: CellSelector,
    order: ReadingOrder,
    options: Required<PlanOptions>,
    signal: AbortSignal,
  ) {
    this.#source = source;
    this.#selector = selector;
    this.#order = order;
    this.#options = options;
    this.#signal = signal;
  }

  /** Whether the cells of all epochs are in memory, so that nothing is left to read. */
  get holdsAll(): boolean {
    return this.#whole !== undefined;
  }

  /** The window that begins at a place of an epoch. Small data is read once for all epochs. */
  async read(epoch: number, start: number): Promise<CellWindow> {
    if (this.#whole !== undefined && start === 0) return this.#whole;
    const { windowCells, windowCounts, shard } = this.#options;
    const blocks: CellBlock[] = [];
    let cells = 0;
    let counts = 0;
    let end = start;
    for (; end < this.#order.count(epoch) && counts < windowCounts; end++) {
      const span = this.#order.piece(epoch, end);
      if (cells > 0 && cells + span.end - span.first > windowCells) break;
      const rows = this.#selector.takesAll ? rowRange(span.first, span.end) : await this.#selector.rows(span);
      for (let first = 0; first < rows.length; first += SLICE_CELLS) {
        await setImmediate();
        this.#signal.throwIfAborted();
        const block = await this.#source.read(rows.subarray(first, first + SLICE_CELLS), this.#signal);
        blocks.push(block);
        counts += block.counts.length;
      }
      cells += rows.length;
    }
    const window = new CellWindow(start, end, blocks);
    const isWhole = start === 0 && end === this.#order.count(epoch) && shard.count === 1;
    if (isWhole) this.#whole = window;
    return window;
  }
}
