import { checkKind } from "../base/arguments.js";
import { DdscError, wrongType } from "../base/errors.js";
import type { RaggedBatch } from "../tokenizer/ragged_batch.js";

/** Rows of one run of the network at most, where nobody says otherwise; a longer cell runs alone. */
export const MAX_ROWS = 32_768;

/** Counts of some cells, sparse: what count models and their baselines are compared on. */
export interface CountCells {
  /** Bounds of each cell in `genes` and `counts`, [cells + 1]; offsets[0] = 0. */
  readonly offsets: Int32Array;
  /** Gene ids of the counts above 0, ascending within a cell. */
  readonly genes: Int32Array;
  /** The counts, whole numbers >= 1; a measured gene that a cell does not list has 0. */
  readonly counts: Int32Array;
  /** Which of `panelGenes` each cell was measured with, [cells]. */
  readonly panels: Int32Array;
  /** Gene ids that were measured, by panel, each ascending. */
  readonly panelGenes: readonly Int32Array[];
  /** Group of each cell, such as its type; undefined where it is not known. */
  readonly labels?: readonly (string | undefined)[];
}

/** Which genes of each cell are hidden. */
export interface HiddenGenes {
  /** Bounds of each cell in `genes`, [cells + 1]; offsets[0] = 0. */
  readonly offsets: Int32Array;
  /** Measured gene ids, ascending within a cell. */
  readonly genes: Int32Array;
}

/**
 * The cells of a batch of count tokens.
 *
 * @param panelGenes of the mapping that the batch was made with (`GeneMapping.panels`)
 * @param labels group of each cell
 */
export function countCellsOf(
  batch: RaggedBatch,
  panelGenes: readonly Int32Array[],
  labels?: readonly (string | undefined)[],
): CountCells {
  checkKind("batch", batch, "batch");
  checkKind("panelGenes", panelGenes, "panels");
  if (labels !== undefined) checkKind("labels", labels, "list");
  const { offsets, genes, counts, panels, cells } = batch;
  const starts = new Int32Array(offsets.length);
  const places: number[] = [];
  for (let cell = 0; cell < cells.length; cell++) {
    for (let token = offsets[cell] ?? 0; token < (offsets[cell + 1] ?? 0); token++)
      if ((counts?.[token] ?? 0) > 0) places.push(token);
    starts[cell + 1] = places.length;
  }
  return {
    offsets: starts,
    genes: Int32Array.from(places, (token) => genes[token] ?? 0),
    counts: Int32Array.from(places, (token) => counts?.[token] ?? 0),
    panels: panels ?? new Int32Array(cells.length),
    panelGenes,
    ...(labels === undefined ? {} : { labels }),
  };
}

/** Number of cells. */
export function cellCount(cells: CountCells): number {
  return cells.panels.length;
}

/** Gene ids that were measured in a cell. */
export function measuredGenes(cells: CountCells, cell: number): Int32Array {
  return cells.panelGenes[cells.panels[cell] as number] as Int32Array;
}

/** Throws `ARGUMENT_TYPE` unless cells have their arrays, and `BATCH_INVALID` where a cell's panel is none of them. */
export function checkCellArrays(argument: string, cells: CountCells): void {
  checkKind(argument, cells, "object");
  for (const name of ["offsets", "genes", "counts", "panels"] as const) {
    if (!(cells[name] instanceof Int32Array)) {
      throw wrongType(`${argument}.${name}`, cells[name], "an Int32Array");
    }
  }
  checkKind(`${argument}.panelGenes`, cells.panelGenes, "panels");
  const { panels, panelGenes } = cells;
  for (const [cell, panel] of panels.entries()) {
    if (panelGenes[panel] !== undefined) continue;
    throw new DdscError(
      "BATCH_INVALID",
      `${argument}: cell ${cell} is of panel ${panel}, which there is not`,
      {
        argument,
      },
    );
  }
}

/** Cells first .. end - 1; panels and counts are shared. */
export function sliceCells(cells: CountCells, first: number, end: number): CountCells {
  const start = cells.offsets[first] ?? 0;
  return {
    offsets: cells.offsets.slice(first, end + 1).map((offset) => offset - start),
    genes: cells.genes.subarray(start, cells.offsets[end]),
    counts: cells.counts.subarray(start, cells.offsets[end]),
    panels: cells.panels.subarray(first, end),
    panelGenes: cells.panelGenes,
    ...(cells.labels === undefined ? {} : { labels: cells.labels.slice(first, end) }),
  };
}

/** Those of cells first .. end - 1. */
export function sliceGenes({ offsets, genes }: HiddenGenes, first: number, end: number): HiddenGenes {
  const start = offsets[first] ?? 0;
  return {
    offsets: offsets.slice(first, end + 1).map((offset) => offset - start),
    genes: genes.subarray(start, offsets[end]),
  };
}
