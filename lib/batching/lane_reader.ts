import type { CellSelector } from "../data/select/selection.js";
import { joinRows } from "../data/sources/parts.js";
import type { CellSource } from "../data/sources/source.js";
import { emptyReport } from "../tokenizer/report.js";
import { type CutWindow, cellsByNumber } from "./cut_window.js";
import { LaneOrder, lanesOf, type Neighbours, spreadLanes } from "./lane_order.js";
import type { ReaderOptions } from "./share_reader.js";
import { CellWindow } from "./window.js";
import { readBlocks, selectRows } from "./window_pieces.js";

/** Which cells a window has: of each lane how many, and which those of the own lanes are. */
interface LaneCells {
  readonly counts: readonly number[];
  /** Ascending, of each own piece. */
  readonly rows: readonly Int32Array[];
}

/**
 * Reads the pieces of a rank's own lanes and no others: lanes are as many for any number of ranks, and every batch has its share of
 * cells of each lane, so that the batches are the same, too. Of the cells of other lanes nothing is read but what tells how many of
 * them belong to the selection, and not that where it is told.
 *
 * Data of one window are read once for all epochs.
 */
export class LaneReader {
  readonly order: LaneOrder;
  readonly #source: CellSource;
  readonly #selector: CellSelector;
  readonly #signal: AbortSignal;
  readonly #batchCells: number;
  readonly #own: Neighbours;
  readonly #laneCells: Int32Array | undefined;
  #kept: { readonly cells: LaneCells; readonly window: CellWindow } | undefined;

  private constructor(
    source: CellSource,
    selector: CellSelector,
    options: ReaderOptions,
    signal: AbortSignal,
    batchCells: number,
  ) {
    this.order = new LaneOrder(source.partBounds, options);
    this.#source = source;
    this.#selector = selector;
    this.#signal = signal;
    this.#batchCells = batchCells;
    this.#own = lanesOf(options.lanes, options.share);
    this.#laneCells = options.laneCells;
  }

  /** Undefined where there are no lanes. Throws as `LaneOrder`. */
  static of(
    source: CellSource,
    selector: CellSelector,
    options: ReaderOptions,
    signal: AbortSignal,
  ): LaneReader | undefined {
    const batchCells = cellsByNumber(options);
    if (options.lanes === 1 || batchCells === undefined) return undefined;
    return new LaneReader(source, selector, options, signal, batchCells);
  }

  /** Whether windows are used again, and so not to be freed. */
  get keeps(): boolean {
    return this.order.windows === 1;
  }

  /** The own cells of a window, and the batches of those. */
  async read(
    epoch: number,
    window: number,
  ): Promise<{ readonly window: CellWindow; readonly own: CutWindow }> {
    const { cells, window: read } = this.#kept ?? (await this.#readNew(epoch, window));
    return { window: read, own: this.#cut(epoch, window, cells.counts) };
  }

  async #readNew(epoch: number, window: number) {
    const cells = await this.#cellsOf(epoch, window);
    const { blocks, memory } = await readBlocks(this.#source, cells.rows, this.#signal);
    const made = { cells, window: new CellWindow(window, window + 1, blocks, [memory]) };
    if (this.keeps) this.#kept = made;
    return made;
  }

  async #cellsOf(epoch: number, window: number): Promise<LaneCells> {
    const counts: number[] = [];
    const rows: Int32Array[] = [];
    for (let lane = 0; lane < this.order.lanes; lane++) {
      const isOwn = lane >= this.#own.first && lane < this.#own.end;
      let count = 0;
      for (const piece of this.order.pieces(epoch, window, lane)) {
        const told = isOwn ? undefined : this.#laneCells?.[piece];
        const found =
          told === undefined
            ? await selectRows(this.#selector, this.order.piece(piece), this.#signal)
            : undefined;
        count += told ?? found?.length ?? 0;
        if (isOwn && found !== undefined) rows.push(found);
      }
      counts.push(count);
    }
    return { counts, rows };
  }

  #cut(epoch: number, window: number, counts: readonly number[]): CutWindow {
    const spread = spreadLanes(counts, this.#batchCells);
    const batches = spread[0]?.length ?? 0;
    const bounds = new Int32Array(batches + 1);
    const lanes: { readonly places: Int32Array; readonly batches: Int32Array; taken: number }[] = [];
    let before = 0;
    for (let lane = this.#own.first; lane < this.#own.end; lane++) {
      const first = before;
      const places = Int32Array.from({ length: counts[lane] ?? 0 }, (_, cell) => first + cell);
      before += places.length;
      this.order.cellOrder(epoch, window, lane).shuffle(places);
      lanes.push({ places, batches: spread[lane] ?? new Int32Array(batches), taken: 0 });
    }
    const picked: Int32Array[] = [];
    for (let batch = 0; batch < batches; batch++) {
      bounds[batch + 1] = bounds[batch] ?? 0;
      for (const lane of lanes) {
        const cells = lane.places.subarray(lane.taken, lane.taken + (lane.batches[batch] ?? 0));
        lane.taken += cells.length;
        picked.push(cells);
        bounds[batch + 1] = (bounds[batch + 1] ?? 0) + cells.length;
      }
    }
    return { places: joinRows(picked), bounds, left: emptyReport() };
  }
}
