import type { HierarchyWriter, StreamedArray, StreamedTexts } from "../hierarchy_writer.js";
import { ROWS_AT_ONCE, type StreamedFrame, withoutMissingText } from "../sources/cell_frame.js";
import { type Column, columnLength, type FrameRows } from "../sources/frame.js";
import type { NumberArray } from "../sources/number_array.js";
import { STRINGS } from "./encodings.js";
import { checkColumnName, shapeError } from "./write_checks.js";
import {
  type ColumnArray,
  type ColumnLayout,
  frameAttributes,
  layoutOf,
  writeColumn,
} from "./write_frame.js";

/** Whether a table of cells is streamed. */
export function isStreamedFrame(obs: object): obs is StreamedFrame {
  return "rows" in obs;
}

/** A column that is being written. */
interface ColumnStream {
  readonly layout: ColumnLayout;
  readonly streams: readonly ArrayStream[];
}

interface ArrayStream {
  append(rows: Column): Promise<void>;
  finish(): Promise<void>;
}

/** A table of cells that is being written. */
export class FrameStream {
  readonly #writer: HierarchyWriter;
  readonly #file: string;
  readonly #frame: StreamedFrame;
  readonly #index: StreamedTexts;
  readonly #columns: ReadonlyMap<string, ColumnStream>;
  #written = 0;

  private constructor(
    writer: HierarchyWriter,
    file: string,
    frame: StreamedFrame,
    index: StreamedTexts,
    columns: ReadonlyMap<string, ColumnStream>,
  ) {
    this.#writer = writer;
    this.#file = file;
    this.#frame = frame;
    this.#index = index;
    this.#columns = columns;
  }

  /** Begins the table at `path`; `file` is for messages. Throws `ARGUMENT_NAME`, and what the table throws. */
  static async open(
    writer: HierarchyWriter,
    file: string,
    path: string,
    given: StreamedFrame,
  ): Promise<FrameStream> {
    for (const name of given.columns.keys()) checkColumnName(file, "obs", name, given);
    const frame = await withoutMissingText(given);
    const attributes = frameAttributes(frame);
    await writer.group(path, attributes);
    const columns = new Map<string, ColumnStream>();
    for (const [name, column] of frame.columns) {
      const layout = layoutOf(`${path}/${name}`, column);
      if (layout.group !== undefined) await writer.group(`${path}/${name}`, layout.group);
      const streams = layout.arrays.map((array) => openArray(writer, array, frame.length));
      columns.set(name, { layout, streams });
    }
    const index = writer.streamTexts(`${path}/${attributes._index}`, frame.length, STRINGS);
    return new FrameStream(writer, file, frame, index, columns);
  }

  /** Writes rows of those before `end`, all but some that others will join. Throws `DATA_SHAPE`, and what the table throws. */
  async upTo(end: number): Promise<void> {
    while (end - this.#written >= ROWS_AT_ONCE) await this.#write(ROWS_AT_ONCE);
  }

  async finish(): Promise<void> {
    const { length } = this.#frame;
    while (this.#written < length) await this.#write(Math.min(ROWS_AT_ONCE, length - this.#written));
    await this.#index.finish();
    for (const { streams, layout } of this.#columns.values()) {
      for (const stream of streams) await stream.finish();
      if (layout.categories !== undefined)
        await writeColumn(this.#writer, layout.categories.path, layout.categories.column);
    }
  }

  async #write(count: number): Promise<void> {
    const first = this.#written;
    const { index, columns } = await this.#frame.rows(first, first + count);
    if (index.length !== count)
      throw shapeError(this.#file, `obs has ${index.length} names for ${count} cells`);
    await this.#index.append(index);
    for (const [name, { streams }] of this.#columns) {
      const rows = this.#checked(name, columns, count);
      for (const stream of streams) await stream.append(rows);
    }
    this.#written += count;
  }

  /** Rows of a column, which are as the table says. */
  #checked(name: string, columns: FrameRows["columns"], count: number): Column {
    const rows = columns.get(name);
    const fail = (what: string) => shapeError(this.#file, `obs column "${name}" ${what}`);
    if (rows === undefined || columnLength(rows) !== count)
      throw fail(`has ${rows === undefined ? 0 : columnLength(rows)} values for ${count} cells`);
    const column = this.#frame.columns.get(name);
    if (column === undefined || !isOfType(rows, column)) throw fail("has rows of another type than its own");
    return rows;
  }
}

/** Whether rows are of the kind and type of a column, and have missing values only where it may have them. */
function isOfType(rows: Column, column: Column): boolean {
  if (rows.kind === "categories" || column.kind === "categories") return rows.kind === column.kind;
  if (column.missing === undefined && rows.missing?.includes(1) === true) return false;
  return rows.kind === column.kind && rows.values.constructor === column.values.constructor;
}

function openArray(
  writer: HierarchyWriter,
  { path, type, attributes, of }: ColumnArray,
  length: number,
): ArrayStream {
  if (type === "string") {
    const texts = writer.streamTexts(path, length, attributes);
    return { append: (rows) => texts.append(of(rows) as readonly string[]), finish: () => texts.finish() };
  }
  const numbers: StreamedArray = writer.streamDataset(path, type, [length], attributes);
  return { append: (rows) => numbers.append(of(rows) as NumberArray), finish: () => numbers.finish() };
}
