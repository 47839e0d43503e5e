import { DdscError } from "../base/errors.js";
import { lowerBound, upperBound } from "../base/search.js";
import type { CellBlock } from "../data/sources/cells.js";
import type { CellPlaces } from "../data/sources/gather.js";
import type { HeldMemory } from "../native/tokens.js";

/** Cells of some pieces of an epoch in memory, to be picked in any order. */
export class CellWindow {
  /** Place of its first piece in the epoch's order. */
  readonly start: number;
  /** Place of the first piece that is not in it. */
  readonly end: number;
  /** By ascending row. */
  readonly blocks: readonly CellBlock[];
  /** Number of cells in memory. */
  readonly cellCount: number;
  /** Cells in the blocks before each, [blocks + 1]. */
  readonly #firstCell: Int32Array;
  readonly #memory: readonly HeldMemory[];
  /** Places of the cells in memory, ascending; undefined where all are. */
  readonly #held: Int32Array | undefined;

  /**
   * @param memory what `free` frees
   * @param held places in the whole window of the cells of `blocks`, ascending, where not all were read
   */
  constructor(
    start: number,
    end: number,
    blocks: readonly CellBlock[],
    memory: readonly HeldMemory[] = [],
    held?: Int32Array,
  ) {
    this.start = start;
    this.end = end;
    this.#memory = memory;
    this.#held = held;
    // However the pieces were ordered: a window that is kept for several epochs is the same in all of them.
    this.blocks = [...blocks].sort((a, b) => (a.rows[0] ?? 0) - (b.rows[0] ?? 0));
    this.#firstCell = new Int32Array(blocks.length + 1);
    for (const [i, { rows }] of this.blocks.entries()) {
      this.#firstCell[i + 1] = (this.#firstCell[i] ?? 0) + rows.length;
    }
    this.cellCount = this.#firstCell[blocks.length] ?? 0;
  }

  /** The cells at these places of the window (0 the cell of the lowest row), in this order. Throws `WINDOW_MISSING_ROW`. */
  placesOf(places: Int32Array): CellPlaces {
    const picked = new Int32Array(2 * places.length);
    for (let i = 0; i < places.length; i++) {
      const place = this.#placeInMemory(places[i] as number);
      const block = this.#blockOf(place);
      const cell = place - (this.#firstCell[block] ?? 0);
      if (this.blocks[block]?.rows[cell] === undefined) {
        throw new DdscError(
          "WINDOW_MISSING_ROW",
          `cell ${places[i]} is not in a window of ${this.cellCount}`,
          {},
        );
      }
      picked[2 * i] = block;
      picked[2 * i + 1] = cell;
    }
    return picked;
  }

  /** Frees the memory of the cells; no call may be reading them. */
  free(): void {
    for (const memory of this.#memory) memory.free();
  }

  #placeInMemory(place: number): number {
    if (this.#held === undefined) return place;
    const found = lowerBound(this.#held, place);
    return this.#held[found] === place ? found : this.cellCount;
  }

  #blockOf(place: number): number {
    return upperBound(this.#firstCell, place) - 1;
  }
}
