import { type FileHandle, mkdir, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { DdscError } from "./errors.js";

/** What to do about each reason the operating system gives for refusing a write. */
const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full; free some space or choose another folder",
  EDQUOT: "the disk quota is used up; free some space or choose another folder",
  EFBIG: "the file is too large for this file system; choose another folder",
  EROFS: "the file system is read-only; choose another folder",
  EACCES: "permission denied; change the folder's permissions or choose another folder",
  EPERM: "the operation is not permitted; choose another folder",
  ENOENT: "the folder does not exist; create it first",
  ENOTDIR: "part of the path is a file, not a folder; choose another path",
  EEXIST: "part of the path is a file, not a folder; choose another path",
  EBUSY: "it is in use, as the current folder or where a file system is mounted; choose a folder in it",
  EISDIR: "the path is a folder; name a file",
};

/** `FILE_WRITE` for a failure to write `path`, naming path, reason and remedy; a DdscError is passed through. */
export function fileWriteError(path: string, error: unknown): DdscError {
  if (error instanceof DdscError) return error;
  const reason = REMEDIES[errorCode(error) ?? ""] ?? (error instanceof Error ? error.message : String(error));
  return new DdscError(
    "FILE_WRITE",
    `${path}: cannot be written: ${reason}`,
    { file: path },
    { cause: error },
  );
}

/** The operating system's name for what went wrong (`ENOENT`, ...); undefined for an error that has none. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

/**
 * Makes a folder and those above it; returns those that were missing, the outermost first. Not `mkdir(path, { recursive:
 * true })`, which says of a read-only file system that the folder does not exist. Errors come as they are.
 */
export async function makeFolders(path: string): Promise<string[]> {
  try {
    await mkdir(path);
    return [path];
  } catch (error) {
    if (errorCode(error) !== "ENOENT" || dirname(path) === path) {
      if ((await stat(path).catch(() => undefined))?.isDirectory() === true) return [];
      throw error;
    }
  }
  const above = await makeFolders(dirname(path));
  try {
    await mkdir(path);
    return [...above, path];
  } catch (error) {
    // Another process may make it at the same time.
    if ((await stat(path).catch(() => undefined))?.isDirectory() === true) return above;
    throw error;
  }
}

/** Flushes a file or folder to disk. */
export async function synchronise(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes the rename itself durable. Some file systems refuse to sync a folder; the data is safe all the same. */
export async function synchroniseFolder(path: string): Promise<void> {
  try {
    await synchronise(path);
  } catch (error) {
    const code = errorCode(error);
    if (code !== "EINVAL" && code !== "EISDIR" && code !== "EPERM" && code !== "EACCES") throw error;
  }
}

/** Most bytes that are asked of the system at a time: Node takes no more than 2^31 - 1. */
const PIECE_BYTES = 2 ** 30;

/** Fills `bytes` from a file, from `position` on; gives how many there were: fewer only where the file ends. */
export async function readFull(handle: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < bytes.length) {
    const length = Math.min(bytes.length - done, PIECE_BYTES);
    const { bytesRead } = await handle.read(bytes, done, length, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}
