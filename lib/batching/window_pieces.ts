import { setImmediate } from "node:timers/promises";
import { readsAhead } from "../base/reads_ahead.js";
import type { CellSelector } from "../data/select/selection.js";
import type { CellBlock } from "../data/sources/cells.js";
import type { RowSpan } from "../data/sources/parts.js";
import type { CellSource } from "../data/sources/source.js";
import { HeldMemory } from "../native/tokens.js";
import type { PlanOptions } from "./plan.js";

/** Cells read at a time: between two reads other work may run. */
const SLICE_CELLS = 1024;

/**
 * How full a window is, in cells and in stored counts: what decides where it ends. One rule for who reads all of a window and who reads
 * a rank's share of it, or ranks would cut different batches.
 */
export class WindowFill {
  readonly #options: Required<Pick<PlanOptions, "windowCells" | "windowCounts">>;
  #cells = 0;
  #counts = 0;

  constructor(options: Required<Pick<PlanOptions, "windowCells" | "windowCounts">>) {
    this.#options = options;
  }

  /** Whether a piece of these rows belongs to the window, too. */
  takes({ first, end }: RowSpan): boolean {
    const { windowCells, windowCounts } = this.#options;
    return this.#counts < windowCounts && (this.#cells === 0 || this.#cells + end - first <= windowCells);
  }

  /** Adds cells of a piece, by the stored counts of each. */
  add(stored: Int32Array): void {
    this.#cells += stored.length;
    for (const count of stored) this.#counts += count;
  }
}

/** Rows, some at a time. */
export function* slicesOf(rows: Int32Array): Generator<Int32Array, void, undefined> {
  for (let first = 0; first < rows.length; first += SLICE_CELLS)
    yield rows.subarray(first, first + SLICE_CELLS);
}

/** Reads a slice, after a turn of the event loop. */
export async function readSlice(
  source: CellSource,
  rows: Int32Array,
  signal: AbortSignal,
): Promise<CellBlock> {
  await setImmediate();
  signal.throwIfAborted();
  return source.read(rows, signal);
}

/** The rows of a piece that belong to a selection, after a turn of the event loop. */
export async function selectRows(
  selector: CellSelector,
  span: RowSpan,
  signal: AbortSignal,
): Promise<Int32Array> {
  await setImmediate();
  signal.throwIfAborted();
  return selector.rows(span);
}

/** Cells that were read, and the memory of those that are `owned`, the caller's to free. */
export interface ReadBlocks {
  readonly blocks: readonly CellBlock[];
  readonly memory: HeldMemory;
}

/** Reads lists of rows, some at a time and the next ones ahead. Nothing is held where it throws. */
export async function readBlocks(
  source: CellSource,
  lists: readonly Int32Array[],
  signal: AbortSignal,
): Promise<ReadBlocks> {
  const memory = new HeldMemory();
  const blocks: CellBlock[] = [];
  const slices = lists.flatMap((rows) => [...slicesOf(rows)]);
  try {
    for await (const block of readsAhead(slices, (slice) => readSlice(source, slice, signal))) {
      if (block.owned === true) memory.hold(block.columns, block.counts);
      blocks.push(block);
    }
  } catch (error) {
    memory.free();
    throw error;
  }
  return { blocks, memory };
}
