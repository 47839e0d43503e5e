import { DdscError } from "../../base/errors.js";
import { StoredFrame } from "../anndata/frame.js";
import type { Hierarchy } from "../hierarchy.js";
import type { StreamedFrame } from "../sources/cell_frame.js";
import type { Column, FrameRows } from "../sources/frame.js";
import { fitting, joinColumn, stackRows } from "../sources/join_frames.js";
import { rowRange } from "../sources/parts.js";
import { openPart, type Part } from "./part_record.js";

/** The part whose table is being read. */
interface OpenTable {
  readonly place: number;
  readonly file: Hierarchy;
  readonly frame: StoredFrame;
}

/** The table of the cells of parts in their order, one of which is open at a time: see `joinColumn`. */
export class PartsTable implements StreamedFrame, Disposable {
  readonly length: number;
  readonly indexName: string;
  readonly columns: ReadonlyMap<string, Column>;
  readonly #parts: readonly Part[];
  readonly #fitted: (rows: FrameRows) => FrameRows;
  #open: OpenTable | undefined;

  private constructor(parts: readonly Part[], indexName: string, columns: ReadonlyMap<string, Column>) {
    this.length = parts.at(-1)?.record.end ?? 0;
    this.indexName = indexName;
    this.columns = columns;
    this.#parts = parts;
    this.#fitted = fitting(columns);
  }

  /** Looks at the tables of all parts, of which there is one at least. Throws `PARTS_DIFFER` for other columns, `DATA_*`. */
  static async open(parts: readonly Part[]): Promise<PartsTable> {
    let whole: Map<string, Column> | undefined;
    let indexName = "_index";
    for (const part of parts) {
      using file = await openPart(part.path);
      const frame = await tableOf(file, part);
      const own = await frame.types();
      if (whole === undefined) {
        whole = own;
        indexName = frame.indexName;
        continue;
      }
      const names = [whole, own].map((columns) => [...columns.keys()].sort().join("\n"));
      if (names[0] !== names[1])
        throw differ(part.path, parts[0]?.path ?? "", "their tables of cells have different columns");
      for (const [name, column] of whole) {
        const other = own.get(name);
        if (other !== undefined) whole.set(name, joinColumn(column, other));
      }
    }
    return new PartsTable(parts, indexName, whole ?? new Map());
  }

  async rows(first: number, end: number): Promise<FrameRows> {
    const pieces: FrameRows[] = [];
    for (let row = first; row < end; ) {
      const { place, frame } = await this.#tableAt(row);
      const record = this.#parts[place]?.record;
      const stop = Math.min(end, record?.end ?? end);
      const rows = rowRange(row - (record?.first ?? 0), stop - (record?.first ?? 0));
      const columns = await frame.read([...this.columns.keys()], rows);
      pieces.push(this.#fitted({ index: await frame.ids(rows), columns }));
      row = stop;
    }
    return stackRows(pieces);
  }

  /** Closes the part that is open. */
  [Symbol.dispose](): void {
    this.#open?.file[Symbol.dispose]();
    this.#open = undefined;
  }

  /** The table that a row is in, which stays open until another is needed. */
  async #tableAt(row: number): Promise<OpenTable> {
    const place = this.#parts.findIndex(({ record }) => row < record.end);
    const part = this.#parts[place];
    if (this.#open?.place === place) return this.#open;
    this[Symbol.dispose]();
    if (part === undefined) throw new RangeError(`there is no row ${row}`);
    const file = await openPart(part.path);
    this.#open = { place, file, frame: await tableOf(file, part) };
    return this.#open;
  }
}

function tableOf(file: Hierarchy, { record }: Part): Promise<StoredFrame> {
  return StoredFrame.open(file, "/obs", record.end - record.first, []);
}

/** The error for parts of different work. */
export function differ(path: string, other: string, why: string): DdscError {
  const text = `${path} and ${other} are no parts of one whole: ${why}; name the parts of one output`;
  return new DdscError("PARTS_DIFFER", text, { file: path });
}
