import { DdscError } from "../base/errors.js";
import type { CellBlock, Gene, MeasuredPanels } from "../data/sources/cells.js";
import { panelsOfCells } from "../data/sources/panels.js";
import { badCount, duplicateGene } from "./count_errors.js";

/** One cell in memory: counts by gene name. */
export interface CellCounts {
  /** Gene names, each once. */
  readonly genes: readonly string[];
  /** A count for each gene, >= 0; a zero is an unexpressed gene. A gene that is not named was not measured. */
  readonly counts: ArrayLike<number>;
}

/** Cells in the form a source gives them: a block, and the genes its columns stand for. */
export interface CollectedCells {
  readonly name: string;
  readonly genes: readonly Gene[];
  /** Which genes each cell names; undefined where all name all of them. */
  readonly panels: MeasuredPanels | undefined;
  /** Rows are the places in the list given. */
  readonly block: CellBlock;
}

/**
 * Cells given by gene names as a block for `CellTokenizer`: `tokenizer.tokenize(cells.block, tokenizer.map(cells), 0)`.
 * Throws `DATA_LENGTH` where a cell has more genes than counts or the reverse, `DATA_NEGATIVE_COUNT`,
 * `DATA_NOT_FINITE` (also for what is no number, or too large for float32), `DATA_DUPLICATE_GENE`, each naming
 * cell and gene.
 */
export function collectCells(cells: readonly CellCounts[], name = "cells in memory"): CollectedCells {
  const columns = new Map<string, number>();
  const offsets = new Int32Array(cells.length + 1);
  const geneColumns: number[] = [];
  const counts: number[] = [];
  const measured: Int32Array[] = [];
  for (const [row, cell] of cells.entries()) {
    if (cell.genes.length !== cell.counts.length) {
      throw new DdscError(
        "DATA_LENGTH",
        `${name}: row ${row} has ${cell.genes.length} genes and ${cell.counts.length} counts; give one count a gene`,
        { file: name, row },
      );
    }
    const counted = readCell(cell, row, name, columns);
    measured.push(Int32Array.from(counted, ({ column }) => column));
    for (const { column, count } of counted) {
      if (count === 0) continue;
      geneColumns.push(column);
      counts.push(count);
    }
    offsets[row + 1] = counts.length;
  }
  return {
    name,
    genes: Array.from(columns.keys(), (id) => ({ id, aliases: [] })),
    panels: panelsOfCells(measured, columns.size),
    block: {
      rows: Int32Array.from(cells.keys()),
      offsets,
      columns: Int32Array.from(geneColumns),
      counts: Float32Array.from(counts),
    },
  };
}

/** Genes of one cell by ascending column; new genes get the next columns. */
function readCell(
  cell: CellCounts,
  row: number,
  file: string,
  columns: Map<string, number>,
): { column: number; count: number }[] {
  const seen = new Set<string>();
  const counted: { column: number; count: number }[] = [];
  for (const [i, gene] of cell.genes.entries()) {
    const count: unknown = cell.counts[i];
    if (typeof count !== "number" || !(count >= 0 && Math.fround(count) < Number.POSITIVE_INFINITY)) {
      throw badCount({ file, row, gene }, count);
    }
    if (seen.has(gene)) throw duplicateGene({ file, row, gene });
    seen.add(gene);
    const column = columns.get(gene) ?? columns.size;
    columns.set(gene, column);
    counted.push({ column, count });
  }
  return counted.sort((a, b) => a.column - b.column);
}
