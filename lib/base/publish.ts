/** What is written appears whole or not at all. */
import { link, open, readdir, realpath, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { DdscError } from "./errors.js";
import { errorCode, fileWriteError, synchronise, synchroniseFolder } from "./files.js";
import { removeLeftovers, temporaryName } from "./temporary.js";

/** Options of what is written whole. */
export interface PublishOptions {
  /** Whether what is there is replaced; default true. Otherwise it is kept, also where it came while the new was written. */
  readonly overwrite?: boolean;
}

/**
 * Writes a file so that `path` holds either its old contents or all of the new ones, whatever happens: `write`
 * fills a temporary file beside it, which is flushed to disk and moved to `path`. The temporary file is
 * removed when anything fails, and what killed processes left of earlier ones first. A symbolic link at `path` is followed.
 *
 * Throws `FILE_EXISTS` where something is at `path` in the end and is not to be replaced, `FILE_WRITE` (full disk, read-only
 * folder, ...) or whatever DdscError `write` threw.
 */
export async function writeAtomically(
  path: string,
  write: (temporaryPath: string) => Promise<void> | void,
  options: PublishOptions = {},
): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const temporaryPath = await beginTemporary(target);
  try {
    await write(temporaryPath);
    await synchronise(temporaryPath);
    await publishFile(temporaryPath, target, options);
  } catch (error) {
    await rm(temporaryPath, { force: true }).catch(() => undefined);
    throw fileWriteError(path, error);
  }
}

/** A temporary name beside `target`, where nothing of killed processes is left. */
export async function beginTemporary(target: string): Promise<string> {
  await removeLeftovers(dirname(target), (name) => name === basename(target));
  return temporaryName(target);
}

/** Gives a file that is complete and flushed its name, durably. Throws `FILE_EXISTS`; errors of the file system come as they are. */
export async function publishFile(
  temporaryPath: string,
  target: string,
  { overwrite = true }: PublishOptions = {},
): Promise<void> {
  if (overwrite) await rename(temporaryPath, target);
  else await moveToNew(temporaryPath, target);
  await synchroniseFolder(dirname(target));
}

/** What a file system without hard links says of one. */
const NO_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EXDEV"]);

/** Renames a file, but to a name that something has: a rename would replace it, a link does not. */
async function moveToNew(temporaryPath: string, target: string): Promise<void> {
  try {
    await link(temporaryPath, target);
  } catch (error) {
    const code = errorCode(error) ?? "";
    if (code === "EEXIST") throw occupiedError(target);
    if (!NO_LINKS.has(code)) throw error;
    await moveToReserved(temporaryPath, target);
    return;
  }
  await rm(temporaryPath, { force: true });
}

/** As `moveToNew`, where there are no links: an empty file, made exclusively, keeps the name free until it is replaced. */
async function moveToReserved(temporaryPath: string, target: string): Promise<void> {
  try {
    await (await open(target, "wx")).close();
  } catch (error) {
    throw errorCode(error) === "EEXIST" ? occupiedError(target) : error;
  }
  try {
    await rename(temporaryPath, target);
  } catch (error) {
    await rm(target, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** `FILE_EXISTS` for a name that something has got. */
export function occupiedError(path: string): DdscError {
  return new DdscError(
    "FILE_EXISTS",
    `${path}: something is there that was not when the work began, and it is kept; choose another name, or pass overwrite`,
    { file: path },
  );
}

/**
 * As `writeAtomically`, for a folder: `write` makes the temporary folder and fills it. An empty folder at `path` is always
 * replaced. See `publishFolder`.
 */
export async function writeFolderAtomically(
  path: string,
  write: (temporaryPath: string) => Promise<void>,
  options: PublishOptions = {},
): Promise<void> {
  const target = await realpath(path).catch(() => resolve(path));
  const temporaryPath = await beginTemporary(target);
  try {
    await write(temporaryPath);
    await synchroniseTree(temporaryPath);
    await publishFolder(temporaryPath, target, options);
  } catch (error) {
    await rm(temporaryPath, { recursive: true, force: true }).catch(() => undefined);
    throw fileWriteError(path, error);
  }
}

/** What the system says where a folder cannot be renamed because something is there already. */
const IN_THE_WAY = new Set(["ENOTEMPTY", "EEXIST", "ENOTDIR"]);
/** Times that a folder which others replace, too, is tried to be replaced. */
const MOST_ATTEMPTS = 100;

/**
 * Gives a folder that is complete and flushed its name, durably. A rename alone replaces an empty folder and nothing else. No
 * file system replaces one folder by another in one step: what was at `target` is moved aside, and removed once the new folder
 * has its name. For the moment between there is nothing at `target`; where the new one cannot be moved there, the old one is
 * moved back. Throws `FILE_EXISTS`; errors of the file system come as they are.
 */
export async function publishFolder(
  temporaryPath: string,
  target: string,
  { overwrite = true }: PublishOptions = {},
): Promise<void> {
  // Others may replace it at the same time: the last one wins.
  for (let attempt = 0; !(await moveFolder(temporaryPath, target)); attempt++) {
    if (!overwrite || attempt === MOST_ATTEMPTS) throw occupiedError(target);
    if (await replaceFolder(temporaryPath, target)) break;
  }
  await synchroniseFolder(dirname(target));
}

/** Renames a folder; false where something other than an empty folder has the name. */
async function moveFolder(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (IN_THE_WAY.has(errorCode(error) ?? "")) return false;
    throw error;
  }
}

/** Moves what is at `target` away and a folder there; false where others were faster. */
async function replaceFolder(from: string, target: string): Promise<boolean> {
  const aside = await temporaryName(target);
  try {
    await rename(target, aside);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw error;
  }
  let moved: boolean;
  try {
    moved = await moveFolder(from, target);
  } catch (error) {
    await rename(aside, target).catch(() => undefined);
    throw error;
  }
  await rm(aside, { recursive: true, force: true });
  return moved;
}

/** Files that are flushed to disk at the same time. */
const FLUSHED_AT_ONCE = 16;

/** Flushes all files below a folder to disk, then the folders. */
async function synchroniseTree(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  for (let first = 0; first < files.length; first += FLUSHED_AT_ONCE) {
    const some = files.slice(first, first + FLUSHED_AT_ONCE);
    await Promise.all(some.map(({ name }) => synchronise(join(folder, name))));
  }
  for (const entry of entries) if (entry.isDirectory()) await synchroniseTree(join(folder, entry.name));
  await synchroniseFolder(folder);
}

/** Writes `data` to `path` atomically and durably: see `writeAtomically`. Throws `FILE_EXISTS`, `FILE_WRITE`. */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  options: PublishOptions = {},
): Promise<void> {
  const write = async (temporaryPath: string): Promise<void> => {
    const handle = await open(temporaryPath, "wx");
    try {
      await handle.writeFile(data);
    } finally {
      await handle.close();
    }
  };
  await writeAtomically(path, write, options);
}
