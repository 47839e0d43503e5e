import { lstat, readdir, realpath, stat } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { DdscError } from "../../base/errors.js";
import { errorCode, readFull } from "../../base/files.js";
import { openToRead } from "../../base/regular_files.js";
import { unreadable } from "../io/content.js";
import { corrupt } from "../io/random_access.js";
import { ZipArchive } from "../io/zip.js";

/** The largest object (chunk or metadata) that is read whole, bytes. */
export const MAX_OBJECT_BYTES = 2 ** 30;
/** And the largest metadata, which takes many times its length in memory. */
const MAX_METADATA_BYTES = 8 * 2 ** 20;
const METADATA = /\/(zarr\.json|\.zarray|\.zgroup|\.zattrs|\.zmetadata)$/;

/** Part of an object: from `offset` on, or its last bytes. */
export type ObjectRange =
  | { readonly offset: number; readonly length: number }
  | { readonly suffixLength: number };

/**
 * Where the objects of a zarr hierarchy are. Keys begin with "/". All functions throw `DATA_UNSUPPORTED` for a key that leads out of the
 * hierarchy ("..", a symbolic link).
 */
export interface ZarrStore {
  /** Path as the user named it. */
  readonly name: string;
  /** The bytes of an object; undefined if there is none. Throws `DATA_TOO_LARGE`, `DATA_UNREADABLE`, `DATA_CORRUPT`. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** Bytes of a part of an object. Throws `DATA_CORRUPT` if the object is shorter. */
  getRange(key: string, range: ObjectRange): Promise<Uint8Array | undefined>;
  /** Names of what is directly below a group, in order. */
  children(key: string): Promise<string[]>;
  /** Bytes of all objects below a node together. */
  storedBytes(key: string): Promise<number>;
  /** Releases files. */
  close(): void;
}

/** Opens a folder or a zip archive that holds a hierarchy. */
export async function openStore(path: string): Promise<ZarrStore> {
  const found = await stat(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  return found.isDirectory() ? new FolderStore(path) : ZipStore.open(path);
}

/** Where a range lies in an object of this size. Throws `DATA_CORRUPT` if it does not. */
function place(
  name: string,
  key: string,
  size: number,
  range: ObjectRange,
): { offset: number; length: number } {
  const length = "suffixLength" in range ? range.suffixLength : range.length;
  const offset = "suffixLength" in range ? size - range.suffixLength : range.offset;
  const good = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!good || offset + length > size) {
    throw corrupt(name, `${key}: ${length} bytes at ${offset} were needed but it has ${size}`);
  }
  checkSize(name, key, length);
  return { offset, length };
}

/** `DATA_UNSUPPORTED` for what lies outside of the hierarchy. */
function outside(name: string, key: string, why: string): DdscError {
  return new DdscError(
    "DATA_UNSUPPORTED",
    `${name}: ${key}: leads out of the store (${why}), and nothing outside of it is read; write the store with all of its data in it`,
    { file: name },
  );
}

/** Throws for a key with steps other than down. */
function checkKey(name: string, key: string): void {
  if (/(^|\/)\.{1,2}(\/|$)/.test(key)) throw outside(name, key, 'a name of "." or ".."');
}

function checkSize(name: string, key: string, bytes: number): void {
  if (METADATA.test(key) && bytes > MAX_METADATA_BYTES) {
    throw new DdscError(
      "DATA_TOO_LARGE",
      `${name}: ${key} has ${bytes} bytes, and metadata at most ${MAX_METADATA_BYTES}; is it damaged? keep large tables in arrays, not in attributes`,
      { file: name },
    );
  }
  if (bytes <= MAX_OBJECT_BYTES) return;
  throw new DdscError(
    "DATA_TOO_LARGE",
    `${name}: ${key} has ${bytes} bytes in one piece; write it with chunks of at most 1 GiB`,
    { file: name },
  );
}

/** The same bytes, not as a Buffer: zarrita aligns them with `slice`, which of a Buffer is no copy. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A hierarchy in a folder: an object a file. */
class FolderStore implements ZarrStore {
  readonly name: string;
  /** Folders that were found to lie in the store. */
  readonly #inside = new Set<string>();
  #root: Promise<string> | undefined;

  constructor(path: string) {
    this.name = path;
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#read(key, undefined);
  }

  getRange(key: string, range: ObjectRange): Promise<Uint8Array | undefined> {
    return this.#read(key, range);
  }

  async #read(key: string, range: ObjectRange | undefined): Promise<Uint8Array | undefined> {
    const path = this.#path(key);
    try {
      await this.#checkInside(key, path);
      const file = await openToRead(path);
      try {
        const { size } = await file.stat();
        const { offset, length } = place(this.name, key, size, range ?? { offset: 0, length: size });
        const bytes = new Uint8Array(length);
        if ((await readFull(file, bytes, offset)) < length) {
          const text = `${path}: has become shorter while it was read; open it again`;
          throw new DdscError("DATA_TRUNCATED", text, { file: this.name });
        }
        return bytes;
      } finally {
        await file.close();
      }
    } catch (error) {
      return this.#absent(path, error);
    }
  }

  async children(key: string): Promise<string[]> {
    const folder = this.#path(key);
    // As if it were an object in the folder.
    await this.#checkInside(key, join(folder, ".zgroup")).catch((error: unknown) =>
      this.#absent(folder, error),
    );
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    return entries
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort();
  }

  async storedBytes(key: string): Promise<number> {
    const folder = this.#path(key);
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    let bytes = 0;
    for (const entry of entries) {
      bytes += entry.isDirectory()
        ? await this.storedBytes(`${key}/${entry.name}`)
        : (await stat(join(folder, entry.name))).size;
    }
    return bytes;
  }

  /** No file stays open. */
  close(): void {}

  #path(key: string): string {
    checkKey(this.name, key);
    return join(this.name, ...key.split("/"));
  }

  /** Throws for a file that a symbolic link takes out of the store; the store itself may be behind one. */
  async #checkInside(key: string, path: string): Promise<void> {
    const folder = dirname(path);
    if (!this.#inside.has(folder)) {
      await this.#checkTarget(key, await realpath(folder));
      this.#inside.add(folder);
    }
    const found = await lstat(path).catch(() => undefined);
    if (found?.isSymbolicLink() === true) await this.#checkTarget(key, await realpath(path));
  }

  async #checkTarget(key: string, target: string): Promise<void> {
    this.#root ??= realpath(this.name);
    const root = await this.#root;
    if (target !== root && !target.startsWith(root.endsWith(sep) ? root : root + sep))
      throw outside(this.name, key, `a symbolic link to ${target}`);
  }

  /** Undefined where there is no such file; throws otherwise. */
  #absent(path: string, error: unknown): undefined {
    if (error instanceof DdscError) throw error;
    const code = errorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR") return undefined;
    throw unreadable(path, error);
  }
}

/** A hierarchy in a zip archive, at its top or in its one folder. */
class ZipStore implements ZarrStore {
  readonly name: string;
  readonly #archive: ZipArchive;
  /** What comes before the keys: "" or "folder/". */
  readonly #prefix: string;

  private constructor(archive: ZipArchive, prefix: string) {
    this.name = archive.path;
    this.#archive = archive;
    this.#prefix = prefix;
  }

  static async open(path: string): Promise<ZipStore> {
    const archive = await ZipArchive.open(path).catch((error: unknown) => {
      throw error instanceof DdscError ? error : unreadable(path, error);
    });
    return new ZipStore(archive, rootOf(archive.names()));
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const name = this.#name(key);
    const size = this.#archive.size(name);
    if (size === undefined) return undefined;
    checkSize(this.name, key, size);
    return plain(await this.#archive.read(name, 0, size));
  }

  async getRange(key: string, range: ObjectRange): Promise<Uint8Array | undefined> {
    const name = this.#name(key);
    const size = this.#archive.size(name);
    if (size === undefined) return undefined;
    const { offset, length } = place(this.name, key, size, range);
    return plain(await this.#archive.read(name, offset, length));
  }

  async children(key: string): Promise<string[]> {
    const folder = `${this.#name(key)}/`.replace(/^\/$/, "");
    const found = new Set<string>();
    for (const name of this.#archive.names()) {
      if (!name.startsWith(folder)) continue;
      const end = name.indexOf("/", folder.length);
      if (end !== -1) found.add(name.slice(folder.length, end));
    }
    return [...found].sort();
  }

  async storedBytes(key: string): Promise<number> {
    let bytes = 0;
    for (const name of this.#archive.names()) {
      if (name.startsWith(`${this.#name(key)}/`)) bytes += this.#archive.size(name) ?? 0;
    }
    return bytes;
  }

  close(): void {
    this.#archive.close();
  }

  #name(key: string): string {
    checkKey(this.name, key);
    return this.#prefix + key.replace(/^\/+/, "");
  }
}

/** The folder that holds the hierarchy, ending with "/"; "" if it is at the top. */
function rootOf(names: Iterable<string>): string {
  let shortest: string | undefined;
  for (const name of names) {
    const root = /^(|.*\/)(zarr\.json|\.zgroup)$/.exec(name)?.[1];
    if (root !== undefined && (shortest === undefined || root.length < shortest.length)) shortest = root;
  }
  return shortest ?? "";
}
