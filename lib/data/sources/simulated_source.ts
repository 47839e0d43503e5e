import type { Table } from "apache-arrow";
import { isTurnOver, takeTurn } from "../../base/turns.js";
import { arrowTable } from "../tables/arrow_table.js";
import type { CellBlock, Gene, MetadataColumn, MetadataOptions } from "./cells.js";
import { checkRows } from "./checked_counts.js";
import type { SourceDescriptor } from "./descriptor.js";
import { type Column, type Frame, selectFrame, textCategories } from "./frame.js";
import { fixedParts, rowRange } from "./parts.js";
import type { SimulateOptions, SimulationTruth } from "./simulation.js";
import {
  cellStream,
  checkedStudy,
  drawCell,
  drawCounts,
  drawParts,
  fillExpected,
  label,
  type Parts,
  type Study,
  simulatedGenes,
} from "./simulation.js";
import type { CellSource } from "./source.js";

/**
 * The cells of `simulateCells`, each drawn when it is read: any number of them in no memory. Metadata: `cell_type` and
 * `library_size`.
 */
export class SimulatedSource implements CellSource {
  readonly name = "simulated cells";
  readonly cellCount: number;
  readonly genes: readonly Gene[];
  readonly notes: readonly string[] = [];
  readonly partBounds: Float64Array;
  readonly metadataColumns: readonly MetadataColumn[] = [
    { name: "cell_type", kind: "text" },
    { name: "library_size", kind: "number" },
  ];
  readonly #options: SimulateOptions;
  readonly #study: Study;
  readonly #parts: Parts;
  /** Of the cell at hand. */
  readonly #truth: SimulationTruth;

  /** Throws `ARGUMENT_RANGE`. */
  constructor(options: SimulateOptions = {}) {
    const study = checkedStudy(options);
    this.#options = options;
    this.#study = study;
    this.#parts = drawParts(study);
    this.cellCount = study.cells;
    this.genes = simulatedGenes(study);
    this.partBounds = fixedParts(study.cells);
    this.#truth = {
      types: new Int32Array(1),
      activity: new Float32Array(study.programmes),
      loadings: this.#parts.loadings,
      expected: new Float32Array(study.genes),
      programmes: study.programmes,
    };
  }

  async cellIds(rows: Int32Array): Promise<readonly string[]> {
    checkRows(rows, this.cellCount, this.name);
    return Array.from(rows, (row) => label("cell-", row, this.cellCount));
  }

  async metadata(options: MetadataOptions = {}): Promise<Table> {
    const { rows = rowRange(0, this.cellCount) } = options;
    checkRows(rows, this.cellCount, this.name);
    const types: string[] = [];
    const sizes = new Float64Array(rows.length);
    for (const [i, row] of rows.entries()) {
      if (isTurnOver()) await takeTurn();
      sizes[i] = this.#draw(row).librarySize;
      types.push(label("type-", this.#truth.types[0] ?? 0, this.#study.types));
    }
    const columns = new Map<string, Column>([
      ["cell_type", textCategories(types)],
      ["library_size", { kind: "numbers", values: sizes }],
    ]);
    const frame: Frame = { index: types, indexName: "_index", columns };
    const { columns: wanted } = options;
    return arrowTable(selectFrame(frame, wanted === undefined ? {} : { columns: wanted }, this.name).columns);
  }

  async read(rows: Int32Array, signal?: AbortSignal): Promise<CellBlock> {
    checkRows(rows, this.cellCount, this.name);
    const offsets = new Int32Array(rows.length + 1);
    const drawn: ReturnType<typeof drawCounts>[] = [];
    for (const [i, row] of rows.entries()) {
      if (isTurnOver()) await takeTurn(signal);
      const { stream, librarySize } = this.#draw(row);
      fillExpected(this.#study, this.#parts, this.#truth, 0, librarySize);
      const cell = drawCounts(this.#study, this.#truth.expected, stream);
      offsets[i + 1] = (offsets[i] ?? 0) + cell.counts.length;
      drawn.push(cell);
    }
    const columns = new Int32Array(offsets[rows.length] ?? 0);
    const counts = new Float32Array(columns.length);
    for (const [i, cell] of drawn.entries()) {
      columns.set(cell.columns, offsets[i]);
      counts.set(cell.counts, offsets[i]);
    }
    return { rows: rows.slice(), offsets, columns, counts };
  }

  descriptor(): SourceDescriptor {
    return { kind: "simulated", options: this.#options };
  }

  /** Nothing to release. */
  [Symbol.dispose](): void {}

  /** Fills `#truth` with a cell, but for its expected counts; the stream goes on with its counts. */
  #draw(row: number): { readonly librarySize: number; readonly stream: ReturnType<typeof cellStream> } {
    const stream = cellStream(this.#study, row);
    this.#truth.activity.fill(0);
    const librarySize = drawCell(this.#study, this.#parts, this.#truth, 0, stream);
    return { librarySize, stream };
  }
}
