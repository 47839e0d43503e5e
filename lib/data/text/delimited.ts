import { DdscError } from "../../base/errors.js";
import { isGzip, textHead, textPieces } from "../io/gzip_pieces.js";
import type { OpenOptions } from "../sources/cells.js";
import { openCompactCells } from "../sources/compact_source.js";
import { FileSource, namesOnly } from "../sources/file_source.js";
import type { CellFormat } from "../sources/format.js";
import { fixedParts } from "../sources/parts.js";
import { type DelimitedLayout, findLayout, PROBED_RECORDS } from "../tables/table_layout.js";
import { namesFrame, readCellLines, readGeneLines } from "./delimited_compact.js";
import { fieldTexts, findDelimiter } from "./delimited_fields.js";
import { IndexedTable } from "./delimited_index.js";
import { textRecords } from "./delimited_records.js";

/** Fields looked at to tell what columns hold, but for those of one line. */
const MOST_PROBED = 1 << 20;

/** Tables of text: cells by genes or genes by cells, a header first, delimited by comma, tab, semicolon or bar; also gzipped. */
export const delimited: CellFormat = {
  name: "tables of text (CSV, TSV)",
  matches: (content) => content.kind === "file" && looksLikeTable(textHead(content.head)),
  isDoubtful: true,
  open: openDelimited,
};

/** Text with a delimiter in its first line that is not the start of another format. */
function looksLikeTable(head: Buffer): boolean {
  if (head.length === 0 || head.some((byte) => byte < 32 && byte !== 9 && byte !== 10 && byte !== 13))
    return false;
  const first = head.toString("latin1").trimStart()[0] ?? "";
  return !["{", "[", "<", "%"].includes(first) && findDelimiter(head) !== undefined;
}

/**
 * Opens a table of text. Cells by genes without compression are indexed and read by lines; gzipped tables, and those of
 * genes by cells (`options.transpose`, or told by the names), are read once: see `CompactRowsWriter` for where they are
 * kept. Columns that are no numbers, those commonly used to describe cells and `options.metadataColumns` are metadata.
 *
 * Throws `DATA_FORMAT`, `DATA_SHAPE` and `DATA_MISSING_COLUMN` as `findLayout` does, `DATA_SHAPE` and `DATA_TYPE` naming
 * line and column as they are read, `DATA_TOO_LARGE`, and what `textPieces` throws.
 */
export async function openDelimited(path: string, options: OpenOptions = {}): Promise<FileSource> {
  const { layout, delimiter } = await probe(path, options);
  const common = { path, options, remedy: "" };
  if (layout.lines === "cells" && !(await isGzip(path))) {
    const table = await IndexedTable.open(path, layout, delimiter);
    return FileSource.open({
      ...common,
      cellCount: table.cellCount,
      matrix: { read: (rows, signal) => table.counts(rows, signal) },
      cells: {
        ...namesOnly(table.names),
        columns: layout.described,
        indexName: layout.indexName,
        read: (columns, rows) => table.metadata(columns, rows),
      },
      genes: namesFrame(layout.counted),
      partBounds: fixedParts(table.cellCount),
      notes: layout.notes,
      close: () => table.close(),
    });
  }
  const read = layout.lines === "cells" ? readCellLines : readGeneLines;
  return openCompactCells(await read(path, options, layout, delimiter));
}

/** Reads the header and the first lines. */
async function probe(
  path: string,
  options: OpenOptions,
): Promise<{ layout: DelimitedLayout; delimiter: number }> {
  let delimiter: number | undefined;
  let header: string[] | undefined;
  const records: string[][] = [];
  for await (const { bytes } of textRecords(textPieces(path), path, true)) {
    if (bytes.length === 0) continue;
    delimiter ??= findDelimiter(bytes);
    if (delimiter === undefined) {
      const wanted = "there is no comma, tab, semicolon or bar in the first line";
      throw new DdscError("DATA_FORMAT", `${path}: is no table: ${wanted}`, { file: path });
    }
    const fields = fieldTexts(bytes, delimiter);
    if (header === undefined) header = fields;
    else if (records.push(fields) === PROBED_RECORDS || records.length * fields.length > MOST_PROBED) break;
  }
  return { layout: findLayout(path, header ?? [], records, options), delimiter: delimiter ?? 0 };
}
