import { setImmediate } from "node:timers/promises";
import type { CellSource } from "../data/sources/source.js";
import type { CellTokenizer } from "../tokenizer/cell_tokenizer.js";
import { emptyReport, type TokenizerReport } from "../tokenizer/report.js";
import { type LoadedBatch, type ProducerOptions, produceBatches } from "./producer.js";

/** What a stream of batches gives: a batch, or, once, the end. */
export type StreamItem =
  | { readonly kind: "batch"; readonly loaded: LoadedBatch }
  | { readonly kind: "end"; readonly report: TokenizerReport };

/** Where a loader's batches are made. */
export interface BatchStream {
  /** The next item, undefined once closed; not called again before it settles, nor after the end. */
  next(): Promise<StreamItem | undefined>;
  /** Stops the work and frees what it holds; a `next` still open gives undefined. */
  close(): Promise<void>;
}

/** Makes batches on the calling thread, letting the event loop run between pieces of work. */
export class InlineStream implements BatchStream {
  readonly #items: ReturnType<typeof produceBatches>;
  #closed = false;

  /** @param ahead how many batches may be on their way when one is asked for */
  constructor(source: CellSource, tokenizer: CellTokenizer, options: ProducerOptions, ahead: number) {
    this.#items = produceBatches(source, tokenizer, options, () => ahead);
  }

  async next(): Promise<StreamItem | undefined> {
    await setImmediate();
    if (this.#closed) return undefined;
    const item = await this.#items.next();
    // Closed in the meantime.
    if (this.#closed) return undefined;
    return item.done === true ? { kind: "end", report: item.value } : { kind: "batch", loaded: item.value };
  }

  async close(): Promise<void> {
    this.#closed = true;
    // Ends at the next batch, which nobody waits for.
    void this.#items.return(emptyReport()).catch(() => undefined);
  }
}
