import type { CellSource } from "../data/source.js";
import { DdscError } from "../errors.js";
import type { CellTokenizer, GeneMapping } from "../tokenizer/cell_tokenizer.js";
import { addReport, emptyReport, type TokenizerReport } from "../tokenizer/report.js";
import type { RaggedBatch } from "./batch.js";
import { needsLengths, type PlanOptions, planEpoch } from "./plan.js";
import { CellWindow } from "./window.js";

/** A place in training data: the batch to come next. */
export interface BatchPosition {
  /** From 0. */
  readonly epoch: number;
  /** Number of the batch within the epoch, from 0. */
  readonly batch: number;
}

/** One batch of an epoch. */
export interface LoadedBatch {
  readonly batch: RaggedBatch;
  /** From 0. */
  readonly epoch: number;
  /** Number within the epoch's plan, from 0. Goes up by more than one where all cells of a batch were skipped. */
  readonly indexInEpoch: number;
  /**
   * What the tokenizer left out since the batch before. Cells are measured beforehand where the plan needs their
   * lengths: those that are skipped are then reported once, with the first batch, else in every epoch.
   */
  readonly report: TokenizerReport;
}

/** What `produceBatches` needs to know beside source and tokenizer. */
export interface ProducerOptions extends Required<PlanOptions> {
  /** Ascending row numbers of the cells to use. */
  readonly rows: Int32Array;
  /** Where to start. */
  readonly start: BatchPosition;
  /** Epochs in all, counted from epoch 0; `Infinity` for no end. */
  readonly epochs: number;
}

/**
 * Reads, shuffles and tokenizes: the batches of epoch after epoch from a starting place. Synchronous, in small
 * pieces: yields undefined where a piece of work is done and no batch is ready, so that the caller may let other
 * work run. Returns a report of what was left out after the last batch.
 *
 * Throws `DATA_NO_CELLS` where an epoch holds no usable cell.
 */
export async function* produceBatches(
  source: CellSource,
  tokenizer: CellTokenizer,
  options: ProducerOptions,
): AsyncGenerator<LoadedBatch | undefined, TokenizerReport, undefined> {
  const mapping = tokenizer.map(source);
  const windows = new WindowReader(source, options.rows, options.windowCells);
  const lengths = needsLengths(options)
    ? yield* measure(windows, tokenizer, mapping, options.rows)
    : undefined;
  let report = lengths?.skipped ?? emptyReport();
  for (let epoch = options.start.epoch; epoch < options.epochs; epoch++) {
    const firstBatch = epoch === options.start.epoch ? options.start.batch : 0;
    let usable = firstBatch > 0;
    for (const window of planEpoch(options.rows, lengths?.lengths, options, epoch)) {
      const batches = window.bounds.length - 1;
      if (window.firstBatch + batches <= firstBatch) continue;
      const cells = yield* windows.read(window.rows);
      for (let i = Math.max(0, firstBatch - window.firstBatch); i < batches; i++) {
        const rows = window.rows.subarray(window.bounds[i], window.bounds[i + 1]);
        const tokenized = tokenizer.tokenize(cells.pick(rows), mapping, epoch);
        addReport(report, tokenized.report);
        if (tokenized.report.cells === 0) continue;
        usable = true;
        yield { batch: tokenized.batch, epoch, indexInEpoch: window.firstBatch + i, report };
        report = emptyReport();
      }
    }
    if (!usable) throw noCells(source, options.rows.length, tokenizer.minGenes);
  }
  return report;
}

/** Tokens of every row, and the report of those that have none: they are in no plan. */
async function* measure(
  windows: WindowReader,
  tokenizer: CellTokenizer,
  mapping: GeneMapping,
  rows: Int32Array,
): AsyncGenerator<undefined, { lengths: Int32Array; skipped: TokenizerReport }, undefined> {
  const lengths = new Int32Array(rows.length);
  const skipped = emptyReport();
  let done = 0;
  for (const part of windows.parts()) {
    for (const slice of (yield* windows.read(part)).slices) {
      const measured = tokenizer.measure(slice, mapping);
      lengths.set(measured.lengths, done);
      addReport(skipped, measured.skipped);
      done += slice.rows.length;
      yield undefined;
    }
  }
  return { lengths, skipped };
}

/** Reads windows, keeping the last: small data is read once for all epochs. */
class WindowReader {
  readonly #source: CellSource;
  readonly #rows: Int32Array;
  readonly #windowCells: number;
  #window: CellWindow | undefined;

  constructor(source: CellSource, rows: Int32Array, windowCells: number) {
    this.#source = source;
    this.#rows = rows;
    this.#windowCells = windowCells;
  }

  /** All rows in runs of at most one window. */
  *parts(): Generator<Int32Array, void, undefined> {
    for (let start = 0; start < this.#rows.length; start += this.#windowCells) {
      yield this.#rows.subarray(start, start + this.#windowCells);
    }
  }

  async *read(rows: Int32Array): AsyncGenerator<undefined, CellWindow, undefined> {
    if (this.#window?.holds(rows)) return this.#window;
    this.#window = undefined;
    const wanted = this.#rows.length <= this.#windowCells ? this.#rows : rows;
    this.#window = yield* CellWindow.read(this.#source, wanted);
    return this.#window;
  }
}

function noCells(source: CellSource, rows: number, minGenes: number): DdscError {
  return new DdscError(
    "DATA_NO_CELLS",
    `${source.name}: none of the ${rows} cells has ${minGenes} or more expressed genes of the vocabulary; ` +
      "check the gene identifiers and minGenes",
    { file: source.name },
  );
}
