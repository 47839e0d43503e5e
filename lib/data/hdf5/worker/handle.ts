import { statSync } from "node:fs";
import type { Metadata } from "h5wasm";
import { DdscError } from "../../../base/errors.js";
import { requireRegularFile } from "../../../base/regular_files.js";
import { unreadable } from "../../io/content.js";
import { corrupt } from "../corrupt.js";
import { type Hdf5Library, innermostCause, loadHdf5 } from "./library.js";
import { fixedStrings, type H5Module } from "./types.js";

/** Deflate cannot shrink data more than this; a dataset that claims more is not backed by the file. */
const MAX_COMPRESSION = 1032;
const SLACK_BYTES = 1 << 24;

/** A call of the library that fills memory at `pointer`; negative where it failed. */
export type Fill = (module: H5Module, pointer: bigint) => number;

/**
 * A file open in the HDF5 library: calls of it, whose failures are `DdscError`s naming file and object; `DATA_UNSUPPORTED` for an object
 * that lies in another file.
 */
export class Hdf5Handle {
  readonly path: string;
  /** The library's number of the open file. */
  readonly id: bigint;
  readonly #library: Hdf5Library;
  readonly #fileBytes: number;

  private constructor(path: string, library: Hdf5Library, id: bigint, fileBytes: number) {
    this.path = path;
    this.#library = library;
    this.id = id;
    this.#fileBytes = fileBytes;
  }

  /** Opens `path`. Throws `DATA_TRUNCATED`, `DATA_CORRUPT`, `DATA_NOT_FOUND` or `DATA_UNREADABLE`. */
  static async open(path: string): Promise<Hdf5Handle> {
    const library = await loadHdf5();
    const size = sizeOf(path);
    library.memory.admit(size);
    library.takeDiagnostics();
    let id = -1n;
    try {
      id = library.opens.during(path, () =>
        library.module.open(path, library.module.H5F_ACC_RDONLY, false, -1, -1),
      );
    } catch (error) {
      throw corrupt(path, "", String(error));
    }
    if (id >= 0n) return new Hdf5Handle(path, library, id, size);
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

  /** Runs a call of the library about the object at `path`; whatever it throws (a trap, too) becomes `DATA_CORRUPT`. */
  call<T>(path: string, call: (module: H5Module) => T): T {
    this.#library.takeDiagnostics();
    this.#library.opens.takeRefused();
    try {
      const result = call(this.#library.module);
      this.#checkOpens(path);
      return result;
    } catch (error) {
      this.#checkOpens(path);
      if (error instanceof DdscError) throw error;
      const cause = innermostCause(this.#library.takeDiagnostics());
      throw this.corrupt(path, cause || (error instanceof Error ? error.message : String(error)));
    }
  }

  /** Throws `DATA_UNSUPPORTED` where the last call asked for another file. */
  #checkOpens(path: string): void {
    const other = this.#library.opens.takeRefused();
    if (other === undefined) return;
    throw new DdscError(
      "DATA_UNSUPPORTED",
      `${this.path}: ${path}: lies in another file, "${other}" (an external link, external storage or a virtual dataset), and other files are not opened; copy the data into this file (h5repack, or read and write it with anndata)`,
      { file: this.path },
    );
  }

  /** Bytes that `fill` gives. */
  bytes(path: string, count: number, fill: Fill): Uint8Array {
    return this.#withMemory(path, count, fill, (module, pointer) =>
      module.HEAPU8.slice(pointer, pointer + count),
    );
  }

  /** Strings that `fill` gives; `reclaim` frees those of variable length. */
  strings(path: string, metadata: Metadata, count: number, fill: Fill, reclaim: Fill): string[] {
    const bytes = count * metadata.size;
    if (!metadata.vlen) return fixedStrings(this.bytes(path, bytes, fill), metadata.size, count);
    return this.#withMemory(path, bytes, fill, (module, pointer) => {
      const pointers = new Uint32Array(module.HEAPU8.slice(pointer, pointer + bytes).buffer);
      const decoder = new TextDecoder();
      const strings = Array.from(pointers, (address) => {
        if (address === 0) return "";
        return decoder.decode(module.HEAPU8.subarray(address, module.HEAPU8.indexOf(0, address)));
      });
      reclaim(module, BigInt(pointer));
      return strings;
    });
  }

  /** Refuses sizes that the file cannot hold, before anything is allocated for them. */
  checkClaim(path: string, bytes: number): void {
    if (bytes <= this.#fileBytes * MAX_COMPRESSION + SLACK_BYTES) return;
    throw this.corrupt(path, `claims ${bytes} bytes, which a file of ${this.#fileBytes} bytes cannot hold`);
  }

  /** Error `DATA_CORRUPT` about the object at `path`. */
  corrupt(path: string, what: string): DdscError {
    return corrupt(this.path, path, what);
  }

  close(): void {
    this.#library.module.close_file(this.id);
    this.#library.takeDiagnostics();
  }

  #withMemory<T>(path: string, bytes: number, fill: Fill, use: (module: H5Module, pointer: number) => T): T {
    return this.call(path, (module) => {
      const pointer = module._malloc(Math.max(8, bytes));
      if (pointer === 0)
        throw this.corrupt(path, `needs ${bytes} bytes at once, more than there is memory for`);
      try {
        module.HEAPU8.fill(0, pointer, pointer + bytes);
        if (fill(module, BigInt(pointer)) < 0)
          throw this.corrupt(path, innermostCause(this.#library.takeDiagnostics()) || "cannot be read");
        return use(module, pointer);
      } finally {
        module._free(pointer);
      }
    });
  }
}

/** Bytes of a regular file. */
function sizeOf(path: string): number {
  try {
    requireRegularFile(path);
    return statSync(path).size;
  } catch (error) {
    throw unreadable(path, error);
  }
}
