import type { Table } from "apache-arrow";
import { checkRows } from "./checked_counts.js";
import { type Frame, frameTable, takeRows } from "./frame.js";
import type { CellBlock, FramedSource, Gene, SourceDescriptor } from "./source.js";

/**
 * Some cells of a source, in the order given, as a source of their own: row 0 of it is `rows[0]` of `source`.
 * Disposing of it calls `dispose`, by default nothing: the source below belongs to whoever opened it.
 * Throws `ARGUMENT_RANGE` for a row that `source` does not have.
 */
export function subsetSource(source: FramedSource, rows: Int32Array, dispose?: () => void): FramedSource {
  checkRows(rows, source.cellCount, source.name);
  return new SubsetSource(source, Int32Array.from(rows), dispose ?? (() => undefined));
}

class SubsetSource implements FramedSource {
  readonly name: string;
  readonly cellCount: number;
  readonly genes: readonly Gene[];
  readonly obs: Frame;
  readonly var: Frame;
  readonly #source: FramedSource;
  readonly #rows: Int32Array;
  readonly #dispose: () => void;

  constructor(source: FramedSource, rows: Int32Array, dispose: () => void) {
    this.name = source.name;
    this.cellCount = rows.length;
    this.genes = source.genes;
    this.obs = takeFrameRows(source.obs, rows);
    this.var = source.var;
    this.#source = source;
    this.#rows = rows;
    this.#dispose = dispose;
  }

  get notes(): readonly string[] {
    return this.#source.notes;
  }

  cellIds(): readonly string[] {
    return this.obs.index;
  }

  metadata(): Table {
    return frameTable(this.obs);
  }

  read(rows: Int32Array): CellBlock {
    checkRows(rows, this.cellCount, this.name);
    const block = this.#source.read(rows.map((row) => this.#rows[row] ?? 0));
    return { ...block, rows: Int32Array.from(rows) };
  }

  descriptor(): SourceDescriptor {
    return { kind: "subset", source: this.#source.descriptor(), rows: this.#rows };
  }

  [Symbol.dispose](): void {
    this.#dispose();
  }
}

function takeFrameRows(frame: Frame, rows: Int32Array): Frame {
  const columns = new Map([...frame.columns].map(([name, column]) => [name, takeRows(column, rows)]));
  return { index: Array.from(rows, (row) => frame.index[row] ?? ""), indexName: frame.indexName, columns };
}
