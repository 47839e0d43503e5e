import { lstat, mkdir, open, readdir, rename, rm, rmdir } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { DdscError } from "../base/errors.js";
import { errorCode, fileWriteError, makeFolders, synchroniseFolder } from "../base/files.js";
import { beginTemporary, publishFolder } from "../base/publish.js";
import { temporaryName } from "../base/temporary.js";

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
  let temporary: string | undefined;
  let made: readonly string[] = [];
  try {
    made = await makeFolders(dirname(path));
    await refuseOthers(path, replaceable);
    temporary = await beginTemporary(path);
    await mkdir(temporary);
    await fill(temporary);
    await synchroniseFolder(temporary);
    if (replaceable.length > 0) await refuseOthers(path, replaceable);
    await publishFolder(temporary, path, { overwrite: replaceable.length > 0 });
  } catch (error) {
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    for (const folder of made.toReversed()) await rmdir(folder).catch(() => undefined);
    throw fileWriteError(path, error);
  }
}

/** Throws `FILE_EXISTS` where a folder holds anything but files that may be replaced. */
async function refuseOthers(path: string, replaceable: readonly string[]): Promise<void> {
  const foreign = (await contents(path))?.find((name) => !replaceable.includes(name));
  if (foreign === undefined) return;
  throw new DdscError(
    "FILE_EXISTS",
    `${path}: the folder already exists and holds "${foreign}"; choose a new folder`,
    { file: path },
  );
}

/** Removes a folder so that no half-removed one is ever seen under its own name. */
export async function removeFolder(path: string): Promise<void> {
  const doomed = await temporaryName(path);
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

/** Names in a folder; undefined where there is none. A file or a link at `path` counts as holding itself. */
async function contents(path: string): Promise<string[] | undefined> {
  try {
    return (await lstat(path)).isDirectory() ? await readdir(path) : [basename(path)];
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
