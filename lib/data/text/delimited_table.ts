import { DdscError } from "../../base/errors.js";
import type { OpenOptions } from "../sources/cells.js";
import { type CompactRows, CompactRowsWriter } from "../sources/compact_rows.js";
import type { CompactCells } from "../sources/compact_source.js";
import type { Frame } from "../sources/frame.js";
import { PackedStrings } from "../sources/packed_strings.js";
import type { DelimitedLayout } from "../tables/table_layout.js";
import { type DelimitedRecord, forEachRecord } from "./delimited_records.js";
import { ColumnBuilder, type CountSink, countSink, readCounts, readValues } from "./delimited_rows.js";
import { checkNameLength } from "./lines.js";

const MAX_CELLS = 0x7fff_ffff;
const MAX_GENES = 1 << 22;

/** A table of text whose columns are known. */
export interface DelimitedTable {
  readonly path: string;
  readonly delimiter: string;
  readonly layout: DelimitedLayout;
}

/**
 * Reads a table. Throws `DATA_FORMAT` for genes without names, `DATA_TOO_LARGE`, and what `readCounts` and `forEachRecord`
 * throw.
 */
export async function readTable(table: DelimitedTable, options: OpenOptions): Promise<CompactCells> {
  const { path, layout } = table;
  const { counted, notes } = layout;
  const common = { path, options, firstName: 0, notes };
  if (layout.lines === "genes") {
    if (!layout.named) {
      const text = `${path}: the lines are genes but have no names; add a first column of names`;
      throw new DdscError("DATA_FORMAT", text, { file: path });
    }
    const { rows, names } = await readLines(table, () => undefined);
    const cells = new PackedStrings();
    for (const name of counted) cells.push(Buffer.from(name));
    const genes = namesFrame(names.all());
    const none = { indexName: "_index", metadataColumns: [], metadata: new Map() };
    return { ...common, ...none, names: cells, genes, rows };
  }
  if (counted.length > MAX_GENES) throw tooMany(path, "genes");
  const builders = layout.described.map(({ kind }) => new ColumnBuilder(kind));
  const fields = layout.described.map(({ field }) => field);
  const { rows, names } = await readLines(table, (record) => {
    for (const [i, value] of readValues(record, fields).entries()) builders[i]?.push(value);
  });
  return {
    ...common,
    names: layout.named ? names : undefined,
    indexName: layout.indexName,
    metadataColumns: layout.described.map(({ name, kind }) => ({ name, kind })),
    metadata: new Map(builders.map((builder, i) => [layout.described[i]?.name ?? "", builder.finish()])),
    genes: namesFrame(counted),
    rows,
  };
}

/** A table of genes that holds nothing but names. */
function namesFrame(names: readonly string[]): Frame {
  return { index: names, indexName: "_index", columns: new Map() };
}

/** The counts of all lines after the header by cells, and the lines' first fields; `take` is given every line. */
async function readLines(
  { path, delimiter, layout }: DelimitedTable,
  take: (record: DelimitedRecord) => void,
): Promise<{ rows: CompactRows; names: PackedStrings }> {
  const most = layout.lines === "cells" ? MAX_CELLS : MAX_GENES;
  const names = new PackedStrings();
  const writer = new CompactRowsWriter();
  try {
    const batch = new BatchWriter(writer, layout);
    let isHeader = true;
    const takeLine = (record: DelimitedRecord): boolean => {
      if (!isHeader) {
        if (names.length === most) throw tooMany(path, layout.lines);
        const start = batch.sink.count;
        readCounts(path, layout, record, batch.sink);
        batch.number(start, names.length);
        const name = Buffer.from(record.fields[0] ?? "");
        checkNameLength(path, name.length);
        names.push(name);
        take(record);
      }
      isHeader = false;
      return true;
    };
    await forEachRecord(path, delimiter, takeLine, { afterPiece: () => batch.flush() });
    const rows = await writer.finish(layout.lines === "cells" ? names.length : layout.counted.length);
    return { rows, names };
  } catch (error) {
    writer[Symbol.dispose]();
    throw error;
  }
}

/** Adds the counts of lines to compact rows, many at a time. */
class BatchWriter {
  /** Counts of the lines that have not been added yet. */
  readonly sink: CountSink;
  readonly #writer: CompactRowsWriter;
  readonly #linesAre: DelimitedLayout["lines"];
  /** Number of the line of each count. */
  #lines: Int32Array;

  constructor(writer: CompactRowsWriter, layout: DelimitedLayout) {
    this.#writer = writer;
    this.#linesAre = layout.lines;
    this.sink = countSink(layout);
    this.#lines = new Int32Array(this.sink.columns.length);
  }

  /** Says that the sink's counts from `start` on are of line `line`. */
  number(start: number, line: number): void {
    if (this.#lines.length < this.sink.columns.length) {
      const longer = new Int32Array(this.sink.columns.length);
      longer.set(this.#lines);
      this.#lines = longer;
    }
    this.#lines.fill(line, start, this.sink.count);
  }

  /** Adds what there is. */
  async flush(): Promise<void> {
    const { columns, values, count } = this.sink;
    const lines = this.#lines;
    const places = this.#linesAre === "cells" ? { rows: lines, columns } : { rows: columns, columns: lines };
    await this.#writer.add({ ...places, values, count });
    this.sink.count = 0;
  }
}

function tooMany(path: string, what: string): DdscError {
  const text = `${path}: has more ${what} than can be numbered; is it the other way round? see --transpose`;
  return new DdscError("DATA_TOO_LARGE", text, { file: path });
}
