import type { Metadata } from "h5wasm";
import { DdscError } from "../../base/errors.js";
import type { ElementKind, StoredArray } from "../hierarchy.js";
import type { NumberArray } from "../sources/number_array.js";
import type { RowSpan } from "../sources/parts.js";
import type { Hdf5Handle } from "./handle.js";
import { describeType, elementKind, numberArray } from "./types.js";

/** Bytes read in one call where nothing asks for more at once: some milliseconds. */
const USUAL_BYTES = 1 << 18;
/** Strings are fetched this many at a time, numbers in pieces of this many bytes. */
const STRINGS_AT_ONCE = 1024;
const BYTES_AT_ONCE = 1 << 25;

/** A dataset of an HDF5 file. */
export class Hdf5Array implements StoredArray {
  readonly path: string;
  readonly shape: readonly number[];
  readonly kind: ElementKind;
  readonly elementBytes: number;
  readonly chunkShape: readonly number[] | undefined;
  readonly #handle: Hdf5Handle;
  readonly #metadata: Metadata;

  /** Throws `DATA_CORRUPT` if the shape that `metadata` tells is none. */
  constructor(handle: Hdf5Handle, path: string, metadata: Metadata) {
    const { shape, chunks } = metadata;
    if (shape === null || !shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0)) {
      throw handle.corrupt(path, "its shape cannot be read");
    }
    this.path = path;
    this.shape = shape;
    this.kind = elementKind(metadata);
    this.elementBytes = metadata.size;
    this.chunkShape = chunks ?? undefined;
    this.#handle = handle;
    this.#metadata = metadata;
  }

  async numbers(first: number, end: number, columns?: RowSpan): Promise<NumberArray> {
    const { path, elementBytes } = this;
    this.#checkRange(first, end);
    const [, ...rest] = this.shape;
    const start = rest.map(() => 0);
    if (columns !== undefined) {
      start[0] = columns.first;
      rest[0] = columns.end - columns.first;
    }
    const rowBytes = rest.reduce((product, extent) => product * extent, elementBytes);
    const bytes = (end - first) * rowBytes;
    this.#handle.checkClaim(path, bytes);
    const strides = this.shape.map(() => 1n);
    const read = (row: number, rows: number): Uint8Array => {
      const extent = [rows, ...rest].map(BigInt);
      const place = [row, ...start].map(BigInt);
      return this.#handle.bytes(path, rows * rowBytes, (module, pointer) =>
        module.get_dataset_data(this.#handle.id, path, extent, place, strides, pointer),
      );
    };
    const rowsAtOnce = this.#rowsAtOnce(rowBytes);
    const firstStop = Math.min(end, (Math.floor(first / rowsAtOnce) + 1) * rowsAtOnce);
    let result: Uint8Array;
    await this.#handle.takeTurn();
    if (bytes > 0 && end <= firstStop) result = read(first, end - first);
    else {
      result = new Uint8Array(bytes);
      for (let row = first, stop = firstStop; row < end && bytes > 0; ) {
        result.set(read(row, stop - row), (row - first) * rowBytes);
        row = stop;
        stop = Math.min(end, row + rowsAtOnce);
        await this.#handle.takeTurn();
      }
    }
    const values = numberArray(this.#metadata, this.kind, result);
    if (values !== undefined) return values;
    throw new DdscError(
      "DATA_TYPE",
      `${this.#handle.path}: ${path} holds ${describeType(this.#metadata)}, not 8- to 64-bit numbers; convert it, e.g. to float32`,
      { file: this.#handle.path },
    );
  }

  async strings(first: number, end: number): Promise<string[]> {
    const { path } = this;
    if (this.kind !== "string")
      throw this.#handle.corrupt(path, `holds ${describeType(this.#metadata)}, not strings`);
    this.#checkRange(first, end);
    this.#handle.checkClaim(path, (end - first) * this.elementBytes);
    const strings: string[] = [];
    for (let at = first; at < end; at += STRINGS_AT_ONCE) {
      await this.#handle.takeTurn();
      const count = Math.min(STRINGS_AT_ONCE, end - at);
      const extent = [BigInt(count)];
      const piece = this.#handle.strings(
        path,
        this.#metadata,
        count,
        (module, pointer) =>
          module.get_dataset_data(this.#handle.id, path, extent, [BigInt(at)], [1n], pointer),
        (module, pointer) => module.reclaim_vlen_memory_count(this.#handle.id, path, "", pointer, extent),
      );
      for (const text of piece) strings.push(text);
    }
    return strings;
  }

  /** Rows that are read in one call, which nothing interrupts: whole chunks, as each costs its decompression. */
  #rowsAtOnce(rowBytes: number): number {
    const most = Math.max(1, Math.floor(BYTES_AT_ONCE / Math.max(1, rowBytes)));
    const usual = Math.max(1, Math.floor(USUAL_BYTES / Math.max(1, rowBytes)));
    const chunk = this.chunkShape?.[0] ?? 1;
    return Math.min(most, Math.max(chunk, Math.floor(usual / chunk) * chunk));
  }

  async checkClaim(): Promise<void> {
    const bytes = this.shape.reduce((product, extent) => product * extent, this.elementBytes);
    this.#handle.checkClaim(this.path, bytes);
  }

  #checkRange(first: number, end: number): void {
    const rows = this.shape[0] ?? 0;
    if (first >= 0 && first <= end && end <= rows) return;
    throw this.#handle.corrupt(this.path, `has ${rows} rows, ${first} to ${end} were needed`);
  }
}
