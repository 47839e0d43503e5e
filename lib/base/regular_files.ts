/**
 * Files that others wrote are opened and read here: only regular ones, also through symbolic links. A pipe keeps whoever opens it
 * waiting, a device never ends.
 */
import { constants, type Stats, statSync } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { readFull } from "./files.js";

/** Something that is no regular file and no folder. */
export class NotAFile extends Error {
  readonly code = "NOT_A_FILE";

  constructor(found: Stats) {
    super(`it is a ${kindOf(found)}, and only files can be read; save what it gives to a file and name that`);
  }
}

/** A file that is larger than its kind may be. */
export class FileTooLarge extends Error {
  readonly code = "FILE_TOO_LARGE";

  /** @param most bytes that the file may have */
  constructor(size: number, most: number) {
    super(`it has ${size} bytes, and a file of its kind at most ${most}`);
  }
}

function kindOf(found: Stats): string {
  if (found.isFIFO()) return "pipe";
  if (found.isSocket()) return "socket";
  return "device";
}

function folderError(path: string): Error {
  return Object.assign(new Error(`EISDIR: illegal operation on a directory, read '${path}'`), {
    code: "EISDIR",
  });
}

function requireFile(path: string, found: Stats): void {
  if (found.isDirectory()) throw folderError(path);
  if (!found.isFile()) throw new NotAFile(found);
}

/** Checks what is at `path` without opening it. Throws `NotAFile`, an error of the code EISDIR for a folder, and what `stat` throws. */
export function requireRegularFile(path: string): void {
  requireFile(path, statSync(path));
}

/** Opens a regular file for reading. Throws `NotAFile`, an error of the code EISDIR for a folder, and what `open` throws. */
export async function openToRead(path: string): Promise<FileHandle> {
  requireFile(path, await stat(path));
  // It may have become a pipe since: that opens at once, too.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    requireFile(path, await handle.stat());
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * All bytes of a regular file. Throws `FileTooLarge` for one of more than `most` bytes, before anything is read, and as
 * `openToRead`.
 */
export async function readWhole(path: string, most: number): Promise<Buffer<ArrayBuffer>> {
  const handle = await openToRead(path);
  try {
    const { size } = await handle.stat();
    if (size > most) throw new FileTooLarge(size, most);
    const bytes = Buffer.allocUnsafeSlow(size);
    return bytes.subarray(0, await readFull(handle, bytes, 0));
  } finally {
    await handle.close();
  }
}
