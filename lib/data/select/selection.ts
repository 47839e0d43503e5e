import { checkNumber, checkSeed } from "../../base/errors.js";
import { lowerBound } from "../../base/search.js";
import { type RowSpan, rowRange } from "../sources/parts.js";
import type { CellSource } from "../sources/source.js";
import { positionOf } from "./cell_position.js";
import { filteredRows, WhereFilter } from "./where.js";

/** Which cells are held out from training; plain JSON. */
export type HeldOut =
  /** Each cell with this probability, decided by its name, its row and the seed alone. */
  | { readonly kind: "fraction"; readonly fraction: number; readonly seed: number }
  /** The cells for which a condition holds: a cell line, a drug. */
  | { readonly kind: "where"; readonly where: string };

/** Some cells of a source, told by what they are instead of by a list of rows; structured-clonable. */
export interface CellSelection {
  /** Only cells for which this condition holds (see `WhereFilter`); default all. */
  readonly where?: string;
  /** Only the cells that are held out, or only those that are not; default both. */
  readonly split?: { readonly heldOut: HeldOut; readonly side: "train" | "validation" };
  /** Only these rows, ascending, each once; default all. */
  readonly rows?: Int32Array;
}

/**
 * Decides which rows of a source belong to a selection, some rows at a time: reads what it needs to know of those (names or
 * columns of metadata) and keeps nothing.
 */
export class CellSelector {
  readonly #source: CellSource;
  readonly #rows: Int32Array | undefined;
  readonly #where: WhereFilter | undefined;
  readonly #heldOut: ((span: RowSpan) => Promise<Uint8Array>) | undefined;
  readonly #wanted: 0 | 1;

  private constructor(
    source: CellSource,
    { rows, where, split }: CellSelection,
    heldOut: ((span: RowSpan) => Promise<Uint8Array>) | undefined,
  ) {
    this.#source = source;
    this.#rows = rows;
    this.#where = where === undefined ? undefined : new WhereFilter(where, source);
    this.#heldOut = heldOut;
    this.#wanted = split?.side === "validation" ? 1 : 0;
  }

  /** Throws `ARGUMENT_WHERE`, `ARGUMENT_RANGE` and `DATA_MISSING_COLUMN` for a selection that the source cannot answer. */
  static async create(source: CellSource, selection: CellSelection): Promise<CellSelector> {
    const { split } = selection;
    return new CellSelector(source, selection, split && (await heldOutTest(source, split.heldOut)));
  }

  /** The rows of a span that belong to the selection, ascending. */
  async rows(span: RowSpan): Promise<Int32Array> {
    let rows = this.#rows === undefined ? rowRange(span.first, span.end) : rowsWithin(this.#rows, span);
    if (rows.length === 0) return rows;
    if (this.#where !== undefined) {
      const found = new Set(await filteredRows(this.#source, this.#where, span));
      rows = rows.filter((row) => found.has(row));
    }
    if (this.#heldOut !== undefined && rows.length > 0) {
      const sides = await this.#heldOut(span);
      rows = rows.filter((row) => sides[row - span.first] === this.#wanted);
    }
    return rows;
  }
}

/** Tells for each row of a span whether it is held out (1). */
async function heldOutTest(
  source: CellSource,
  heldOut: HeldOut,
): Promise<(span: RowSpan) => Promise<Uint8Array>> {
  if (heldOut.kind === "where") {
    const filter = new WhereFilter(heldOut.where, source);
    return async (span) => {
      const sides = new Uint8Array(span.end - span.first);
      for (const row of await filteredRows(source, filter, span)) sides[row - span.first] = 1;
      return sides;
    };
  }
  const { threshold, seed } = await heldOutThreshold(source, heldOut);
  return async (span) => {
    const positions = await cellPositions(source, span, seed);
    return Uint8Array.from(positions, (position) => (position < threshold ? 1 : 0));
  };
}

/** Sources of at most so many cells are looked at as a whole, so that neither side of a split is empty. */
const FEW_CELLS = 1024;

/**
 * Where in [0, 1) the held-out cells end: at the fraction. With few cells and a fraction above 0 it is moved so that each side
 * has a cell that expresses a gene, and training has the only one where there is but one.
 */
async function heldOutThreshold(
  source: CellSource,
  options: { readonly fraction: number; readonly seed: number },
): Promise<{ readonly threshold: number; readonly seed: number }> {
  const fraction = checkNumber("fraction", options.fraction, { min: 0, max: 1 - Number.EPSILON });
  const seed = checkSeed(options.seed);
  const { cellCount } = source;
  if (fraction === 0 || cellCount === 0 || cellCount > FEW_CELLS) return { threshold: fraction, seed };
  const positions = await cellPositions(source, { first: 0, end: cellCount }, seed);
  const expressed = await expressedRows(source);
  const counted = expressed.length === 0 ? positions : expressed.map((row) => positions[row] ?? 0);
  const sorted = Float64Array.from(counted).sort();
  const lowest = sorted[0] ?? 0;
  const highest = sorted.at(-1) ?? 1;
  if (sorted.length === 1) return { threshold: Math.min(fraction, lowest), seed };
  if (lowest >= fraction) return { threshold: sorted[1] ?? 1, seed };
  return { threshold: highest < fraction ? highest : fraction, seed };
}

/** The rows of a source of few cells that express a gene. */
async function expressedRows(source: CellSource): Promise<number[]> {
  const { rows, offsets } = await source.read(rowRange(0, source.cellCount));
  return [...rows].filter((_, cell) => (offsets[cell + 1] ?? 0) > (offsets[cell] ?? 0));
}

/** Where in [0, 1) each cell of a span falls: see `positionOf`. */
async function cellPositions(
  source: Pick<CellSource, "cellIds">,
  { first, end }: RowSpan,
  seed: number,
): Promise<Float64Array> {
  const names = await source.cellIds(rowRange(first, end));
  return Float64Array.from(names, (name, i) => positionOf(name, first + i, seed));
}

/** The rows of an ascending list within a span. */
function rowsWithin(rows: Int32Array, { first, end }: RowSpan): Int32Array {
  return rows.subarray(lowerBound(rows, first), lowerBound(rows, end));
}
