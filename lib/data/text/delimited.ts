import { DdscError } from "../../base/errors.js";
import { textPieces } from "../io/gzip_pieces.js";
import type { OpenOptions } from "../sources/cells.js";
import { openCompactCells } from "../sources/compact_source.js";
import type { FileSource } from "../sources/file_source.js";
import { findLayout, PROBED_RECORDS } from "../tables/table_layout.js";
import { forEachRecord } from "./delimited_records.js";
import { ownText } from "./delimited_rows.js";
import { type DelimitedTable, readTable } from "./delimited_table.js";
import { findDelimiter } from "./delimiter.js";

/** Fields looked at to tell what columns hold, but for those of one line. */
const MOST_PROBED = 1 << 20;

/**
 * Opens a table of text, cells by genes or genes by cells (`options.transpose`, or told by the names), and reads it once: see
 * `CompactRowsWriter` for where it is kept. Columns that are no numbers, those commonly used to describe cells and
 * `options.metadataColumns` are metadata.
 *
 * Throws `DATA_FORMAT`, `DATA_SHAPE` and `DATA_MISSING_COLUMN` as `findLayout` does, and what `readTable` throws.
 */
export async function openDelimited(path: string, options: OpenOptions = {}): Promise<FileSource> {
  return openCompactCells(await readTable(await probe(path, options), options));
}

/** Reads the header and the first lines. */
async function probe(path: string, options: OpenOptions): Promise<DelimitedTable> {
  const delimiter = await delimiterOf(path);
  let header: string[] | undefined;
  const records: string[][] = [];
  await forEachRecord(path, delimiter, ({ fields }) => {
    if (header === undefined) header = fields.map(ownText);
    else records.push(fields);
    return records.length < PROBED_RECORDS && records.length * fields.length <= MOST_PROBED;
  });
  return { path, delimiter, layout: findLayout(path, header ?? [], records, options) };
}

/** The delimiter, told from the first piece of the file. */
async function delimiterOf(path: string): Promise<string> {
  for await (const piece of textPieces(path)) {
    const delimiter = findDelimiter(piece.toString("latin1").replace(/^[\r\n]+/, ""));
    if (delimiter !== undefined) return delimiter;
    break;
  }
  const wanted = "there is no comma, tab, semicolon or bar in the first line";
  throw new DdscError("DATA_FORMAT", `${path}: is no table: ${wanted}`, { file: path });
}
