import {
  cellStream,
  checkedStudy,
  drawCell,
  drawCounts,
  drawParts,
  fillExpected,
  label,
  type Study,
  simulatedGenes,
} from "./simulation.js";
import type { MemoryCells } from "./source.js";

/** Options of `simulateCells`. */
export interface SimulateOptions {
  /** Number of cells, 1 to 10^7. Default 2,000. */
  readonly cells?: number;
  /** Number of genes, 8 to 10^6. Default 400. */
  readonly genes?: number;
  /** Number of cell types, 1 to 1,000. Default 6. */
  readonly types?: number;
  /** Number of gene programmes, 1 to 1,000. Default 12. */
  readonly programmes?: number;
  /** Median counts a cell before dropout, 1 to 10^7. Default 4 a gene. */
  readonly librarySize?: number;
  /** Negative-binomial dispersion: variance = mean + dispersion mean^2; 0 is Poisson. Default 0.15. */
  readonly dispersion?: number;
  /** Mean count at which half the cells lose a gene to dropout. Default 0.3; 0 turns dropout off. */
  readonly dropoutMidpoint?: number;
  /** Whole number below 2^53. Default 0. */
  readonly seed?: number;
}

/** What the simulator knows and real data do not tell. */
export interface SimulationTruth {
  /** Type of each cell, [cells]. */
  readonly types: Int32Array;
  /** Activity of each programme in each cell, [cells * programmes], 0 = silent. */
  readonly activity: Float32Array;
  /** Loading (log fold change at activity 1) of each programme on each gene, [programmes * genes]. */
  readonly loadings: Float32Array;
  /** Expected count before dropout, [cells * genes]. */
  readonly expected: Float32Array;
  readonly programmes: number;
}

/**
 * Simulates cells of a tissue. A gene has a log-normal base level; a type shifts genes and switches programmes
 * on; a programme raises or lowers its genes together, by how active it is in the cell; the expected counts
 * scale with a log-normal library size, are drawn from a negative binomial, and faint ones are lost to dropout.
 *
 * Deterministic: the same options give the same cells on every machine, and a cell does not depend on how many
 * others there are. Memory: `truth.expected` holds cells x genes float32. Throws `ARGUMENT_RANGE`.
 */
export function simulateCells(options: SimulateOptions = {}): { cells: MemoryCells; truth: SimulationTruth } {
  const study = checkedStudy(options);
  const { cells, genes, programmes } = study;
  const parts = drawParts(study);
  const truth: SimulationTruth = {
    types: new Int32Array(cells),
    activity: new Float32Array(cells * programmes),
    loadings: parts.loadings,
    expected: new Float32Array(cells * genes),
    programmes,
  };
  const offsets = new Int32Array(cells + 1);
  const columns: Int32Array[] = [];
  const counts: Float32Array[] = [];
  const librarySizes = new Float64Array(cells);
  for (let cell = 0; cell < cells; cell++) {
    const stream = cellStream(study, cell);
    const librarySize = drawCell(study, parts, truth, cell, stream);
    librarySizes[cell] = librarySize;
    fillExpected(study, parts, truth, cell, librarySize);
    const drawn = drawCounts(study, truth.expected.subarray(cell * genes, (cell + 1) * genes), stream);
    columns.push(drawn.columns);
    counts.push(drawn.counts);
    offsets[cell + 1] = (offsets[cell] ?? 0) + drawn.counts.length;
  }
  return { cells: assemble(study, truth, librarySizes, offsets, columns, counts), truth };
}

function assemble(
  study: Study,
  truth: SimulationTruth,
  librarySizes: Float64Array,
  offsets: Int32Array,
  columns: readonly Int32Array[],
  counts: readonly Float32Array[],
): MemoryCells {
  const total = offsets[study.cells] ?? 0;
  const geneColumns = new Int32Array(total);
  const values = new Float32Array(total);
  for (let cell = 0; cell < study.cells; cell++) {
    geneColumns.set(columns[cell] ?? [], offsets[cell]);
    values.set(counts[cell] ?? [], offsets[cell]);
  }
  return {
    name: "simulated cells",
    ids: Array.from({ length: study.cells }, (_, i) => label("cell-", i, study.cells)),
    genes: simulatedGenes(study),
    offsets,
    geneColumns,
    counts: values,
    metadata: {
      cell_type: Array.from(truth.types, (type) => label("type-", type, study.types)),
      library_size: librarySizes,
    },
    notes: [],
  };
}
