import { DdscError, type DdscErrorPlace } from "../base/errors.js";
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

/** An error in a form that crosses threads whole. */
export interface PostedError {
  /** Absent for an error that is no `DdscError`. */
  readonly code?: string;
  readonly message: string;
  readonly place: DdscErrorPlace;
  readonly stack?: string;
}

/** Takes an error apart for posting. */
export function packError(error: unknown): PostedError {
  if (!(error instanceof Error)) return { message: String(error), place: {} };
  const stack = error.stack === undefined ? {} : { stack: error.stack };
  if (!(error instanceof DdscError)) return { message: error.message, place: {}, ...stack };
  const message = error.message.slice(error.code.length + 2);
  return { code: error.code, message, place: error.place, ...stack };
}

/** The error again: the same code, message and place; `LOADER_FAILED` for one that had no code. The cause has the worker's stack. */
export function unpackError(posted: PostedError): DdscError {
  const cause = new Error(posted.message);
  if (posted.stack !== undefined) cause.stack = posted.stack;
  const message =
    posted.code === undefined ? `the loader's worker failed: ${posted.message}` : posted.message;
  return new DdscError(posted.code ?? "LOADER_FAILED", message, posted.place, { cause });
}
