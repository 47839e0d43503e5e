import type { Table } from "apache-arrow";
import { DdscError } from "../../base/errors.js";
import { duplicateCellNote, uniqueIds } from "../genes/gene_names.js";
import { arrowTable } from "../tables/arrow_table.js";
import { heldFrame } from "./cell_frame.js";
import type { CellBlock, Gene, MetadataColumn, MetadataOptions } from "./cells.js";
import { CountFindings, checkedBlock, checkRows } from "./checked_counts.js";
import { lengthsOfRows } from "./count_matrix.js";
import type { MemoryCells, SourceDescriptor } from "./descriptor.js";
import { type Column, type Frame, frameColumns, selectFrame, textCategories } from "./frame.js";
import { fixedParts } from "./parts.js";
import type { CellSource, SourceTables } from "./source.js";

/** Cells held in memory; counts are checked as they are read, as those of a file. */
export class MemorySource implements CellSource {
  readonly name: string;
  readonly cellCount: number;
  readonly genes: readonly Gene[];
  readonly partBounds: Float64Array;
  readonly metadataColumns: readonly MetadataColumn[];
  /** Table of cells. */
  readonly obs: Frame;
  /** Table of genes. */
  readonly var: Frame;
  /** No other matrix to turn to. */
  readonly remedy = "";
  readonly #cells: MemoryCells;
  readonly #openingNotes: readonly string[];
  readonly #findings = new CountFindings();

  /** Throws `DATA_SHAPE` if the arrays disagree in length or bounds, `DATA_CORRUPT` for a gene out of range. */
  constructor(cells: MemoryCells) {
    checkShape(cells);
    this.#cells = cells;
    this.name = cells.name;
    this.cellCount = cells.ids.length;
    const { ids, note } = uniqueIds(cells.genes.map((gene) => gene.id));
    this.genes =
      note === undefined ? cells.genes : cells.genes.map((gene, i) => ({ ...gene, id: ids[i] ?? gene.id }));
    this.obs = memoryFrame(cells);
    this.var = { index: cells.genes.map((gene) => gene.id), indexName: "_index", columns: new Map() };
    this.partBounds = fixedParts(this.cellCount);
    this.metadataColumns = frameColumns(this.obs);
    const found = [note, duplicateCellNote(cells.ids)].filter((text) => text !== undefined);
    this.#openingNotes = [...cells.notes, ...found];
  }

  get notes(): readonly string[] {
    return [...this.#openingNotes, ...this.#findings.notes(this.remedy)];
  }

  async cellIds(rows: Int32Array): Promise<readonly string[]> {
    checkRows(rows, this.cellCount, this.name);
    return Array.from(rows, (row) => this.#cells.ids[row] ?? "");
  }

  async metadata(options: MetadataOptions = {}): Promise<Table> {
    if (options.rows !== undefined) checkRows(options.rows, this.cellCount, this.name);
    return arrowTable(selectFrame(this.obs, options, this.name).columns);
  }

  async tables(): Promise<SourceTables> {
    return { obs: heldFrame(this.obs), var: this.var };
  }

  async read(rows: Int32Array, signal?: AbortSignal): Promise<CellBlock> {
    signal?.throwIfAborted();
    checkRows(rows, this.cellCount, this.name);
    const { offsets: bounds, geneColumns, counts } = this.#cells;
    const offsets = new Int32Array(rows.length + 1);
    for (const [i, row] of rows.entries()) {
      offsets[i + 1] = (offsets[i] ?? 0) + (bounds[row + 1] ?? 0) - (bounds[row] ?? 0);
    }
    const columns = new Int32Array(offsets[rows.length] ?? 0);
    const values = new Float32Array(columns.length);
    for (const [i, row] of rows.entries()) {
      columns.set(geneColumns.subarray(bounds[row], bounds[row + 1]), offsets[i]);
      values.set(counts.subarray(bounds[row], bounds[row + 1]), offsets[i]);
    }
    return checkedBlock({ offsets, columns, values }, rows, this, this.#findings);
  }

  storedCounts(rows: Int32Array): Int32Array {
    checkRows(rows, this.cellCount, this.name);
    return lengthsOfRows(this.#cells.offsets, rows);
  }

  descriptor(): SourceDescriptor {
    return { kind: "memory", cells: this.#cells };
  }

  /** Nothing to release. */
  [Symbol.dispose](): void {}
}

function checkShape(cells: MemoryCells): void {
  const { name, ids, genes, offsets, geneColumns, counts, metadata } = cells;
  const fail = (what: string): never => {
    throw new DdscError("DATA_SHAPE", `${name}: ${what}`, { file: name });
  };
  if (offsets.length !== ids.length + 1)
    fail(`${ids.length} cells need ${ids.length + 1} offsets, not ${offsets.length}`);
  if (geneColumns.length !== counts.length)
    fail(`${geneColumns.length} gene columns but ${counts.length} counts`);
  if (offsets[0] !== 0 || offsets[ids.length] !== counts.length) {
    fail(`offsets run from ${offsets[0]} to ${offsets[ids.length]}, not from 0 to ${counts.length}`);
  }
  for (let i = 0; i < ids.length; i++) {
    if ((offsets[i + 1] ?? 0) < (offsets[i] ?? 0)) fail(`offsets fall after cell ${i}; they must ascend`);
  }
  for (const [i, column] of geneColumns.entries()) {
    if (column < 0 || column >= genes.length)
      fail(`count ${i} is of gene column ${column} but there are ${genes.length} genes`);
  }
  for (const [column, values] of Object.entries(metadata)) {
    if (values.length !== ids.length)
      fail(`metadata column "${column}" has ${values.length} values for ${ids.length} cells`);
  }
}

/** The metadata of cells in memory as a table; text becomes categories if it repeats. */
function memoryFrame(cells: MemoryCells): Frame {
  const columns = new Map<string, Column>();
  for (const [name, values] of Object.entries(cells.metadata)) {
    columns.set(name, values instanceof Float64Array ? { kind: "numbers", values } : textColumn(values));
  }
  return { index: cells.ids, indexName: "_index", columns };
}

function textColumn(values: readonly string[]): Column {
  return new Set(values).size * 2 > values.length ? { kind: "strings", values } : textCategories(values);
}
