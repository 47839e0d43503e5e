import type { FileHandle } from "node:fs/promises";
import { DdscError } from "../../base/errors.js";
import { readFull } from "../../base/files.js";
import { openToRead } from "../../base/regular_files.js";
import { unreadable } from "./content.js";
import { checkRange, closedError, type FileIdentity, type RandomAccess } from "./random_access.js";

/** A file on a disk. */
export class LocalFile implements RandomAccess {
  readonly name: string;
  readonly size: number;
  readonly identity: FileIdentity;
  readonly remote = false;
  #handle: FileHandle | undefined;
  #reading = 0;

  private constructor(name: string, identity: FileIdentity, handle: FileHandle) {
    this.name = name;
    this.size = identity.size;
    this.identity = identity;
    this.#handle = handle;
  }

  /** Throws `DATA_NOT_FOUND`, `DATA_UNREADABLE`. */
  static async open(path: string): Promise<LocalFile> {
    try {
      const handle = await openToRead(path);
      try {
        const { size, mtimeMs } = await handle.stat();
        return new LocalFile(path, { size, etag: null, modified: String(mtimeMs) }, handle);
      } catch (error) {
        await handle.close();
        throw error;
      }
    } catch (error) {
      throw unreadable(path, error);
    }
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    checkRange(this.name, this.size, offset, length);
    signal?.throwIfAborted();
    const handle = this.#handle;
    if (handle === undefined) throw closedError(this.name);
    const bytes = new Uint8Array(length);
    this.#reading++;
    try {
      if ((await readFull(handle, bytes, offset)) < length) throw shrunk(this.name);
    } catch (error) {
      throw error instanceof DdscError ? error : unreadable(this.name, error);
    } finally {
      this.#reading--;
      if (this.#handle === undefined) this.#release(handle);
    }
    signal?.throwIfAborted();
    return bytes;
  }

  close(): void {
    const handle = this.#handle;
    this.#handle = undefined;
    if (handle !== undefined) this.#release(handle);
  }

  /** Closes the handle once nothing reads from it. */
  #release(handle: FileHandle): void {
    if (this.#reading === 0) handle.close().catch(() => undefined);
  }
}

function shrunk(name: string): DdscError {
  return new DdscError(
    "DATA_TRUNCATED",
    `${name}: became shorter while it was read; do not write to a file that is being read`,
    { file: name },
  );
}
