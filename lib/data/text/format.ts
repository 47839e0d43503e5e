import { textHead } from "../io/gzip_pieces.js";
import type { CellFormat } from "../sources/format.js";
import { findDelimiter } from "./delimiter.js";

/** Tables of text: cells by genes or genes by cells, a header first, delimited by comma, tab, semicolon or bar; also gzipped. */
export const delimited: CellFormat = {
  name: "tables of text (CSV, TSV)",
  takes: ["transpose", "metadataColumns"],
  matches: (content) => content.kind === "file" && looksLikeTable(textHead(content.head)),
  isDoubtful: true,
  // With the library that reads such text, which other formats do without.
  open: async (path, options) => (await import("./delimited.js")).openDelimited(path, options),
};

/** Text with a delimiter in its first line that is not the start of another format. */
function looksLikeTable(head: Buffer): boolean {
  if (head.length === 0 || head.some((byte) => byte < 32 && byte !== 9 && byte !== 10 && byte !== 13))
    return false;
  const text = head.toString("latin1");
  return !["{", "[", "<", "%"].includes(text.trimStart()[0] ?? "") && findDelimiter(text) !== undefined;
}
