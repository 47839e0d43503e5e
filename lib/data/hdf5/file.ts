import { DdscError } from "../../base/errors.js";
import type { Hierarchy, NodeKind } from "../hierarchy.js";
import { Hdf5Array } from "./array.js";
import { corrupt } from "./corrupt.js";
import type { FileCalls, OpenFile } from "./messages.js";
import { Hdf5Thread } from "./thread.js";

/** An HDF5 file opened for reading, by a thread of its own: see README.md. */
export class Hdf5File implements Hierarchy, OpenFile {
  readonly path: string;
  readonly what = "an HDF5 file";
  readonly keepsChunks = false;
  readonly #thread: Hdf5Thread;
  readonly #number: number;
  #closed = false;

  private constructor(path: string, thread: Hdf5Thread, number: number) {
    this.path = path;
    this.#thread = thread;
    this.#number = number;
  }

  /** Opens `path`. Throws `DATA_TRUNCATED`, `DATA_CORRUPT`, `DATA_NOT_FOUND`, `DATA_UNREADABLE` or `ADDRESS_SPACE_LIMIT`. */
  static async open(path: string): Promise<Hdf5File> {
    const thread = Hdf5Thread.get();
    return new Hdf5File(path, thread, await thread.ask("open", path));
  }

  kind(path: string): Promise<NodeKind> {
    return this.ask("kind", path);
  }

  members(path: string): Promise<string[]> {
    return this.ask("members", path);
  }

  attribute(path: string, name: string): Promise<unknown> {
    return this.ask("attribute", path, name);
  }

  async array(path: string): Promise<Hdf5Array> {
    return new Hdf5Array(this, path, await this.ask("dataset", path));
  }

  /** HDF5's null dataspace, which AnnData writes for None. */
  async isNull(path: string): Promise<boolean> {
    return (await this.ask("dataset", path)).shape === null;
  }

  corrupt(path: string, what: string): DdscError {
    return corrupt(this.path, path, what);
  }

  async ask<Name extends keyof FileCalls>(
    name: Name,
    ...words: Parameters<FileCalls[Name]>
  ): Promise<ReturnType<FileCalls[Name]>> {
    if (this.#closed)
      throw new DdscError("DATA_CLOSED", `${this.path}: has been closed`, { file: this.path });
    return (await this.#thread.ask("ask", this.#number, name, words)) as ReturnType<FileCalls[Name]>;
  }

  /** Closes the file; further use throws. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    // Of a thread that has ended there is nothing to close.
    this.#thread.ask("close", this.#number).catch(() => undefined);
  }
}
