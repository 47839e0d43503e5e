import { setImmediate } from "node:timers/promises";
import type { CellBlock } from "./cells.js";
import { rowRange, rowSpans } from "./parts.js";
import type { CellSource } from "./source.js";

/** Rows read at a time, whole parts where they are not larger. */
const SPAN_CELLS = 1024;

/** All cells of a source in order, part by part; ends with the signal's reason when aborted. */
export async function* readBlocks(
  source: CellSource,
  options: { readonly signal?: AbortSignal; readonly onProgress?: (rows: number) => void } = {},
): AsyncGenerator<CellBlock, void, undefined> {
  const { signal, onProgress } = options;
  for (const { first, end } of rowSpans(source.partBounds, SPAN_CELLS)) {
    await setImmediate();
    signal?.throwIfAborted();
    yield await source.read(rowRange(first, end), signal);
    onProgress?.(end);
  }
}
