import { randomBytes } from "node:crypto";
import { lstat, mkdir, open, readdir, rename, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { DdscError } from "../base/errors.js";
import { errorCode, fileWriteError, makeFolders, synchroniseFolder } from "../base/files.js";

/** Ends the names of folders that are being written, or are on their way out. */
export const TEMPORARY_SUFFIX = ".tmp";

/**
 * Writes a folder so that `path` holds either nothing (or what it held before) or all of the new files, whatever
 * happens: `fill` writes into a temporary folder beside it, which is flushed to disk and renamed to `path`; it is
 * removed when anything fails. Every file that `fill` writes must be flushed by itself (`writeFlushed`).
 *
 * A folder already at `path` is replaced if it holds nothing but files named in `replaceable`; between the two
 * renames that this takes, its contents are beside `path` under a name that ends in `.tmp`. Throws `FILE_EXISTS` where it
 * holds anything else, `FILE_WRITE` (full disk, read-only folder, ...), or whatever DdscError `fill` threw.
 */
export async function writeFolder(
  path: string,
  fill: (temporaryPath: string) => Promise<void>,
  replaceable: readonly string[] = [],
): Promise<void> {
  const temporary = beside(path);
  let made: readonly string[] = [];
  try {
    made = await makeFolders(dirname(path));
    const present = await contents(path);
    const foreign = present?.find((name) => !replaceable.includes(name));
    if (foreign !== undefined) {
      throw new DdscError(
        "FILE_EXISTS",
        `${path}: the folder already exists and holds "${foreign}"; choose a new folder`,
        { file: path },
      );
    }
    await mkdir(temporary);
    await fill(temporary);
    await synchroniseFolder(temporary);
    if (present === undefined || present.length === 0) await rename(temporary, path);
    else {
      const old = beside(path);
      await rename(path, old);
      await rename(temporary, path);
      await rm(old, { recursive: true });
    }
    await synchroniseFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    for (const folder of made.toReversed()) await rmdir(folder).catch(() => undefined);
    throw fileWriteError(path, error);
  }
}

/** Removes a folder so that no half-removed one is ever seen under its own name. */
export async function removeFolder(path: string): Promise<void> {
  const doomed = beside(path);
  await rename(path, doomed);
  await rm(doomed, { recursive: true });
}

/** Writes a new file and flushes it to disk; errors of the file system come as they are. */
export async function writeFlushed(path: string, text: string): Promise<void> {
  const handle = await open(path, "wx");
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A new name beside `path`, hidden from listings. */
function beside(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(4).toString("hex")}${TEMPORARY_SUFFIX}`);
}

/** Names in a folder; undefined where there is none. A file or a link at `path` counts as holding itself. */
async function contents(path: string): Promise<string[] | undefined> {
  try {
    return (await lstat(path)).isDirectory() ? await readdir(path) : [basename(path)];
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
