import { setImmediate } from "node:timers/promises";
import { checkKind, checkOptions } from "../base/arguments.js";
import { checkNumber, checkWhole } from "../base/errors.js";
import { readsAhead } from "../base/reads_ahead.js";
import { takeTurn } from "../base/turns.js";
import { type CellSelection, CellSelector } from "../data/select/selection.js";
import type { CellBlock } from "../data/sources/cells.js";
import { type RowSpan, rowSpans } from "../data/sources/parts.js";
import type { CellSource } from "../data/sources/source.js";
import type { CellTokenizer } from "../tokenizer/cell_tokenizer.js";
import type { TokenizedCells } from "../tokenizer/tokenized_cells.js";

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
  checkKind("source", source, "cells");
  checkKind("tokenizer", tokenizer, "tokenizer");
  checkKind("rows", rows, "rows");
  checkNumber("epoch", epoch, EPOCHS);
  const block = await source.read(rows);
  await takeTurn();
  const mapping = tokenizer.map(source);
  await takeTurn();
  return tokenizer.tokenize(block, mapping, epoch);
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
  checkKind("rows", rows, "rows");
  const { epoch, cells, signal } = checkStream(source, tokenizer, options);
  const mapping = tokenizer.map(source);
  for (let start = 0; start < rows.length; start += cells) {
    await setImmediate();
    signal?.throwIfAborted();
    const block = await source.read(rows.subarray(start, start + cells), signal);
    await takeTurn(signal);
    yield tokenizer.tokenize(block, mapping, epoch);
  }
}

/** Options of `streamCells`. */
export interface StreamCellsOptions extends StreamRowsOptions {
  /** Which cells; default all. */
  readonly selection?: CellSelection;
  /** Told how many rows of the source have been looked at. */
  readonly onProgress?: (rows: number) => void;
}

/** Rows read at a time, whole parts where they are not larger. */
const SPAN_CELLS = 1024;

/**
 * Tokens of the selected cells of a source in the order of their rows, at most `cells` of them at a time: a part is read once
 * and held as long as its cells are given out, while the next one is read; nothing else is kept. Parts in which every cell was skipped are given too.
 * Throws as `CellSelector.create`.
 */
export async function* streamCells(
  source: CellSource,
  tokenizer: CellTokenizer,
  options: StreamCellsOptions = {},
): AsyncGenerator<TokenizedCells, void, undefined> {
  const { epoch, cells, signal } = checkStream(source, tokenizer, options);
  checkOptions(options, { selection: "object", onProgress: "function" });
  const { selection, onProgress } = options;
  const mapping = tokenizer.map(source);
  for await (const block of streamBlocks(source, { cells, signal, selection, onProgress })) {
    await takeTurn(signal);
    yield tokenizer.tokenize(block, mapping, epoch);
  }
}

/** The cells of a selection as they are stored, at most `cells` of them at a time: see `streamCells`. Throws as `CellSelector.create`. */
export async function* streamBlocks(
  source: CellSource,
  options: {
    readonly cells: number;
    readonly selection?: CellSelection | undefined;
    readonly signal?: AbortSignal | undefined;
    readonly onProgress?: ((rows: number) => void) | undefined;
  },
): AsyncGenerator<CellBlock, void, undefined> {
  const { cells, selection = {}, signal, onProgress } = options;
  const selector = await CellSelector.create(source, selection);
  const read = async (span: RowSpan) => {
    await setImmediate();
    signal?.throwIfAborted();
    const rows = await selector.rows(span);
    return { end: span.end, block: rows.length === 0 ? undefined : await source.read(rows, signal) };
  };
  for await (const { end, block } of readsAhead(rowSpans(source.partBounds, SPAN_CELLS), read)) {
    const count = block?.rows.length ?? 0;
    for (let first = 0; block !== undefined && first < count; first += cells) {
      signal?.throwIfAborted();
      yield cellsOf(block, first, Math.min(first + cells, count));
    }
    onProgress?.(end);
  }
}

const EPOCHS = { min: 0, max: 2 ** 44 - 1, integer: true };

/** The options of both streams with defaults filled in. Throws `ARGUMENT_TYPE`, `ARGUMENT_RANGE`. */
function checkStream(source: CellSource, tokenizer: CellTokenizer, options: StreamRowsOptions) {
  checkKind("source", source, "cells");
  checkKind("tokenizer", tokenizer, "tokenizer");
  checkOptions(options, { signal: "signal" });
  return {
    epoch: checkNumber("epoch", options.epoch ?? 0, EPOCHS),
    cells: checkWhole("cells", options.cells ?? 256, 1),
    signal: options.signal,
  };
}

/** Cells first .. end - 1 of a block. */
function cellsOf({ rows, offsets, columns, counts }: CellBlock, first: number, end: number): CellBlock {
  const start = offsets[first] ?? 0;
  return {
    rows: rows.subarray(first, end),
    offsets: offsets.subarray(first, end + 1).map((offset) => offset - start),
    columns: columns.subarray(start, offsets[end]),
    counts: counts.subarray(start, offsets[end]),
  };
}
