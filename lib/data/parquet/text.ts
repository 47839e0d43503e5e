import { decodeNumbers, decodeText, type NativeText } from "../../native/data.js";
import type { MetadataColumn } from "../sources/cells.js";
import type { CategoricalColumn, Column } from "../sources/frame.js";
import type { GroupRows } from "../sources/parts.js";
import type { ParquetFile } from "./file.js";
import type { ParquetLeaf } from "./footer.js";
import { NUMBER_TYPES, Physical } from "./format.js";

/** What a flat column holds for metadata; undefined where it is a list or of another type. */
export function columnKind(leaf: ParquetLeaf): MetadataColumn["kind"] | undefined {
  if (leaf.maxRepetition > 0 || leaf.path.length > 1) return undefined;
  if (leaf.text) return "text";
  if (leaf.physical === Physical.boolean) return "boolean";
  return NUMBER_TYPES.includes(leaf.physical) ? "number" : undefined;
}

/** Reads some rows of a flat column. Throws as `ParquetFile.readColumn` and native decoding do. */
export async function readFlatColumn(file: ParquetFile, leaf: number, rows: GroupRows): Promise<Column> {
  const shape = file.footer.leaves[leaf];
  const read = await file.readColumn(leaf, rows);
  if (shape?.text === true) return textColumn(await file.native(decodeText(read.column, read.rows)));
  const { values } = await file.native(decodeNumbers(read.column, read.rows, "float64"));
  const masked = Uint8Array.from(values, (value) => (Number.isNaN(value) ? 1 : 0));
  const missing = masked.includes(1) ? { missing: masked } : {};
  const filled =
    missing.missing === undefined ? values : values.map((value) => (Number.isNaN(value) ? 0 : value));
  return shape?.physical === Physical.boolean
    ? { kind: "booleans", values: Uint8Array.from(filled), ...missing }
    : { kind: "numbers", values: filled, ...missing };
}

function textColumn(text: NativeText): CategoricalColumn {
  const bytes = Buffer.from(text.bytes.buffer, text.bytes.byteOffset, text.bytes.byteLength);
  const values: string[] = [];
  for (let i = 0; i + 1 < text.offsets.length; i++)
    values.push(bytes.toString("utf8", text.offsets[i], text.offsets[i + 1]));
  return { kind: "categories", codes: text.codes, categories: { kind: "strings", values }, ordered: false };
}
