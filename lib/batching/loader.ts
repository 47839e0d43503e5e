import { checkKind, checkOptions } from "../base/arguments.js";
import { checkNumber, checkWhole, DdscError } from "../base/errors.js";
import type { CellSelection } from "../data/select/selection.js";
import type { SourceDescriptor } from "../data/sources/descriptor.js";
import { type CellSource, handoverOf } from "../data/sources/source.js";
import type { CellTokenizer } from "../tokenizer/cell_tokenizer.js";
import { addReport, emptyReport, type TokenizerReport } from "../tokenizer/report.js";
import { checkPlanOptions, type PlanOptions } from "./plan.js";
import { type BatchPosition, FIRST_POSITION, type LoadedBatch, type ProducerOptions } from "./producer.js";
import { BATCHES_AHEAD } from "./read_ahead.js";
import { WHOLE } from "./share.js";
import { type BatchStream, InlineStream } from "./stream.js";
import { WorkerStream } from "./worker_stream.js";

/** Options of `BatchLoader`. */
export interface BatchLoaderOptions extends PlanOptions {
  /** Which cells to use; default all. */
  readonly selection?: CellSelection;
  /** Row numbers of the cells to use, each once, in any order; in place of `selection.rows`. */
  readonly rows?: Int32Array;
  /**
   * The rank whose cells of each batch are wanted, of so many that train together: neighbours of about as many stored counts. Each rank
   * gets as many batches, in the same order, some maybe empty. Default all cells.
   */
  readonly share?: { readonly rank: number; readonly world: number };
  /** What `countLaneCells` gave for these options: of other ranks' lanes nothing is read then. */
  readonly laneCells?: Int32Array | undefined;
  /** The batch to begin with; default the first of epoch 0. */
  readonly start?: BatchPosition;
  /** Epochs in all, counted from epoch 0; default without end. */
  readonly epochs?: number;
  /** Batches made ahead of the consumer; default 4. */
  readonly prefetch?: number;
  /**
   * Whether a worker thread reads and tokenizes; default true. Without, the calling thread does, in pieces between
   * which the event loop runs; so it does for a source that cannot be opened a second time (its `descriptor()`
   * throws `SOURCE_NOT_SHAREABLE`).
   */
  readonly worker?: boolean;
  /** Ends the iteration with the signal's reason. */
  readonly signal?: AbortSignal;
}

const OPTION_KINDS = {
  selection: "object",
  rows: "rows",
  share: "object",
  start: "object",
  worker: "switch",
  signal: "signal",
} as const;

/**
 * Training batches of a source, shuffled anew each epoch, made ahead of time off the event loop. The sequence of
 * batches is a function of source, tokenizer and options: a loader that starts at `position` of another goes on
 * with exactly the batches the other would have given.
 *
 * Begins to work at the first `next()`. `return()` (so leaving a `for await`), `close()`, `await using`, the signal
 * and any error stop it and free its memory. Errors of the worker arrive as they are, with code and place.
 */
export class BatchLoader implements AsyncIterableIterator<LoadedBatch, void, void>, AsyncDisposable {
  readonly #source: CellSource;
  readonly #tokenizer: CellTokenizer;
  readonly #options: ProducerOptions;
  readonly #prefetch: number;
  readonly #inWorker: boolean;
  readonly #signal: AbortSignal | undefined;
  readonly #report = emptyReport();
  #stream: BatchStream | undefined;
  #position: BatchPosition;
  #ended = false;
  /** Whether the signal ended the iteration and the consumer has not been told. */
  #aborted = false;
  readonly #onAbort = () => {
    this.#aborted = !this.#ended;
    void this.close();
  };
  #turn: Promise<unknown> = Promise.resolve();

  /**
   * Throws `ARGUMENT_TYPE`, `ARGUMENT_RANGE` for options out of range, rows outside the source or given twice, `DATA_NO_CELLS` for
   * no rows.
   */
  constructor(source: CellSource, tokenizer: CellTokenizer, options: BatchLoaderOptions) {
    checkKind("source", source, "cells");
    checkKind("tokenizer", tokenizer, "tokenizer");
    checkOptions(options, OPTION_KINDS);
    const { start = FIRST_POSITION, epochs = Number.POSITIVE_INFINITY } = options;
    const range = { min: 0, max: 2 ** 44 - 1, integer: true };
    const { rank, world } = options.share ?? WHOLE;
    checkWhole("share.world", world, 1, 2 ** 20);
    checkWhole("share.rank", rank, 0, world - 1);
    checkNumber("start.epoch", start.epoch, range);
    checkNumber("start.window", start.window, range);
    checkNumber("start.batch", start.batch, range);
    if (epochs !== Number.POSITIVE_INFINITY) checkNumber("epochs", epochs, range);
    this.#source = source;
    this.#tokenizer = tokenizer;
    this.#prefetch = checkWhole("prefetch", options.prefetch ?? BATCHES_AHEAD, 1, 1024);
    this.#inWorker = options.worker ?? true;
    this.#signal = options.signal;
    this.#position = start;
    const rows = checkRows(source, options.rows ?? options.selection?.rows);
    const selection = { ...options.selection, ...(rows === undefined ? {} : { rows }) };
    const plan = checkPlanOptions(options);
    if (plan.lanes > 1 && plan.lanes < world) {
      throw new DdscError(
        "ARGUMENT_RANGE",
        `expected at least ${world} for lanes but received ${plan.lanes}: of ${world} ranks each reads lanes of its own; use fewer ranks`,
        { argument: "lanes" },
      );
    }
    this.#options = {
      ...plan,
      selection,
      start,
      epochs,
      share: { rank, world },
      laneCells: options.laneCells,
    };
    if (this.#signal?.aborted === true) this.#onAbort();
    else this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Where a loader has to start to give the batches that this one has not given yet. */
  get position(): BatchPosition {
    return this.#position;
  }

  /** What the tokenizer left out so far. */
  get report(): Readonly<TokenizerReport> {
    return this.#report;
  }

  /** Itself: a loader is gone through once. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next batch. Calls may overlap; they are answered in order. */
  next(): Promise<IteratorResult<LoadedBatch, void>> {
    const result = this.#turn.then(() => this.#advance());
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /** Ends the loader; what leaving a `for await` calls. */
  async return(): Promise<IteratorResult<LoadedBatch, void>> {
    await this.close();
    return { done: true, value: undefined };
  }

  /** Stops the work; later calls of `next` give the end. */
  async close(): Promise<void> {
    this.#ended = true;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    const stream = this.#stream;
    this.#stream = undefined;
    await stream?.close();
  }

  /** As `close`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #advance(): Promise<IteratorResult<LoadedBatch, void>> {
    this.#throwIfAborted();
    if (this.#ended) return { done: true, value: undefined };
    try {
      this.#stream ??= this.#openStream();
      const item = await this.#stream.next();
      this.#throwIfAborted();
      if (item === undefined) return { done: true, value: undefined };
      if (item.kind === "end") {
        addReport(this.#report, item.report);
        return await this.return();
      }
      const { loaded } = item;
      this.#position = loaded.next;
      addReport(this.#report, loaded.report);
      return { done: false, value: loaded };
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Throws the signal's reason, once. */
  #throwIfAborted(): void {
    if (!this.#aborted) return;
    this.#aborted = false;
    throw this.#signal?.reason;
  }

  #openStream(): BatchStream {
    const descriptor = this.#inWorker ? describe(this.#source) : undefined;
    if (descriptor === undefined) {
      return new InlineStream(this.#source, this.#tokenizer, this.#options, this.#prefetch);
    }
    const setup = { source: descriptor, tokenizer: this.#tokenizer.toJSON(), options: this.#options };
    return new WorkerStream(setup, this.#prefetch);
  }
}

/** The recipe of a source; undefined where it cannot be opened a second time. */
function describe(source: CellSource): SourceDescriptor | undefined {
  try {
    return handoverOf(source);
  } catch (error) {
    if (error instanceof DdscError && error.code === "SOURCE_NOT_SHAREABLE") return undefined;
    throw error;
  }
}

/** The rows in ascending order, checked; undefined for all. */
function checkRows(source: CellSource, rows: Int32Array | undefined): Int32Array | undefined {
  const ascending = rows?.slice().sort();
  if ((ascending?.length ?? source.cellCount) === 0) {
    throw new DdscError("DATA_NO_CELLS", `${source.name}: there are no cells to load; choose some`, {
      file: source.name,
    });
  }
  ascending?.forEach((row, i) => {
    const problem =
      row < 0 || row >= source.cellCount
        ? `row ${row} is outside 0..${source.cellCount - 1}`
        : row === ascending[i - 1]
          ? `row ${row} is given twice`
          : undefined;
    if (problem !== undefined) {
      throw new DdscError(
        "ARGUMENT_RANGE",
        `${source.name}: ${problem}; pass each row of the source at most once`,
        {
          file: source.name,
          argument: "rows",
        },
      );
    }
  });
  return ascending;
}
