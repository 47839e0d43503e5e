import { decodeNumbers } from "../../native/data.js";
import { PartRowReader } from "../sources/part_rows.js";
import type { GroupParts, GroupRows } from "../sources/parts.js";
import { WideRows } from "../tables/wide_rows.js";
import type { ColumnRows, ParquetFile } from "./file.js";

/** Neighbouring columns are read from the file at once up to so many bytes. */
const SPAN_BYTES = 1 << 23;
/** Columns decoded at the same time. */
const AT_ONCE = 64;

/** Reads cells of a table with a column a gene, as compressed rows: zeros are dropped as they are decoded. */
export function wideReader(file: ParquetFile, parts: GroupParts, genes: readonly number[]): PartRowReader {
  return new PartRowReader(parts.bounds, async (part, signal) => {
    const rows = parts.groups[part] ?? { group: 0, first: 0, count: 0 };
    const columns = new WideRows(rows.count);
    for (const span of spans(file, rows.group, genes)) {
      const read = await readSpan(file, rows, span, signal);
      for (let start = 0; start < read.length; start += AT_ONCE) {
        const decoded = await Promise.all(
          read
            .slice(start, start + AT_ONCE)
            .map(({ column, rows: wanted }) => file.native(decodeNumbers(column, wanted, "float32"))),
        );
        for (const { values } of decoded) columns.add(values);
      }
      signal?.throwIfAborted();
    }
    return columns.rows();
  });
}

/** Runs of leaves whose bytes follow each other. */
function* spans(
  file: ParquetFile,
  group: number,
  leaves: readonly number[],
): Generator<number[], void, undefined> {
  let span: number[] = [];
  let start = 0;
  let end = -1;
  for (const leaf of leaves) {
    const { offset = 0, bytes = 0 } = file.footer.rowGroups.column(group, leaf) ?? {};
    if (span.length > 0 && (offset !== end || offset + bytes - start > SPAN_BYTES)) {
      yield span;
      span = [];
    }
    if (span.length === 0) start = offset;
    span.push(leaf);
    end = offset + bytes;
  }
  if (span.length > 0) yield span;
}

async function readSpan(
  file: ParquetFile,
  rows: GroupRows,
  leaves: readonly number[],
  signal: AbortSignal | undefined,
): Promise<ColumnRows[]> {
  if (leaves.length === 1) return [await file.readColumn(leaves[0] ?? 0, rows, signal)];
  const chunks = leaves.map(
    (leaf) => file.footer.rowGroups.column(rows.group, leaf) ?? { offset: 0, bytes: 0 },
  );
  const start = chunks[0]?.offset ?? 0;
  const last = chunks.at(-1);
  const bytes = await file.readBytes(start, (last?.offset ?? 0) + (last?.bytes ?? 0) - start, signal);
  return Promise.all(
    leaves.map((leaf, i) => {
      const from = (chunks[i]?.offset ?? 0) - start;
      return file.wholeColumn(leaf, rows, bytes.subarray(from, from + (chunks[i]?.bytes ?? 0)));
    }),
  );
}
