import type { GeneMatch } from "../data/genes/gene_index.js";
import type { Gene } from "../data/sources/cells.js";
import type { RaggedBatch } from "./ragged_batch.js";
import type { TokenizerReport } from "./report.js";

/** The columns of one source in a tokenizer's vocabulary. */
export interface GeneMapping {
  /** Name of the source, for messages. */
  readonly sourceName: string;
  readonly genes: readonly Gene[];
  readonly match: GeneMatch;
  /** Ids of the vocabulary's genes that the source measures, ascending. */
  readonly measured: Int32Array;
  /**
   * The panels of its cells: ids of the vocabulary's genes that are measured in some of them, ascending, [panels][genes].
   * Each is different from the others; one, `measured`, where all cells measure the same genes.
   */
  readonly panels: readonly Int32Array[];
  /** Number of the panel of the cell in a row of the source. */
  panelOf(row: number): number;
}

/** Tokens of some cells, and what was left out of them. */
export interface TokenizedCells {
  /** `batch.cells` are the rows of the cells in their source, in the order given; skipped cells are not in it. */
  readonly batch: RaggedBatch;
  readonly report: TokenizerReport;
}
