import type { Table } from "apache-arrow";
import { cellFrame } from "./cell_frame.js";
import type {
  CellBlock,
  Gene,
  MeasuredPanels,
  MetadataColumn,
  MetadataOptions,
  SourceContents,
} from "./cells.js";
import { checkRows } from "./checked_counts.js";
import type { SourceDescriptor } from "./descriptor.js";
import { tablesOf } from "./frames.js";
import { panelsOfRows } from "./panels.js";
import { fixedParts, partsOfRows } from "./parts.js";
import { type CellSource, handoverOf, type SourceTables } from "./source.js";

/**
 * Some cells of a source, in the order given, as a source of their own: row 0 of it is `rows[0]` of `source`.
 * Disposing of it calls `dispose`, by default nothing: the source below belongs to whoever opened it.
 * Memory: the rows. Throws `ARGUMENT_RANGE` for a row that `source` does not have.
 */
export function subsetSource(source: CellSource, rows: Int32Array, dispose?: () => void): CellSource {
  checkRows(rows, source.cellCount, source.name);
  return new SubsetSource(source, Int32Array.from(rows), dispose ?? (() => undefined));
}

class SubsetSource implements CellSource {
  readonly name: string;
  readonly cellCount: number;
  readonly genes: readonly Gene[];
  readonly panels: MeasuredPanels | undefined;
  readonly partBounds: Float64Array;
  readonly #source: CellSource;
  readonly #rows: Int32Array;
  readonly #dispose: () => void;

  constructor(source: CellSource, rows: Int32Array, dispose: () => void) {
    this.name = source.name;
    this.cellCount = rows.length;
    this.genes = source.genes;
    this.panels = panelsOfRows(source, rows);
    const ascending = rows.every((row, i) => i === 0 || row > (rows[i - 1] ?? 0));
    this.partBounds = ascending ? partsOfRows(source.partBounds, rows) : fixedParts(rows.length);
    this.#source = source;
    this.#rows = rows;
    this.#dispose = dispose;
  }

  get notes(): readonly string[] {
    return this.#source.notes;
  }

  get contents(): SourceContents | undefined {
    return this.#source.contents;
  }

  get metadataColumns(): readonly MetadataColumn[] {
    return this.#source.metadataColumns;
  }

  async cellIds(rows: Int32Array): Promise<readonly string[]> {
    return this.#source.cellIds(this.#below(rows));
  }

  async metadata(options: MetadataOptions = {}): Promise<Table> {
    const rows = options.rows === undefined ? this.#rows : this.#below(options.rows);
    return this.#source.metadata({ ...options, rows });
  }

  async tables(): Promise<SourceTables> {
    const { obs, var: genes } = await tablesOf(this.#source);
    const { indexName, columns } = obs;
    const own = { length: this.cellCount, indexName, columns };
    return { obs: cellFrame(own, (rows) => obs.at(this.#below(rows))), var: genes };
  }

  async read(rows: Int32Array, signal?: AbortSignal): Promise<CellBlock> {
    const block = await this.#source.read(this.#below(rows), signal);
    return { ...block, rows: Int32Array.from(rows) };
  }

  storedCounts(rows: Int32Array): Int32Array | undefined {
    return this.#source.storedCounts?.(this.#below(rows));
  }

  descriptor(): SourceDescriptor {
    return { kind: "subset", source: this.#source.descriptor(), rows: this.#rows };
  }

  handover(): SourceDescriptor {
    return { kind: "subset", source: handoverOf(this.#source), rows: this.#rows };
  }

  [Symbol.dispose](): void {
    this.#dispose();
  }

  /** Row numbers in the source below. */
  #below(rows: Int32Array): Int32Array {
    checkRows(rows, this.cellCount, this.name);
    return rows.map((row) => this.#rows[row] ?? 0);
  }
}
