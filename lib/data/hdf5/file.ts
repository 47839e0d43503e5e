import { statSync } from "node:fs";
import type { Metadata } from "h5wasm";
import { DdscError } from "../../base/errors.js";
import { type H5Module, type Hdf5Library, innermostCause, loadHdf5 } from "./library.js";
import {
  CLASS,
  describeType,
  type ElementKind,
  elementKind,
  fixedStrings,
  type NumberArray,
  numberArray,
} from "./types.js";

/** What lies at a path of an HDF5 file. */
export type ObjectKind = "group" | "dataset" | "missing" | "other";

/** Shape and type of a dataset. */
export interface DatasetInfo {
  readonly path: string;
  readonly shape: readonly number[];
  readonly kind: ElementKind;
  /** Bytes of an element in memory. */
  readonly bytes: number;
  readonly signed: boolean;
  /** Rows of a chunk along the first dimension, if chunked. */
  readonly chunkRows: number | undefined;
}

/** Strings are fetched this many at a time, numbers in pieces of this many bytes. */
const STRINGS_AT_ONCE = 16_384;
const BYTES_AT_ONCE = 1 << 25;
/** Deflate cannot shrink data more than this; a dataset that claims more is not backed by the file. */
const MAX_COMPRESSION = 1032;
const SLACK_BYTES = 1 << 24;

/** An HDF5 file opened for reading; every failure is a `DdscError` naming file and object. */
export class Hdf5File implements Disposable {
  readonly path: string;
  readonly #library: Hdf5Library;
  readonly #id: bigint;
  readonly #fileBytes: number;
  readonly #metadata = new Map<string, Metadata>();
  #closed = false;

  private constructor(path: string, library: Hdf5Library, id: bigint, fileBytes: number) {
    this.path = path;
    this.#library = library;
    this.#id = id;
    this.#fileBytes = fileBytes;
  }

  /** Opens `path`. Throws `DATA_TRUNCATED` or `DATA_CORRUPT`. The file must exist and be readable. */
  static async open(path: string): Promise<Hdf5File> {
    const library = await loadHdf5();
    const { size } = statSync(path);
    library.memory.admit(size);
    library.takeDiagnostics();
    let id = -1n;
    try {
      id = library.module.open(path, library.module.H5F_ACC_RDONLY, false, -1, -1);
    } catch (error) {
      throw corrupt(path, "", String(error));
    }
    if (id >= 0n) return new Hdf5File(path, library, id, size);
    const diagnostics = library.takeDiagnostics();
    if (diagnostics.includes("truncated file")) {
      throw new DdscError(
        "DATA_TRUNCATED",
        `${path}: the file ends before its data does (an interrupted copy or download?); fetch it again`,
        { file: path },
      );
    }
    throw corrupt(path, "", innermostCause(diagnostics));
  }

  /** What lies at the absolute path `path`. */
  kind(path: string): ObjectKind {
    const type = this.#call(path, (module) => module.get_type(this.#id, path));
    if (type === this.#library.module.H5G_GROUP) return "group";
    if (type === this.#library.module.H5G_DATASET) return "dataset";
    return type === -1 ? "missing" : "other";
  }

  /** Names of the members of a group. */
  keys(path: string): string[] {
    return this.#call(path, (module) => module.get_names(this.#id, path, false));
  }

  /** Shape and type of a dataset; throws `DATA_CORRUPT` if there is no dataset at `path`. */
  info(path: string): DatasetInfo {
    const metadata = this.#datasetMetadata(path);
    const { shape, chunks } = metadata;
    if (shape === null || !shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0)) {
      throw this.corrupt(path, "its shape cannot be read");
    }
    return {
      path,
      shape,
      kind: elementKind(metadata),
      bytes: metadata.size,
      signed: metadata.signed,
      chunkRows: chunks?.[0],
    };
  }

  /** True if the dataset has no elements at all (HDF5's null dataspace), which AnnData writes for None. */
  isNull(path: string): boolean {
    return this.#datasetMetadata(path).shape === null;
  }

  /**
   * An attribute of a group or dataset: text, a number, a boolean, or a list; undefined if absent. A reference
   * to another object becomes that object's path.
   */
  attribute(
    path: string,
    name: string,
  ): string | number | boolean | readonly string[] | readonly number[] | undefined {
    const names = this.#call(path, (module) => module.get_attribute_names(this.#id, path));
    if (!names.includes(name)) return undefined;
    const place = `${path} attribute ${name}`;
    const metadata = this.#call(place, (module) => module.get_attribute_metadata(this.#id, path, name));
    const { shape } = metadata;
    if (shape === null) return undefined;
    const count = shape.reduce((product, extent) => product * extent, 1);
    this.#checkClaim(place, count * metadata.size);
    const read = (module: H5Module, pointer: bigint): number =>
      module.get_attribute_data(this.#id, path, name, pointer);
    if (metadata.type === CLASS.reference) {
      const bytes = this.#readBytes(place, count * metadata.size, read);
      return this.#call(place, (module) => module.get_referenced_name(this.#id, bytes, true));
    }
    if (metadata.type === CLASS.string) {
      const reclaim = (module: H5Module, pointer: bigint): number =>
        module.reclaim_vlen_memory(this.#id, path, name, pointer);
      const strings = this.#readStringPiece(place, metadata, count, read, reclaim);
      return shape.length === 0 ? strings[0] : strings;
    }
    const kind = elementKind(metadata);
    if (kind === "string" || kind === "other") return undefined;
    const values = numberArray(metadata, kind, this.#readBytes(place, count * metadata.size, read));
    if (values === undefined) return undefined;
    const numbers = Array.from(values as ArrayLike<number | bigint>, Number);
    if (shape.length > 0) return numbers;
    return kind === "boolean" ? numbers[0] === 1 : numbers[0];
  }

  /** `attribute` where it is text. */
  textAttribute(path: string, name: string): string | undefined {
    const value = this.attribute(path, name);
    return typeof value === "string" ? value : undefined;
  }

  /** `attribute` where it is a list of text. */
  listAttribute(path: string, name: string): readonly string[] | undefined {
    const value = this.attribute(path, name);
    if (!Array.isArray(value)) return undefined;
    return value.every((item) => typeof item === "string") ? value : undefined;
  }

  /**
   * Rows [start, start + count) of a dataset of numbers or booleans, row by row. The caller bounds `count`.
   * Throws `DATA_TYPE` where the elements are something else.
   */
  numbers(info: DatasetInfo, start: number, count: number): NumberArray {
    const metadata = this.#datasetMetadata(info.path);
    const rest = info.shape.slice(1);
    const rowElements = rest.reduce((product, extent) => product * extent, 1);
    this.#checkRange(info, start, count);
    const bytes = count * rowElements * info.bytes;
    this.#checkClaim(info.path, bytes);
    const result = new Uint8Array(bytes);
    const rowsAtOnce = Math.max(1, Math.floor(BYTES_AT_ONCE / Math.max(1, rowElements * info.bytes)));
    for (let done = 0; done < count && bytes > 0; done += rowsAtOnce) {
      const rows = Math.min(rowsAtOnce, count - done);
      const piece = this.#readBytes(info.path, rows * rowElements * info.bytes, (module, pointer) =>
        module.get_dataset_data(
          this.#id,
          info.path,
          [rows, ...rest].map(BigInt),
          info.shape.map((_, dimension) => BigInt(dimension === 0 ? start + done : 0)),
          info.shape.map(() => 1n),
          pointer,
        ),
      );
      result.set(piece, done * rowElements * info.bytes);
    }
    const values = numberArray(metadata, info.kind, result);
    if (values === undefined) {
      throw new DdscError(
        "DATA_TYPE",
        `${this.path}: ${info.path} holds ${describeType(metadata)}, not 8- to 64-bit numbers; convert it, e.g. to float32`,
        { file: this.path },
      );
    }
    return values;
  }

  /** A whole one-dimensional dataset of numbers or booleans. */
  allNumbers(path: string): NumberArray {
    const info = this.vectorInfo(path);
    return this.numbers(info, 0, info.shape[0] ?? 0);
  }

  /** A whole one-dimensional dataset of strings. */
  allStrings(path: string): string[] {
    return this.strings(path, 0, this.vectorInfo(path).shape[0] ?? 0);
  }

  /** Strings [start, start + total) of a one-dimensional dataset. */
  strings(path: string, start: number, total: number): string[] {
    const info = this.vectorInfo(path);
    const metadata = this.#datasetMetadata(path);
    if (info.kind !== "string") throw this.corrupt(path, `holds ${describeType(metadata)}, not strings`);
    this.#checkRange(info, start, total);
    this.#checkClaim(path, total * info.bytes);
    const strings: string[] = [];
    for (let done = 0; done < total; done += STRINGS_AT_ONCE) {
      const count = Math.min(STRINGS_AT_ONCE, total - done);
      const extent = [BigInt(count)];
      const first = [BigInt(start + done)];
      const piece = this.#readStringPiece(
        path,
        metadata,
        count,
        (module, pointer) => module.get_dataset_data(this.#id, path, extent, first, [1n], pointer),
        (module, pointer) => module.reclaim_vlen_memory_count(this.#id, path, "", pointer, extent),
      );
      for (const text of piece) strings.push(text);
    }
    return strings;
  }

  /** `info` of a dataset that must have one dimension. */
  vectorInfo(path: string): DatasetInfo {
    const info = this.info(path);
    if (info.shape.length !== 1)
      throw this.corrupt(path, `has ${info.shape.length} dimensions instead of one`);
    return info;
  }

  /** Error `DATA_CORRUPT` about the object at `path`. */
  corrupt(path: string, what: string): DdscError {
    return corrupt(this.path, path, what);
  }

  /** Closes the file; further use throws. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#library.module.close_file(this.#id);
    this.#library.takeDiagnostics();
  }

  #datasetMetadata(path: string): Metadata {
    const known = this.#metadata.get(path);
    if (known !== undefined) return known;
    const kind = this.kind(path);
    if (kind !== "dataset")
      throw this.corrupt(path, `is ${kind === "missing" ? "missing" : `a ${kind}`}, not a dataset`);
    const metadata = this.#call(path, (module) => module.get_dataset_metadata(this.#id, path));
    this.#metadata.set(path, metadata);
    return metadata;
  }

  #checkRange(info: DatasetInfo, start: number, count: number): void {
    if (start < 0 || count < 0 || start + count > (info.shape[0] ?? 0)) {
      throw this.corrupt(
        info.path,
        `has ${info.shape[0] ?? 0} rows, ${start} to ${start + count} were needed`,
      );
    }
  }

  /** Refuses sizes that the file cannot hold, before anything is allocated for them. */
  #checkClaim(path: string, bytes: number): void {
    if (bytes <= this.#fileBytes * MAX_COMPRESSION + SLACK_BYTES) return;
    throw this.corrupt(path, `claims ${bytes} bytes, which a file of ${this.#fileBytes} bytes cannot hold`);
  }

  #readBytes(path: string, bytes: number, read: (module: H5Module, pointer: bigint) => number): Uint8Array {
    return this.#withMemory(path, bytes, (module, pointer) => {
      if (read(module, BigInt(pointer)) < 0) throw this.#unreadable(path);
      return module.HEAPU8.slice(pointer, pointer + bytes);
    });
  }

  #readStringPiece(
    path: string,
    metadata: Metadata,
    count: number,
    read: (module: H5Module, pointer: bigint) => number,
    reclaim: (module: H5Module, pointer: bigint) => number,
  ): string[] {
    if (!metadata.vlen) {
      const bytes = this.#readBytes(path, count * metadata.size, read);
      return fixedStrings(bytes, metadata.size, count);
    }
    return this.#withMemory(path, count * metadata.size, (module, pointer) => {
      if (read(module, BigInt(pointer)) < 0) throw this.#unreadable(path);
      const pointers = new Uint32Array(module.HEAPU8.slice(pointer, pointer + count * metadata.size).buffer);
      const decoder = new TextDecoder();
      const strings = Array.from(pointers, (address) => {
        if (address === 0) return "";
        return decoder.decode(module.HEAPU8.slice(address, module.HEAPU8.indexOf(0, address)));
      });
      reclaim(module, BigInt(pointer));
      return strings;
    });
  }

  #withMemory<T>(path: string, bytes: number, use: (module: H5Module, pointer: number) => T): T {
    return this.#call(path, (module) => {
      const pointer = module._malloc(Math.max(8, bytes));
      if (pointer === 0)
        throw this.corrupt(path, `needs ${bytes} bytes at once, more than there is memory for`);
      try {
        module.HEAPU8.fill(0, pointer, pointer + bytes);
        return use(module, pointer);
      } finally {
        module._free(pointer);
      }
    });
  }

  #unreadable(path: string): DdscError {
    return this.corrupt(path, innermostCause(this.#library.takeDiagnostics()) || "cannot be read");
  }

  /** Runs a call of the library; whatever it throws (a trap, too) becomes `DATA_CORRUPT`. */
  #call<T>(path: string, call: (module: H5Module) => T): T {
    if (this.#closed)
      throw new DdscError("DATA_CLOSED", `${this.path}: has been closed`, { file: this.path });
    this.#library.takeDiagnostics();
    try {
      return call(this.#library.module);
    } catch (error) {
      if (error instanceof DdscError) throw error;
      const cause = innermostCause(this.#library.takeDiagnostics());
      throw this.corrupt(path, cause || (error instanceof Error ? error.message : String(error)));
    }
  }
}

function corrupt(file: string, path: string, what: string): DdscError {
  const where = path === "" ? file : `${file}: ${path}`;
  const first = what.split("\n")[0] ?? "";
  return new DdscError(
    "DATA_CORRUPT",
    `${where}: ${first || "cannot be read"}; the file is damaged, fetch or write it again`,
    {
      file,
    },
  );
}
