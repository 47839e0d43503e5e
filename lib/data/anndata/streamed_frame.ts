import type { HierarchyWriter, StreamedArray, StreamedTexts } from "../hierarchy_writer.js";
import type { NumberArray } from "../sources/number_array.js";
import { ARRAY, STRINGS } from "./encodings.js";
import { checkColumnName, shapeError } from "./write_checks.js";
import { CATEGORICAL, frameAttributes } from "./write_frame.js";

/** A column of a streamed table. */
export type StreamedColumn =
  | { readonly kind: "numbers"; readonly type: "int32" | "float32" | "float64" }
  | {
      /** Codes into categories that are known from the beginning; -1 where there is no value. */
      readonly kind: "categories";
      readonly categories: readonly string[];
      readonly ordered?: boolean;
    };

/** Some rows of a streamed table. */
export interface FrameRows {
  /** Names of the rows. */
  readonly index: readonly string[];
  /** Values of each column by its name, codes of categories; as typed in the table. */
  readonly columns?: Readonly<Record<string, NumberArray>>;
}

/** A table of cells whose rows are made while they are written, so that no more than a few are in memory. */
export interface StreamedFrame {
  /** Number of rows. */
  readonly length: number;
  /** Name of the index column; "_index" if it has none. */
  readonly indexName: string;
  readonly columns: ReadonlyMap<string, StreamedColumn>;
  /** Rows from `first` up to `end`: asked for in order, each once, when the rows of the matrices have been given for these cells. */
  rows(first: number, end: number): FrameRows | Promise<FrameRows>;
}

/** Whether a table of cells is streamed. */
export function isStreamedFrame(obs: object): obs is StreamedFrame {
  return "rows" in obs;
}

/** Rows asked for at a time. */
const ROWS_AT_ONCE = 1 << 16;

/** A table of cells that is being written. */
export class FrameStream {
  readonly #file: string;
  readonly #frame: StreamedFrame;
  readonly #index: StreamedTexts;
  readonly #columns: ReadonlyMap<string, StreamedArray>;
  #written = 0;

  private constructor(
    file: string,
    frame: StreamedFrame,
    index: StreamedTexts,
    columns: ReadonlyMap<string, StreamedArray>,
  ) {
    this.#file = file;
    this.#frame = frame;
    this.#index = index;
    this.#columns = columns;
  }

  /** Begins the table at `path`; `file` is for messages. Throws `ARGUMENT_NAME`. */
  static async open(
    writer: HierarchyWriter,
    file: string,
    path: string,
    frame: StreamedFrame,
  ): Promise<FrameStream> {
    for (const name of frame.columns.keys()) checkColumnName(file, "obs", name, frame);
    const attributes = frameAttributes(frame);
    await writer.group(path, attributes);
    const shape = [frame.length];
    const columns = new Map<string, StreamedArray>();
    for (const [name, column] of frame.columns) {
      if (column.kind === "numbers") {
        columns.set(name, writer.streamDataset(`${path}/${name}`, column.type, shape, ARRAY));
        continue;
      }
      const { categories, ordered = false } = column;
      await writer.group(`${path}/${name}`, { ...CATEGORICAL, ordered });
      await writer.dataset(`${path}/${name}/categories`, "string", [categories.length], categories, STRINGS);
      const type = codesType(categories.length);
      columns.set(name, writer.streamDataset(`${path}/${name}/codes`, type, shape, ARRAY));
    }
    const index = writer.streamTexts(`${path}/${attributes._index}`, frame.length, STRINGS);
    return new FrameStream(file, frame, index, columns);
  }

  /** Writes the rows up to `end`. Throws `DATA_SHAPE`, and what the table throws. */
  async upTo(end: number): Promise<void> {
    while (this.#written < end) {
      const first = this.#written;
      const last = Math.min(end, first + ROWS_AT_ONCE);
      await this.#append(await this.#frame.rows(first, last), last - first);
      this.#written = last;
    }
  }

  async finish(): Promise<void> {
    await this.upTo(this.#frame.length);
    await this.#index.finish();
    for (const column of this.#columns.values()) await column.finish();
  }

  async #append({ index, columns = {} }: FrameRows, count: number): Promise<void> {
    if (index.length !== count)
      throw shapeError(this.#file, `obs has ${index.length} names for ${count} cells`);
    await this.#index.append(index);
    for (const [name, stream] of this.#columns) {
      const values = columns[name];
      const column = this.#frame.columns.get(name);
      if (column === undefined || values?.length !== count) {
        const what = `obs column "${name}" has ${values?.length ?? 0} values for ${count} cells`;
        throw shapeError(this.#file, what);
      }
      await stream.append(asTyped(values, column));
    }
  }
}

const TYPES = {
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array,
};

/** Values in the type that they are written in. */
function asTyped(values: NumberArray, column: StreamedColumn): NumberArray {
  const type = TYPES[column.kind === "numbers" ? column.type : codesType(column.categories.length)];
  return values instanceof type ? values : type.from(values as Float64Array);
}

/** pandas' choice: the narrowest signed type that holds every code. */
function codesType(categories: number): "int8" | "int16" | "int32" {
  if (categories <= 0x7f) return "int8";
  return categories <= 0x7fff ? "int16" : "int32";
}
