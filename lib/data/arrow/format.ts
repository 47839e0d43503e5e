import type { Content } from "../io/content.js";
import type { RandomAccess } from "../io/random_access.js";
import { openChecked } from "../io/random_access_open.js";
import type { OpenOptions } from "../sources/cells.js";
import type { FileSource } from "../sources/file_source.js";
import type { CellFormat } from "../sources/format.js";
import { isCompanion } from "../tahoe/layout.js";
import { FILE_MAGIC } from "./magic.js";

/** A stream begins with a mark and the length of its schema, a number below 2^24 that is a multiple of eight. */
const STREAM_MARK = Buffer.from([0xff, 0xff, 0xff, 0xff]);

/** Cells in Arrow IPC, file or stream: lists of gene tokens and expressions, or a column a gene. */
export const arrow: CellFormat = {
  name: "Arrow IPC",
  takes: ["metadataColumns", "geneTable"],
  matches: (content: Content) => content.kind === "file" && isArrow(content.head),
  open: async (path, options, check) => openArrow(await openChecked(path, check), options),
  opensAgain: true,
  isCompanion,
};

/** Whether a file that begins so is an Arrow file or stream. */
export function isArrow(head: Buffer): boolean {
  if (head.toString("latin1", 0, 6) === FILE_MAGIC) return true;
  return head.length >= 8 && head.subarray(0, 4).equals(STREAM_MARK) && head.readUInt32LE(4) < 2 ** 24;
}

/** As `openArrow` of arrow.ts, which is loaded at first use: the library takes a tenth of a second. */
export async function openArrow(file: RandomAccess, options: OpenOptions): Promise<FileSource> {
  const reader = await import("./arrow.js");
  return reader.openArrow(file, options);
}
