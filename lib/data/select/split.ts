import { joinRows, rowRange, rowSpans } from "../sources/parts.js";
import type { CellSource } from "../sources/source.js";
import { CellSelector, type HeldOut } from "./selection.js";

/** Options of `splitCells`. */
export interface SplitOptions {
  /** Share of the cells held out for validation, in [0, 1). Default 0.1. */
  readonly fraction?: number;
  /** Whole number below 2^53. Default 0. */
  readonly seed?: number;
  /** Hold out the cells for which this condition holds, in place of a share: see `WhereFilter`. */
  readonly where?: string;
}

/** Rows for training and rows held out, both ascending. */
export interface CellSplit {
  readonly train: Int32Array;
  readonly validation: Int32Array;
}

/**
 * Splits cells into training and validation ones; each cell is held out with probability `fraction`, decided by its name,
 * its row and the seed alone, or by a condition on its metadata. With a fraction above 0 and 2 to 1,024 cells, each side has a
 * cell that expresses a gene where two do; where one does, it is trained on. For rows in hand; `CellSelection` for data of any size. Throws `ARGUMENT_RANGE`, `ARGUMENT_WHERE` and
 * `DATA_MISSING_COLUMN`.
 */
export async function splitCells(source: CellSource, options: SplitOptions = {}): Promise<CellSplit> {
  const heldOut: HeldOut =
    options.where === undefined
      ? { kind: "fraction", fraction: options.fraction ?? 0.1, seed: options.seed ?? 0 }
      : { kind: "where", where: options.where };
  const selector = await CellSelector.create(source, { split: { heldOut, side: "validation" } });
  const train: Int32Array[] = [];
  const validation: Int32Array[] = [];
  for (const span of rowSpans(source.partBounds)) {
    const held = await selector.rows(span);
    const isHeld = new Set(held);
    validation.push(held);
    train.push(rowRange(span.first, span.end).filter((row) => !isHeld.has(row)));
  }
  return { train: joinRows(train), validation: joinRows(validation) };
}
