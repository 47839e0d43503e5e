/** One column of a row group. */
export interface ParquetColumnChunk {
  /** Parquet's number of the codec. */
  readonly codec: number;
  /** Values, missing ones and empty lists included. */
  readonly values: number;
  /** Where its pages begin. */
  readonly offset: number;
  /** Length of all pages with their headers, bytes. */
  readonly bytes: number;
}

/** Rows that lie together in the file. */
export interface ParquetRowGroup {
  readonly rows: number;
  /** One an entry of `ParquetFooter.leaves`. */
  readonly columns: readonly ParquetColumnChunk[];
}

/** Whole numbers, in as few bytes as hold the largest of them. */
function packed(numbers: readonly number[]): Uint8Array | Uint32Array | Float64Array {
  const largest = numbers.reduce((most, number) => Math.max(most, number), 0);
  // A damaged file may name a codec below 0.
  if (numbers.some((number) => number < 0)) return Float64Array.from(numbers);
  if (largest < 2 ** 8) return Uint8Array.from(numbers);
  return largest < 2 ** 32 ? Uint32Array.from(numbers) : Float64Array.from(numbers);
}

/** The row groups of a file, as numbers: thousands of files may be open, and as objects they take several times the memory. */
export class RowGroups {
  /** Rows of each, [groups]. */
  readonly rows: Float64Array;
  readonly #columns: number;
  /** The fields of chunks, [groups, columns] each. */
  readonly #codecs: ArrayLike<number>;
  readonly #values: ArrayLike<number>;
  readonly #offsets: ArrayLike<number>;
  readonly #bytes: ArrayLike<number>;

  /** Every group has `columns` columns. */
  constructor(groups: readonly ParquetRowGroup[], columns: number) {
    const chunks = groups.flatMap((group) => group.columns);
    this.rows = Float64Array.from(groups, ({ rows }) => rows);
    this.#columns = columns;
    this.#codecs = packed(chunks.map(({ codec }) => codec));
    this.#values = packed(chunks.map(({ values }) => values));
    this.#offsets = packed(chunks.map(({ offset }) => offset));
    this.#bytes = packed(chunks.map(({ bytes }) => bytes));
  }

  /** A column of a row group; undefined where there is none. */
  column(group: number, leaf: number): ParquetColumnChunk | undefined {
    if (leaf < 0 || leaf >= this.#columns) return undefined;
    const at = group * this.#columns + leaf;
    const codec = this.#codecs[at];
    const values = this.#values[at];
    const offset = this.#offsets[at];
    const bytes = this.#bytes[at];
    if (codec === undefined || values === undefined || offset === undefined || bytes === undefined)
      return undefined;
    return { codec, values, offset, bytes };
  }
}
