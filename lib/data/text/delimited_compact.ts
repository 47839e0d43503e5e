import { DdscError } from "../../base/errors.js";
import { textPieces } from "../io/gzip_pieces.js";
import type { OpenOptions } from "../sources/cells.js";
import { CompactRowsWriter } from "../sources/compact_rows.js";
import type { CompactCells } from "../sources/compact_source.js";
import type { Column, Frame } from "../sources/frame.js";
import { PackedStrings } from "../sources/packed_strings.js";
import type { DelimitedLayout } from "../tables/table_layout.js";
import { type TextRecord, textRecords } from "./delimited_records.js";
import { ColumnBuilder, type CountSink, countSink, LineParser } from "./delimited_rows.js";

const MAX_EXTENT = 0x7fff_ffff;
/** Most lines of a table of genes. */
const MAX_GENES = 1 << 22;
/** Counts collected before they are added to the compact rows. */
const BATCH_COUNTS = 1 << 16;

/** A table of genes that holds nothing but names. */
export function namesFrame(names: readonly string[]): Frame {
  return { index: names, indexName: "_index", columns: new Map() };
}

/** What both kinds of tables have, and those without metadata. */
function tablesOf(path: string, options: OpenOptions, { notes }: DelimitedLayout) {
  const none = { metadataColumns: [], metadata: new Map<string, Column>() };
  return { path, options, indexName: "_index", firstName: 0, notes, ...none };
}

/** The lines of counts with their numbers, without the header and empty lines. */
async function* countLines(path: string): AsyncGenerator<TextRecord> {
  let header = true;
  for await (const record of textRecords(textPieces(path), path, true)) {
    if (record.bytes.length === 0) continue;
    if (!header) yield record;
    header = false;
  }
}

/** Reads a table of cells by genes. Throws what `LineParser.counts` and `textRecords` throw. */
export async function readCellLines(
  path: string,
  options: OpenOptions,
  layout: DelimitedLayout,
  delimiter: number,
): Promise<CompactCells> {
  const parser = new LineParser(path, layout, delimiter);
  const names = layout.named ? new PackedStrings() : undefined;
  const builders = layout.described.map(({ kind }) => new ColumnBuilder(kind));
  const fields = layout.described.map(({ field }) => field);
  const writer = new CompactRowsWriter();
  try {
    const batch = new BatchWriter(writer, layout);
    let cell = 0;
    for await (const { bytes, line } of countLines(path)) {
      if (cell === MAX_EXTENT) throw tooMany(path, "cells");
      const start = batch.sink.count;
      await parser.counts(bytes, batch.sink, () => line);
      await batch.added(start, cell++, "rows");
      if (names !== undefined) names.push(Buffer.from(parser.name(bytes)));
      if (fields.length === 0) continue;
      for (const [i, value] of parser.values(bytes, fields).entries()) builders[i]?.push(value);
    }
    await batch.flush();
    const metadata = new Map(
      layout.described.flatMap(({ name }, i) => {
        const column = builders[i]?.finish();
        return column === undefined ? [] : [[name, column] as const];
      }),
    );
    return {
      ...tablesOf(path, options, layout),
      names,
      indexName: layout.indexName,
      metadataColumns: layout.described.map(({ name, kind }) => ({ name, kind })),
      metadata,
      genes: namesFrame(layout.counted),
      rows: await writer.finish(cell),
    };
  } catch (error) {
    writer[Symbol.dispose]();
    throw error;
  }
}

/** Reads a table of genes by cells. Throws what `LineParser.counts` and `textRecords` throw. */
export async function readGeneLines(
  path: string,
  options: OpenOptions,
  layout: DelimitedLayout,
  delimiter: number,
): Promise<CompactCells> {
  if (!layout.named) {
    throw new DdscError(
      "DATA_FORMAT",
      `${path}: the lines are genes but have no names; add a first column of names`,
      {
        file: path,
      },
    );
  }
  const parser = new LineParser(path, layout, delimiter);
  const genes: string[] = [];
  const writer = new CompactRowsWriter();
  try {
    const batch = new BatchWriter(writer, layout);
    for await (const { bytes, line } of countLines(path)) {
      if (genes.length === MAX_GENES) throw tooMany(path, "genes");
      const start = batch.sink.count;
      await parser.counts(bytes, batch.sink, () => line);
      await batch.added(start, genes.length, "columns");
      genes.push(parser.name(bytes));
    }
    await batch.flush();
    const names = new PackedStrings();
    for (const name of layout.counted) names.push(Buffer.from(name));
    return {
      ...tablesOf(path, options, layout),
      names,
      genes: namesFrame(genes),
      rows: await writer.finish(layout.counted.length),
    };
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
  /** Number of the line of each count. */
  #lines: Int32Array;
  #linesAre: "rows" | "columns" = "rows";

  constructor(writer: CompactRowsWriter, layout: DelimitedLayout) {
    this.#writer = writer;
    this.sink = countSink(layout);
    this.#lines = new Int32Array(this.sink.columns.length);
  }

  /** Says that the sink's counts from `start` on are of line `line`, which is a row or a column of the matrix. */
  async added(start: number, line: number, linesAre: "rows" | "columns"): Promise<void> {
    if (this.#lines.length < this.sink.columns.length) {
      const longer = new Int32Array(this.sink.columns.length);
      longer.set(this.#lines);
      this.#lines = longer;
    }
    this.#lines.fill(line, start, this.sink.count);
    this.#linesAre = linesAre;
    if (this.sink.count >= BATCH_COUNTS) await this.flush();
  }

  /** Adds what is left. */
  async flush(): Promise<void> {
    const { columns, values, count } = this.sink;
    const byLine = this.#linesAre === "rows";
    const rows = byLine ? this.#lines : columns;
    await this.#writer.add({ rows, columns: byLine ? columns : this.#lines, values, count });
    this.sink.count = 0;
  }
}

function tooMany(path: string, what: string): DdscError {
  const text = `${path}: has more ${what} than can be numbered; is it the other way round? see --transpose`;
  return new DdscError("DATA_TOO_LARGE", text, { file: path });
}
