import { setImmediate } from "node:timers/promises";
import { readsAhead } from "../../base/reads_ahead.js";
import type { CellBlock } from "./cells.js";
import { type RowSpan, rowRange, rowSpans } from "./parts.js";
import type { CellSource } from "./source.js";

/** Rows read at a time, whole parts where they are not larger. */
const SPAN_CELLS = 1024;

/** All cells of a source in order, part by part, the next two being read meanwhile; ends with the signal's reason when aborted. */
export async function* readBlocks(
  source: CellSource,
  options: { readonly signal?: AbortSignal; readonly onProgress?: (rows: number) => void } = {},
): AsyncGenerator<CellBlock, void, undefined> {
  const { signal, onProgress } = options;
  const read = async ({ first, end }: RowSpan) => {
    await setImmediate();
    signal?.throwIfAborted();
    return { end, block: await source.read(rowRange(first, end), signal) };
  };
  for await (const { end, block } of readsAhead(rowSpans(source.partBounds, SPAN_CELLS), read)) {
    yield block;
    onProgress?.(end);
  }
}
