import type { Table } from "apache-arrow";
import type { MetadataColumn } from "../sources/cells.js";

/** A value of a metadata column and how many cells have it. */
export interface ValueCount {
  readonly value: string;
  readonly cells: number;
}

/** A metadata column: its most frequent values, or the range of its numbers. */
export interface ColumnSummary extends MetadataColumn {
  /** Cells without a value. */
  readonly missing: number;
  /** Number of different values, at least this where `manyValues`; absent for numbers. */
  readonly distinct?: number;
  /** True where there are more different values than are counted: those that came later are left out of `top`. */
  readonly manyValues?: true;
  /** Most frequent values, at most 5; absent for numbers. */
  readonly top?: readonly ValueCount[];
  /** Present for numbers, unless all are missing. */
  readonly range?: { readonly min: number; readonly max: number };
}

const TOP = 5;
/** Different values that are counted. */
const MOST_VALUES = 10_000;

/** Summarises one column of metadata from pieces of it. */
export class ColumnCounter {
  readonly #column: MetadataColumn;
  readonly #counts = new Map<string, number>();
  #missing = 0;
  #manyValues = false;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;

  constructor(column: MetadataColumn) {
    this.#column = column;
  }

  /** Adds the column's values in a table of some cells. */
  add(table: Table): void {
    const isNumber = this.#column.kind === "number";
    for (const value of (table.getChild(this.#column.name) ?? []) as Iterable<unknown>) {
      if (value === null || value === undefined || Number.isNaN(value)) this.#missing++;
      else if (isNumber) {
        this.#min = Math.min(this.#min, Number(value));
        this.#max = Math.max(this.#max, Number(value));
      } else this.#count(String(value));
    }
  }

  result(): ColumnSummary {
    const { name, kind } = this.#column;
    const common = { name, kind, missing: this.#missing };
    if (kind === "number") {
      return this.#min > this.#max ? common : { ...common, range: { min: this.#min, max: this.#max } };
    }
    const top = [...this.#counts]
      .sort(([a, cellsA], [b, cellsB]) => cellsB - cellsA || (a < b ? -1 : 1))
      .slice(0, TOP)
      .map(([value, cells]) => ({ value, cells }));
    const many = this.#manyValues ? { manyValues: true as const } : {};
    return { ...common, distinct: this.#counts.size, ...many, top };
  }

  #count(value: string): void {
    const count = this.#counts.get(value);
    if (count === undefined && this.#counts.size === MOST_VALUES) this.#manyValues = true;
    else this.#counts.set(value, (count ?? 0) + 1);
  }
}
