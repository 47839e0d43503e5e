import type { MemoryCells } from "./descriptor.js";
import {
  cellStream,
  checkedStudy,
  drawCell,
  drawCounts,
  drawParts,
  fillExpected,
  label,
  type SimulateOptions,
  type SimulationTruth,
  type Study,
  simulatedGenes,
} from "./simulation.js";

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
