import { checkNumber } from "../errors.js";
import { Purpose, philox } from "../random.js";
import { rowRange } from "./parts.js";
import type { CellSource } from "./source.js";

/** Options of `splitCells`. */
export interface SplitOptions {
  /** Share of the cells held out for validation, in [0, 1). Default 0.1. */
  readonly fraction?: number;
  /** Whole number below 2^53. Default 0. */
  readonly seed?: number;
}

/** Rows for training and rows held out, both ascending. */
export interface CellSplit {
  readonly train: Int32Array;
  readonly validation: Int32Array;
}

/** Two 32-bit FNV-1a hashes of a name, differing in their start. */
function nameHash(name: string): readonly [number, number] {
  let first = 0x811c9dc5;
  let second = 0x9747b28c;
  for (const byte of Buffer.from(name)) {
    first = Math.imul(first ^ byte, 0x01000193);
    second = Math.imul(second ^ byte, 0x01000193);
  }
  return [first >>> 0, second >>> 0];
}

/**
 * Where each cell falls in [0, 1): a pure function of the cell's name, its row and the seed (Philox with
 * counter (name hash, row, name hash, purpose)), so that it does not depend on the file's name, nor on which
 * other cells there are.
 */
function position(name: string, row: number, seed: number, out: Uint32Array): number {
  const [first, second] = nameHash(name);
  philox(first, row, second, (Purpose.split << 24) >>> 0, seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, out);
  return (out[0] ?? 0) / 2 ** 32;
}

/**
 * Splits cells into training and validation ones; each cell is held out with probability `fraction`, decided by
 * its name, its row and the seed alone. With a fraction above 0 and at least two cells, neither side is empty.
 * Throws `ARGUMENT_RANGE`.
 */
export async function splitCells(
  source: Pick<CellSource, "cellIds" | "cellCount">,
  options: SplitOptions = {},
): Promise<CellSplit> {
  const fraction = checkNumber("fraction", options.fraction ?? 0.1, { min: 0, max: 1 - Number.EPSILON });
  const seed = checkNumber("seed", options.seed ?? 0, {
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    integer: true,
  });
  const ids = await source.cellIds(rowRange(0, source.cellCount));
  const out = new Uint32Array(4);
  const positions = Float64Array.from({ length: source.cellCount }, (_, row) =>
    position(ids[row] ?? "", row, seed, out),
  );
  let threshold = fraction;
  if (fraction > 0 && positions.length >= 2) {
    const sorted = positions.slice().sort();
    const lowest = sorted[0] ?? 0;
    const highest = sorted[positions.length - 1] ?? 1;
    if (lowest >= threshold) threshold = sorted[1] ?? 1;
    else if (highest < threshold) threshold = highest;
  }
  const train: number[] = [];
  const validation: number[] = [];
  for (const [row, value] of positions.entries()) (value < threshold ? validation : train).push(row);
  return { train: Int32Array.from(train), validation: Int32Array.from(validation) };
}
