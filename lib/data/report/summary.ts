import { isTurnOver, takeTurn } from "../../base/turns.js";
import { readBlocks } from "../sources/blocks.js";
import type { CellBlock, GeneColumn, SourceContents } from "../sources/cells.js";
import type { CellSource } from "../sources/source.js";
import { ColumnCounter, type ColumnSummary } from "./column_counter.js";
import { interpolate, type Quantiles, RunningQuantiles } from "./quantiles.js";

/** What is in a source, as plain data for `inspect --json`. */
export interface SourceSummary {
  readonly name: string;
  readonly cells: number;
  readonly genes: number;
  /** Stored counts above 0. */
  readonly counts: number;
  /** Share of the matrix that is above 0, in [0, 1]. */
  readonly density: number;
  /** Expressed genes a cell. */
  readonly genesPerCell: Quantiles;
  /** Cells by number of expressed genes: bins of equal width; `from` is inclusive, `to` exclusive but for the last. */
  readonly genesPerCellHistogram: readonly {
    readonly from: number;
    readonly to: number;
    readonly cells: number;
  }[];
  /** Total counts a cell; quartiles are those of a random 65,536 cells where there are more. */
  readonly countsPerCell: Quantiles;
  /** Share of the counts above 0 that are 1, 2, 3-5, 6-10, 11-100 and more; fractions count as the next whole number. */
  readonly countValues: readonly { readonly upTo: number | null; readonly share: number }[];
  /** True if every count is a whole number. */
  readonly wholeNumbers: boolean;
  /** Cells without any expressed gene: they are skipped in training. */
  readonly emptyCells: number;
  /** Genes not expressed in any cell. */
  readonly silentGenes: number;
  readonly columns: readonly ColumnSummary[];
  /** Identifiers of the first genes. */
  readonly geneNames: readonly string[];
  /** Columns of the table of genes, the index first, of which `--gene-column` chooses; none without a file. */
  readonly geneColumns: readonly GeneColumn[];
  /** Of AnnData: its layers, whether there is a raw matrix, and what is not read. */
  readonly anndata?: SourceContents["anndata"];
  readonly notes: readonly string[];
}

const BINS = 10;
const GENE_NAMES = 5;
/** Cells between two looks at the clock. */
const CELLS_A_LOOK = 8;
const COUNT_LIMITS = [1, 2, 5, 10, 100, Number.POSITIVE_INFINITY] as const;

/** What `summarise` may be told. */
export interface SummariseOptions {
  /** Ends the work with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Told how many cells have been looked at. */
  readonly onProgress?: (cells: number) => void;
}

/**
 * Reads a source once, part by part, and summarises it. Memory does not grow with the number of cells: a few numbers a gene, a
 * sample of cells, and at most 10,000 values of each metadata column. Throws what reading throws (`DATA_NEGATIVE_COUNT`, ...).
 */
export async function summarise(source: CellSource, options: SummariseOptions = {}): Promise<SourceSummary> {
  const counts = new CountsSummary(source.genes.length);
  const columns = source.metadataColumns.map((column) => new ColumnCounter(column));
  for await (const block of readBlocks(source, options)) {
    await counts.add(block);
    if (columns.length === 0) continue;
    const table = await source.metadata({ rows: block.rows });
    for (const column of columns) column.add(table);
  }
  const { contents } = source;
  return {
    name: source.name,
    cells: source.cellCount,
    genes: source.genes.length,
    ...counts.result(source.cellCount),
    columns: columns.map((column) => column.result()),
    geneNames: source.genes.slice(0, GENE_NAMES).map(({ id }) => id),
    geneColumns: contents?.geneColumns ?? [],
    ...(contents?.anndata === undefined ? {} : { anndata: contents.anndata }),
    notes: [...source.notes],
  };
}

type CountsPart = Omit<
  SourceSummary,
  "name" | "cells" | "genes" | "columns" | "geneNames" | "geneColumns" | "anndata" | "notes"
>;

/** The part of a summary that is about counts, added up block by block. */
class CountsSummary {
  /** Cells by number of expressed genes, [genes + 1]. */
  readonly #cellsWith: Float64Array;
  /** 1 for a gene that some cell expresses. */
  readonly #seen: Uint8Array;
  readonly #totals = new RunningQuantiles();
  readonly #values = new Float64Array(COUNT_LIMITS.length);
  #wholeNumbers = true;

  constructor(genes: number) {
    this.#cellsWith = new Float64Array(genes + 1);
    this.#seen = new Uint8Array(genes);
  }

  async add(block: CellBlock): Promise<void> {
    for (let cell = 0; cell < block.rows.length; cell++) {
      if (cell % CELLS_A_LOOK === 0 && isTurnOver()) await takeTurn();
      this.#addCell(block, cell);
    }
  }

  /** Apart from `add`: loops of asynchronous functions are not compiled as well. */
  #addCell({ offsets, columns, counts }: CellBlock, cell: number): void {
    const own = counts.subarray(offsets[cell], offsets[cell + 1]);
    this.#cellsWith[own.length] = (this.#cellsWith[own.length] ?? 0) + 1;
    for (const gene of columns.subarray(offsets[cell], offsets[cell + 1])) this.#seen[gene] = 1;
    let total = 0;
    for (const count of own) {
      total += count;
      this.#wholeNumbers &&= Number.isInteger(count);
      const bin = COUNT_LIMITS.findIndex((limit) => count <= limit);
      this.#values[bin] = (this.#values[bin] ?? 0) + 1;
    }
    this.#totals.add(total);
  }

  result(cells: number): CountsPart {
    const counts = this.#values.reduce((sum, number) => sum + number, 0);
    const entries = cells * this.#seen.length;
    return {
      counts,
      density: entries === 0 ? 0 : counts / entries,
      genesPerCell: quantilesOf(this.#cellsWith, cells),
      genesPerCellHistogram: histogram(this.#cellsWith),
      countsPerCell: this.#totals.quantiles(),
      countValues: COUNT_LIMITS.map((limit, bin) => ({
        upTo: Number.isFinite(limit) ? limit : null,
        share: counts === 0 ? 0 : (this.#values[bin] ?? 0) / counts,
      })),
      wholeNumbers: this.#wholeNumbers,
      emptyCells: this.#cellsWith[0] ?? 0,
      silentGenes: this.#seen.reduce((sum, flag) => sum + Number(flag === 0), 0),
    };
  }
}

/** Quantiles of cells by a whole number, from how many cells have each number. */
function quantilesOf(cellsWith: Float64Array, cells: number): Quantiles {
  const below = new Float64Array(cellsWith.length + 1);
  for (const [number, count] of cellsWith.entries()) below[number + 1] = (below[number] ?? 0) + count;
  const at = (place: number): number => below.findIndex((before) => before > place) - 1;
  const sum = cellsWith.reduce((total, count, number) => total + count * number, 0);
  return interpolate(cells, at, cells === 0 ? 0 : sum / cells);
}

function histogram(cellsWith: Float64Array): { from: number; to: number; cells: number }[] {
  const highest = Math.max(
    0,
    cellsWith.findLastIndex((cells) => cells > 0),
  );
  const width = Math.max(1, Math.ceil((highest + 1) / BINS));
  return Array.from({ length: Math.ceil((highest + 1) / width) }, (_, bin) => ({
    from: bin * width,
    to: (bin + 1) * width,
    cells: cellsWith.subarray(bin * width, (bin + 1) * width).reduce((sum, cells) => sum + cells, 0),
  }));
}
