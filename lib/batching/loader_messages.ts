import type { PostedError } from "../base/posted_error.js";
import type { SourceDescriptor } from "../data/sources/descriptor.js";
import type { CellTokenizerJson } from "../tokenizer/cell_tokenizer.js";
import type { ProducerOptions } from "./producer.js";
import type { StreamItem } from "./stream.js";

/** What the loader's worker is started with. */
export interface LoaderSetup {
  readonly source: SourceDescriptor;
  readonly tokenizer: CellTokenizerJson;
  readonly options: ProducerOptions;
}

/**
 * Loader to worker: make so many more items (the worker makes none that was not asked for), or stop, after which the thread
 * ends by itself.
 */
export type LoaderRequest = { readonly items: number } | "stop";

/** Worker to loader. After an error or the end nothing follows. */
export type LoaderReply = StreamItem | { readonly kind: "error"; readonly error: PostedError };
