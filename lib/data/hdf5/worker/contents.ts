import type { Metadata } from "h5wasm";
import { DdscError } from "../../../base/errors.js";
import type { NodeKind } from "../../hierarchy.js";
import type { NumberArray } from "../../sources/number_array.js";
import type { RowSpan } from "../../sources/parts.js";
import type { Dataset, FileCalls } from "../messages.js";
import { type Fill, Hdf5Handle } from "./handle.js";
import { CLASS, describeType, elementKind, numberArray } from "./types.js";

/** Numbers are fetched in pieces, for which the library's memory has to have room: of so many bytes, and up to so many where a chunk has more. */
const USUAL_BYTES = 1 << 22;
const MOST_BYTES = 1 << 25;

/** What an open file holds. */
export class Hdf5Contents implements FileCalls {
  readonly #handle: Hdf5Handle;
  readonly #metadata = new Map<string, Metadata>();

  private constructor(handle: Hdf5Handle) {
    this.#handle = handle;
  }

  /** Opens `path`. Throws what `Hdf5Handle.open` does. */
  static async open(path: string): Promise<Hdf5Contents> {
    return new Hdf5Contents(await Hdf5Handle.open(path));
  }

  kind(path: string): NodeKind {
    return this.#handle.call(path, (module) => {
      const type = module.get_type(this.#handle.id, path);
      if (type === module.H5G_GROUP) return "group";
      if (type === module.H5G_DATASET) return "array";
      return type === -1 ? "missing" : "other";
    });
  }

  members(path: string): string[] {
    return this.#handle.call(path, (module) => module.get_names(this.#handle.id, path, false));
  }

  attribute(
    path: string,
    name: string,
  ): string | number | boolean | readonly string[] | readonly number[] | undefined {
    const handle = this.#handle;
    const names = handle.call(path, (module) => module.get_attribute_names(handle.id, path));
    if (!names.includes(name)) return undefined;
    const place = `${path} attribute ${name}`;
    const metadata = handle.call(place, (module) => module.get_attribute_metadata(handle.id, path, name));
    const { shape } = metadata;
    if (shape === null) return undefined;
    const count = shape.reduce((product, extent) => product * extent, 1);
    const bytes = count * metadata.size;
    handle.checkClaim(place, bytes);
    const fill: Fill = (module, pointer) => module.get_attribute_data(handle.id, path, name, pointer);
    if (metadata.type === CLASS.reference) {
      const reference = handle.bytes(place, bytes, fill);
      return handle.call(place, (module) => module.get_referenced_name(handle.id, reference, true));
    }
    if (metadata.type === CLASS.string) {
      const strings = handle.strings(place, metadata, count, fill, (module, pointer) =>
        module.reclaim_vlen_memory(handle.id, path, name, pointer),
      );
      return shape.length === 0 ? strings[0] : strings;
    }
    const kind = elementKind(metadata);
    if (kind === "string" || kind === "other") return undefined;
    const values = numberArray(metadata, kind, handle.bytes(place, bytes, fill));
    if (values === undefined) return undefined;
    const numbers = Array.from(values as ArrayLike<number | bigint>, Number);
    if (shape.length > 0) return numbers;
    return kind === "boolean" ? numbers[0] === 1 : numbers[0];
  }

  dataset(path: string): Dataset {
    const metadata = this.#metadataOf(path);
    return {
      shape: metadata.shape,
      kind: elementKind(metadata),
      elementBytes: metadata.size,
      chunkShape: metadata.chunks ?? undefined,
    };
  }

  checkClaim(path: string): void {
    const { shape, size } = this.#metadataOf(path);
    this.#handle.checkClaim(
      path,
      (shape ?? []).reduce((product, extent) => product * extent, size),
    );
  }

  numbers(path: string, first: number, end: number, columns?: RowSpan): NumberArray {
    const metadata = this.#metadataOf(path);
    const { size, shape } = metadata;
    const [, ...rest] = this.#checkRange(path, shape, first, end);
    const start = rest.map(() => 0);
    if (columns !== undefined) {
      start[0] = columns.first;
      rest[0] = columns.end - columns.first;
    }
    const rowBytes = rest.reduce((product, extent) => product * extent, size);
    const bytes = (end - first) * rowBytes;
    this.#handle.checkClaim(path, bytes);
    const strides = [1n, ...rest.map(() => 1n)];
    const read = (row: number, rows: number): Uint8Array => {
      const extent = [rows, ...rest].map(BigInt);
      const place = [row, ...start].map(BigInt);
      return this.#handle.bytes(path, rows * rowBytes, (module, pointer) =>
        module.get_dataset_data(this.#handle.id, path, extent, place, strides, pointer),
      );
    };
    const rowsAtOnce = rowsOfPiece(rowBytes, metadata.chunks?.[0] ?? 1);
    let stop = Math.min(end, (Math.floor(first / rowsAtOnce) + 1) * rowsAtOnce);
    let result: Uint8Array;
    if (bytes > 0 && stop === end) result = read(first, end - first);
    else {
      result = new Uint8Array(bytes);
      for (let row = first; row < end && bytes > 0; ) {
        result.set(read(row, stop - row), (row - first) * rowBytes);
        row = stop;
        stop = Math.min(end, row + rowsAtOnce);
      }
    }
    const values = numberArray(metadata, elementKind(metadata), result);
    if (values !== undefined) return values;
    throw new DdscError(
      "DATA_TYPE",
      `${this.#handle.path}: ${path} holds ${describeType(metadata)}, not 8- to 64-bit numbers; convert it, e.g. to float32`,
      { file: this.#handle.path },
    );
  }

  strings(path: string, first: number, end: number): string[] {
    const metadata = this.#metadataOf(path);
    if (elementKind(metadata) !== "string")
      throw this.#handle.corrupt(path, `holds ${describeType(metadata)}, not strings`);
    this.#checkRange(path, metadata.shape, first, end);
    const count = end - first;
    if (count === 0) return [];
    this.#handle.checkClaim(path, count * metadata.size);
    const extent = [BigInt(count)];
    return this.#handle.strings(
      path,
      metadata,
      count,
      (module, pointer) =>
        module.get_dataset_data(this.#handle.id, path, extent, [BigInt(first)], [1n], pointer),
      (module, pointer) => module.reclaim_vlen_memory_count(this.#handle.id, path, "", pointer, extent),
    );
  }

  /** Closes the file, which is not to be used any more. */
  close(): void {
    this.#handle.close();
  }

  /** The shape, of which there are these rows. */
  #checkRange(path: string, shape: readonly number[] | null, first: number, end: number): readonly number[] {
    const rows = shape?.[0] ?? 0;
    if (shape !== null && first >= 0 && first <= end && end <= rows) return shape;
    throw this.#handle.corrupt(path, `has ${rows} rows, ${first} to ${end} were needed`);
  }

  #metadataOf(path: string): Metadata {
    const known = this.#metadata.get(path);
    if (known !== undefined) return known;
    const kind = this.kind(path);
    if (kind !== "array")
      throw this.#handle.corrupt(path, `is ${kind === "missing" ? "missing" : `a ${kind}`}, not a dataset`);
    const metadata = this.#handle.call(path, (module) => module.get_dataset_metadata(this.#handle.id, path));
    this.#metadata.set(path, metadata);
    return metadata;
  }
}

/** Rows of a piece: whole chunks, as each costs its decompression. */
function rowsOfPiece(rowBytes: number, chunkRows: number): number {
  const most = Math.max(1, Math.floor(MOST_BYTES / Math.max(1, rowBytes)));
  const usual = Math.floor(USUAL_BYTES / Math.max(1, rowBytes));
  return Math.min(most, Math.max(chunkRows, Math.floor(usual / chunkRows) * chunkRows));
}
