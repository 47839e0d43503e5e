import type { DdscError } from "../../base/errors.js";
import type { PostedError } from "../../base/posted_error.js";
import type { ElementKind, NodeKind } from "../hierarchy.js";
import type { NumberArray } from "../sources/number_array.js";
import type { RowSpan } from "../sources/parts.js";

/** What there is to know of a dataset before it is read. */
export interface Dataset {
  /** Null for HDF5's null dataspace. */
  readonly shape: readonly number[] | null;
  readonly kind: ElementKind;
  /** Bytes of an element in memory. */
  readonly elementBytes: number;
  readonly chunkShape: readonly number[] | undefined;
}

/** What is asked of an open file by path, as `Hierarchy` and `StoredArray` have it; failures are `DdscError`s naming file and object. */
export interface FileCalls {
  kind(path: string): NodeKind;
  members(path: string): string[];
  /** A reference to another object becomes that object's path. */
  attribute(path: string, name: string): unknown;
  dataset(path: string): Dataset;
  checkClaim(path: string): void;
  numbers(path: string, first: number, end: number, columns?: RowSpan): NumberArray;
  strings(path: string, first: number, end: number): string[];
}

/** An open file from the other side: calls of `FileCalls`, answered by the thread. */
export interface OpenFile {
  /** Throws `DATA_CLOSED` once the file is closed. */
  ask<Name extends keyof FileCalls>(
    name: Name,
    ...words: Parameters<FileCalls[Name]>
  ): Promise<ReturnType<FileCalls[Name]>>;
  /** Error `DATA_CORRUPT` about the object at `path`. */
  corrupt(path: string, what: string): DdscError;
}

/** Everything that the thread is asked. */
export interface ThreadCalls {
  /** Opens a file; the number that its calls name it by. */
  open(path: string): number;
  close(file: number): void;
  /** A call of `FileCalls`. */
  ask(file: number, name: keyof FileCalls, words: readonly unknown[]): unknown;
}

/** One of them; `id` is the reply's. */
export type Request = {
  [Name in keyof ThreadCalls]: {
    readonly id: number;
    readonly name: Name;
    readonly words: Parameters<ThreadCalls[Name]>;
  };
}[keyof ThreadCalls];

export type Reply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: PostedError };
