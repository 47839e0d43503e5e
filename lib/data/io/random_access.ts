import { DdscError } from "../../base/errors.js";

/** What tells a file from what it becomes when it is changed. */
export interface FileIdentity {
  readonly size: number;
  /** Of an address, where the server says it. */
  readonly etag: string | null;
  /** When it was changed last; null where the server does not say it. */
  readonly modified: string | null;
}

/** Bytes that can be read anywhere: a local file, or one behind an http(s) address. */
export interface RandomAccess {
  /** Path or address as the user named it. */
  readonly name: string;
  /** Whether reading costs a round trip over a network. */
  readonly remote: boolean;
  /** What a reader should know of where the bytes come from. */
  readonly notes?: readonly string[];
  /** Has what is to be known of later reads told to `tell`. */
  onNote?(tell: (note: string) => void): void;
  /** Length in bytes; found when opened, and checked to stay so. */
  readonly size: number;
  /** As it was when it was opened. */
  readonly identity: FileIdentity;
  /**
   * Exactly `length` bytes from `offset` on, in memory that is the caller's. Throws `DATA_CORRUPT` for a range that is not within the file (the file's own
   * numbers contradict its length), `DATA_TRUNCATED`, `DATA_UNREADABLE`, and for addresses the errors of `HttpFile`.
   */
  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>;
  /** Closes it; later reads end in `DATA_CLOSED`. */
  close(): void;
}

/** Throws `DATA_CORRUPT` unless the range lies within a file of this size. */
export function checkRange(name: string, size: number, offset: number, length: number): void {
  const good = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (good && offset + length <= size) return;
  throw corrupt(name, `refers to ${length} bytes at ${offset}, but has ${size}: it is damaged or cut short`);
}

/** `DATA_CORRUPT` for a file that contradicts itself or its format: what is wrong, and that it is to be had again. */
export function corrupt(file: string, what: string, cause?: unknown): DdscError {
  return new DdscError("DATA_CORRUPT", `${file}: ${what}; fetch or write it again`, { file }, { cause });
}

/** The error for a file that was closed. */
export function closedError(name: string): DdscError {
  return new DdscError("DATA_CLOSED", `${name}: has been closed`, { file: name });
}
