import { checkKind } from "../../base/arguments.js";
import { DdscError } from "../../base/errors.js";
import type { CountCells, GeneLists } from "../../native/counts.js";

/** Cells of which some genes are hidden. */
export interface CellsToComplete {
  /** Visible genes with a count above 0: `offsets`, `genes` (ascending within a cell), `counts`; `cells` names the random numbers. */
  readonly visible: CountCells & { readonly counts: Int32Array; readonly panels: Int32Array };
  /** Gene ids that are measured, by panel, ascending. */
  readonly panels: readonly Int32Array[];
  /** Genes to fill in: measured, ascending within a cell. What is neither here nor in `visible` is visible with a count of 0. */
  readonly hidden: GeneLists;
}

const DRAWN = 1;
const HIDDEN = 2;

/**
 * Cells while they are completed. A place is a gene's number in its cell's panel; all arrays are [measured genes of all cells].
 */
export class CountState {
  readonly cells: Float64Array;
  readonly panels: readonly Int32Array[];
  readonly #panelOf: Int32Array;
  /** First place of each cell, [cells + 1]. */
  readonly #starts: Int32Array;
  readonly #counts: Int32Array;
  readonly #status: Uint8Array;
  readonly #hidden: Int32Array;
  readonly #expressed: Int32Array;

  /** Throws `BATCH_INVALID` where a cell lists a gene twice, out of order, or that its panel does not have. */
  constructor({ visible, panels, hidden }: CellsToComplete) {
    checkKind("visible", visible, "object");
    checkKind("hidden", hidden, "object");
    for (const name of ["offsets", "genes", "counts", "panels"] as const)
      checkKind(`visible.${name}`, visible[name], "integers");
    checkKind("visible.cells", visible.cells, "doubles");
    for (const name of ["offsets", "genes"] as const) checkKind(`hidden.${name}`, hidden[name], "integers");
    checkKind("panels", panels, "panels");
    this.cells = visible.cells;
    this.panels = panels;
    this.#panelOf = visible.panels;
    const count = visible.cells.length;
    this.#starts = new Int32Array(count + 1);
    for (let cell = 0; cell < count; cell++)
      this.#starts[cell + 1] = (this.#starts[cell] ?? 0) + this.panel(cell).length;
    this.#counts = new Int32Array(this.#starts[count] ?? 0);
    this.#status = new Uint8Array(this.#counts.length);
    this.#hidden = new Int32Array(count);
    this.#expressed = new Int32Array(count);
    for (let cell = 0; cell < count; cell++) {
      const start = this.#starts[cell] ?? 0;
      this.#each(cell, visible, (place, i) => {
        this.#setCount(cell, start + place, visible.counts[i] ?? 0);
      });
      this.#each(cell, hidden, (place) => {
        if ((this.#counts[start + place] ?? 0) !== 0)
          throw this.#invalid(cell, "a gene is both visible and hidden");
        this.#status[start + place] = HIDDEN;
      });
      this.#hidden[cell] = (hidden.offsets[cell + 1] ?? 0) - (hidden.offsets[cell] ?? 0);
    }
  }

  /** Ids of the genes that a cell measures. */
  panel(cell: number): Int32Array {
    const panel = this.panels[this.#panelOf[cell] ?? -1];
    if (panel === undefined) throw this.#invalid(cell, `there is no panel ${this.#panelOf[cell]}`);
    return panel;
  }

  /** Hidden genes of a cell. */
  hidden(cell: number): number {
    return this.#hidden[cell] ?? 0;
  }

  /** Places of a cell's hidden genes, ascending. */
  hiddenPlaces(cell: number): Int32Array {
    return this.#placesOf(cell, HIDDEN);
  }

  /** Places of a cell's genes that were drawn, ascending. */
  drawnPlaces(cell: number): Int32Array {
    return this.#placesOf(cell, DRAWN);
  }

  /** Reveals hidden genes with the counts that were drawn. */
  reveal(cell: number, places: Int32Array, counts: Int32Array): void {
    const start = this.#starts[cell] ?? 0;
    for (const [i, place] of places.entries()) {
      this.#setCount(cell, start + place, counts[i] ?? 0);
      this.#status[start + place] = DRAWN;
    }
    this.#hidden[cell] = this.hidden(cell) - places.length;
  }

  /** Hides genes that were drawn. */
  hide(cell: number, places: Int32Array): void {
    const start = this.#starts[cell] ?? 0;
    for (const place of places) {
      this.#setCount(cell, start + place, 0);
      this.#status[start + place] = HIDDEN;
    }
    this.#hidden[cell] = this.hidden(cell) + places.length;
  }

  /** Visible genes of a cell with a count above 0. */
  expressed(cell: number): number {
    return this.#expressed[cell] ?? 0;
  }

  /** What is visible of some cells, and what is hidden. */
  view(cells: readonly number[]): { readonly batch: CountCells; readonly hide: GeneLists } {
    const offsets = new Int32Array(cells.length + 1);
    const hiddenOffsets = new Int32Array(cells.length + 1);
    for (const [i, cell] of cells.entries()) {
      offsets[i + 1] = (offsets[i] ?? 0) + this.expressed(cell);
      hiddenOffsets[i + 1] = (hiddenOffsets[i] ?? 0) + this.hidden(cell);
    }
    const genes = new Int32Array(offsets.at(-1) ?? 0);
    const counts = new Int32Array(genes.length);
    const hidden = new Int32Array(hiddenOffsets.at(-1) ?? 0);
    let next = 0;
    let nextHidden = 0;
    for (const cell of cells) {
      const start = this.#starts[cell] ?? 0;
      for (const [place, gene] of this.panel(cell).entries()) {
        if (this.#status[start + place] === HIDDEN) hidden[nextHidden++] = gene;
        else if ((this.#counts[start + place] ?? 0) > 0) {
          genes[next] = gene;
          counts[next++] = this.#counts[start + place] ?? 0;
        }
      }
    }
    return {
      batch: { offsets, genes, counts, ...this.#named(cells) },
      hide: { offsets: hiddenOffsets, genes: hidden },
    };
  }

  /** The same cells with nothing visible. */
  hiddenView(cells: readonly number[]): { readonly batch: CountCells; readonly hide: GeneLists } {
    const offsets = new Int32Array(cells.length + 1);
    for (const [i, cell] of cells.entries()) offsets[i + 1] = (offsets[i] ?? 0) + this.panel(cell).length;
    const genes = new Int32Array(offsets.at(-1) ?? 0);
    for (const [i, cell] of cells.entries()) genes.set(this.panel(cell), offsets[i]);
    const none = new Int32Array(0);
    return {
      batch: { offsets: new Int32Array(offsets.length), genes: none, counts: none, ...this.#named(cells) },
      hide: { offsets, genes },
    };
  }

  #named(cells: readonly number[]): Pick<CountCells, "cells" | "panels"> {
    return {
      cells: Float64Array.from(cells, (cell) => this.cells[cell] ?? 0),
      panels: Int32Array.from(cells, (cell) => this.#panelOf[cell] ?? 0),
    };
  }

  #setCount(cell: number, at: number, count: number): void {
    const before = Number((this.#counts[at] ?? 0) > 0);
    this.#expressed[cell] = this.expressed(cell) + Number(count > 0) - before;
    this.#counts[at] = count;
  }

  #placesOf(cell: number, status: number): Int32Array {
    const start = this.#starts[cell] ?? 0;
    const own = this.#status.subarray(start, this.#starts[cell + 1]);
    const places = new Int32Array(own.length);
    let count = 0;
    for (let place = 0; place < own.length; place++) if (own[place] === status) places[count++] = place;
    return places.subarray(0, count);
  }

  /** Calls `use` with the place and the number in the list of each gene that a list names of a cell. */
  #each(cell: number, { offsets, genes }: GeneLists, use: (place: number, i: number) => void): void {
    const panel = this.panel(cell);
    let place = 0;
    for (let i = offsets[cell] ?? 0; i < (offsets[cell + 1] ?? 0); i++) {
      const gene = genes[i] ?? 0;
      while ((panel[place] ?? gene) < gene) place++;
      if (panel[place] !== gene)
        throw this.#invalid(cell, `gene id ${gene} is twice, out of order, or not measured`);
      use(place++, i);
    }
  }

  #invalid(cell: number, what: string): DdscError {
    return new DdscError("BATCH_INVALID", `cell ${cell} to complete: ${what}`, { argument: "cells" });
  }
}
