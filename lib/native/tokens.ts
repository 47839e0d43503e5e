/** The typed door to the addon's functions that make tokens of cells, and that free the memory of cells. */
import { callAddon } from "./addon.js";

/** Options of `tokenizeCells`. */
export interface NativeTokenizing {
  /**
   * What tokens are: quantile ranks, `steps` the places of the inner quantiles in [0, 1], [ranks - 1]; or the counts'
   * values, where counts that are no whole numbers are rounded or refused.
   */
  readonly values:
    | { readonly kind: "ranks"; readonly steps: Float32Array }
    | { readonly kind: "counts"; readonly allowFractional: boolean };
  /** Gene id of each column, -1 where the vocabulary has none. */
  readonly ids: Int32Array;
  /** Genes a cell at most. */
  readonly room: number;
  readonly minGenes: number;
  readonly cls: boolean;
  /** Whether the genes that stay are drawn; otherwise those of the lowest ids stay. */
  readonly sample: boolean;
  readonly seed: number;
  readonly epoch: number;
}

/** A ragged batch and what was left out of it: see `TokenizerReport`. */
export interface NativeTokens {
  readonly offsets: Int32Array;
  readonly genes: Int32Array;
  readonly tokens: Int32Array;
  /** Exact count of each token, 0 at cls; where tokens are values of counts. */
  readonly counts?: Int32Array;
  readonly cells: Float64Array;
  readonly emptyCells: number;
  readonly unknownOnlyCells: number;
  readonly smallCells: number;
  readonly shortenedCells: number;
  readonly leftOutGenes: number;
  readonly unknownCounts: number;
  readonly skippedRows: Int32Array;
  /** Columns of the first genes that the vocabulary does not have. */
  readonly unknownColumns: Int32Array;
}

/** Cells in compressed rows: see `CellBlock`. */
export interface NativeBlock {
  readonly rows: Int32Array;
  readonly offsets: Int32Array;
  readonly columns: Int32Array;
  readonly counts: Float32Array;
}

/** The addon's functions, as they are exported. */
interface TokenAddon {
  tokenizeCells(block: NativeBlock, options: NativeTokenizing): NativeTokens | null;
  tokenizePicked(
    blocks: readonly NativeBlock[],
    picked: Int32Array,
    options: NativeTokenizing,
  ): Promise<NativeTokens | null>;
  holdMemory(array: Numbers): void;
  freeMemory(array: Numbers, held: boolean): void;
}

/** Tokens of the cells of a block, as `CellTokenizer` makes them; null where a cell must be refused. */
export function tokenizeCells(block: NativeBlock, options: NativeTokenizing): NativeTokens | null {
  return callAddon((addon: TokenAddon) => addon.tokenizeCells(block, options));
}

/**
 * As `tokenizeCells`, of some cells of several blocks in the order given, off the event loop. Until it has ended nobody may
 * change the arrays or free their memory.
 * @param picked of each cell the number of its block, and its place in it
 */
export async function tokenizePicked(
  blocks: readonly NativeBlock[],
  picked: Int32Array,
  options: NativeTokenizing,
): Promise<NativeTokens | null> {
  return callAddon((addon: TokenAddon) => addon.tokenizePicked(blocks, picked, options));
}

/** An array of which all memory is its own. */
type Numbers = Int32Array | Float32Array | Uint8Array;

function ownsItsMemory(array: Numbers): boolean {
  return array.byteLength > 0 && array.byteLength === array.buffer.byteLength;
}

/**
 * Gives the memory of arrays that nobody else uses back at once: they are empty from here on. Those that share their memory
 * are left to the garbage collector.
 */
export function freeMemory(...arrays: Numbers[]): void {
  for (const array of arrays)
    if (ownsItsMemory(array)) callAddon((addon: TokenAddon) => addon.freeMemory(array, false));
}

/**
 * Memory of arrays of which it is known when they are done with. The garbage collector counts the bytes of every array and
 * looks through the whole heap whenever some 64 MiB have come: with hundreds of megabytes a second of counts it takes more
 * time than everything else. What is held here it does not count, and `free` gives back at once.
 */
export class HeldMemory {
  #arrays: Numbers[] = [];

  /** Takes charge of arrays that nobody else uses; those that share their memory are left to the garbage collector. */
  hold(...arrays: Numbers[]): void {
    for (const array of arrays.filter(ownsItsMemory)) {
      callAddon((addon: TokenAddon) => addon.holdMemory(array));
      this.#arrays.push(array);
    }
  }

  /** Frees the memory: the arrays are empty from here on. */
  free(): void {
    const arrays = this.#arrays;
    this.#arrays = [];
    for (const array of arrays) callAddon((addon: TokenAddon) => addon.freeMemory(array, true));
  }
}
