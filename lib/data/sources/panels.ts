import { upperBound } from "../../base/search.js";
import type { Outlines } from "../files/outlines.js";
import type { MeasuredPanels } from "./cells.js";
import { rowRange } from "./parts.js";
import type { CellSource } from "./source.js";

/** Gives equal panels the same number. */
export class PanelNumbers {
  /** The different ones, by number. */
  readonly panels: Int32Array[] = [];
  /** Arrays that were asked for before: most panels come many times. */
  readonly #seen = new Map<Int32Array, number>();
  /** Numbers of panels by a hash of what is in them. */
  readonly #byHash = new Map<number, number[]>();

  /** Number of a panel, which becomes known; its columns or genes ascend. */
  numberOf(panel: Int32Array): number {
    const seen = this.#seen.get(panel);
    if (seen !== undefined) return seen;
    const hash = hashOf(panel);
    const alike = this.#byHash.get(hash) ?? [];
    let number = alike.find((other) => isEqual(this.panels[other], panel));
    if (number === undefined) {
      number = this.panels.push(panel) - 1;
      alike.push(number);
      this.#byHash.set(hash, alike);
    }
    this.#seen.set(panel, number);
    return number;
  }
}

/** FNV-1a, a number at a time. */
function hashOf(panel: Int32Array): number {
  let hash = 0x811c9dc5;
  for (const column of panel) hash = Math.imul(hash ^ column, 0x01000193);
  return hash;
}

function isEqual(a: Int32Array | undefined, b: Int32Array): boolean {
  return a?.length === b.length && a.every((value, i) => value === b[i]);
}

/** Collects the panels of row after row. */
class PanelRuns {
  readonly #known = new PanelNumbers();
  readonly #ends: number[] = [];
  readonly #numbers: number[] = [];

  /** The rows up to `end` measure these columns, which ascend. */
  add(end: number, columns: Int32Array): void {
    if (end <= (this.#ends.at(-1) ?? 0)) return;
    const number = this.#known.numberOf(columns);
    if (this.#numbers.at(-1) === number) this.#ends.pop();
    else this.#numbers.push(number);
    this.#ends.push(end);
  }

  /** The panels of a source of so many columns; undefined where all its rows measure all of them. */
  panels(columnCount: number): MeasuredPanels | undefined {
    const { panels } = this.#known;
    if (panels.every(({ length }) => length === columnCount)) return undefined;
    return {
      columns: panels,
      ends: Float64Array.from(this.#ends),
      numbers: Int32Array.from(this.#numbers),
    };
  }
}

/** The panels of cells that measure these columns, each ascending; undefined where all measure all of so many. */
export function panelsOfCells(cells: readonly Int32Array[], columnCount: number): MeasuredPanels | undefined {
  const runs = new PanelRuns();
  for (const [cell, columns] of cells.entries()) runs.add(cell + 1, columns);
  return runs.panels(columnCount);
}

/** The panels of some rows of a source, in this order. */
export function panelsOfRows(
  { panels, genes }: Pick<CellSource, "panels" | "genes">,
  rows: Int32Array,
): MeasuredPanels | undefined {
  if (panels === undefined) return undefined;
  const runs = new PanelRuns();
  for (const [i, row] of rows.entries()) {
    const columns = panels.columns[panels.numbers[upperBound(panels.ends, row)] ?? 0];
    if (columns !== undefined) runs.add(i + 1, columns);
  }
  return runs.panels(genes.length);
}

/**
 * The panels of several sources one after the other over the union of their genes, of so many columns.
 * @param unions for each of their traits the column of the union of each of the own; undefined where they are the same
 */
export function joinPanels(
  { traits, traitsOf, firstRow }: Outlines,
  unions: readonly (Int32Array | undefined)[],
  columnCount: number,
): MeasuredPanels | undefined {
  const runs = new PanelRuns();
  const all = rowRange(0, columnCount);
  const united = traits.map(({ panels }, number) => {
    const union = unions[number];
    if (panels === undefined) return [union === undefined ? all : union.slice().sort()];
    return panels.columns.map((columns) =>
      union === undefined ? columns : columns.map((column) => union[column] ?? 0).sort(),
    );
  });
  for (const [source, number] of traitsOf.entries()) {
    const columns = united[number] ?? [];
    const panels = traits[number]?.panels;
    if (panels === undefined) runs.add(firstRow[source + 1] ?? 0, columns[0] ?? all);
    else
      for (const [run, own] of panels.numbers.entries())
        runs.add((firstRow[source] ?? 0) + (panels.ends[run] ?? 0), columns[own] ?? all);
  }
  return runs.panels(columnCount);
}
