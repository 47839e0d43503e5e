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

/** Numbers of a chunk. */
const FIELDS = 4;

/** The row groups of a file, as numbers: thousands of files may be open, and as objects they take several times the memory. */
export class RowGroups {
  /** Rows of each, [groups]. */
  readonly rows: Float64Array;
  readonly #columns: number;
  /** [groups, columns, fields]. */
  readonly #numbers: Float64Array;

  /** Every group has `columns` columns. */
  constructor(groups: readonly ParquetRowGroup[], columns: number) {
    this.rows = Float64Array.from(groups, ({ rows }) => rows);
    this.#columns = columns;
    this.#numbers = new Float64Array(groups.length * columns * FIELDS);
    let at = 0;
    for (const { columns: chunks } of groups) {
      for (const { codec, values, offset, bytes } of chunks) {
        this.#numbers.set([codec, values, offset, bytes], at);
        at += FIELDS;
      }
    }
  }

  /** A column of a row group; undefined where there is none. */
  column(group: number, leaf: number): ParquetColumnChunk | undefined {
    if (leaf < 0 || leaf >= this.#columns || group < 0 || group >= this.rows.length) return undefined;
    const at = (group * this.#columns + leaf) * FIELDS;
    const [codec = 0, values = 0, offset = 0, bytes = 0] = this.#numbers.subarray(at, at + FIELDS);
    return { codec, values, offset, bytes };
  }
}
