import { setImmediate } from "node:timers/promises";
import type { CellSource } from "../data/source.js";
import type { CellTokenizer, TokenizedCells } from "../tokenizer/cell_tokenizer.js";

/**
 * Tokens of the named rows, in the order given (skipped cells left out: `batch.cells` says which remain), on the
 * calling thread. For a few cells; `streamRows` for many.
 * @param epoch names the sample of genes; default 0.
 */
export async function tokenizeRows(
  source: CellSource,
  tokenizer: CellTokenizer,
  rows: Int32Array,
  epoch = 0,
): Promise<TokenizedCells> {
  return tokenizer.tokenize(await source.read(rows), tokenizer.map(source), epoch);
}

/** Options of `streamRows`. */
export interface StreamRowsOptions {
  /** Names the sample of genes; default 0. */
  readonly epoch?: number;
  /** Rows read at a time; default 256. */
  readonly cells?: number;
  /** Ends the iteration with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * As `tokenizeRows`, a few rows at a time with the event loop running in between: the same cells in the same order
 * whatever `cells`. Parts in which every cell was skipped are given too, for their report.
 */
export async function* streamRows(
  source: CellSource,
  tokenizer: CellTokenizer,
  rows: Int32Array,
  options: StreamRowsOptions = {},
): AsyncGenerator<TokenizedCells, void, undefined> {
  const { epoch = 0, cells = 256, signal } = options;
  const mapping = tokenizer.map(source);
  for (let start = 0; start < rows.length; start += cells) {
    await setImmediate();
    signal?.throwIfAborted();
    const block = await source.read(rows.subarray(start, start + cells), signal);
    yield tokenizer.tokenize(block, mapping, epoch);
  }
}
