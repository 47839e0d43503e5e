import { randomBytes } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { DdscError } from "./errors.js";
import { errorCode, fileWriteError } from "./files.js";
import { hasEnded, processOf } from "./processes.js";
import { openToRead } from "./regular_files.js";
import { temporaryName } from "./temporary.js";

/** A use of folders that only one process makes of one at a time. */
export interface LockUse {
  /** Name of the file in the folder that says who has it. */
  readonly file: string;
  /** Code of the error where another has it. */
  readonly code: string;
  /** What that one does: "trains in it". */
  readonly does: string;
  /** What is not so where the file can be deleted: "no training runs". */
  readonly idle: string;
}

/** What the file says of its process. */
interface Holder {
  readonly host: string;
  readonly pid: number;
  /** When the process began, as the system counts it; tells it from a later one of the same number. Null: not known. */
  readonly processStart: string | null;
  /** When the lock was taken. */
  readonly since: string;
  /** The file's number in its file system. Null: not known. */
  readonly inode: string | null;
  /** Tells locks of one process apart. */
  readonly id: string;
}

/** The file as it was found. */
interface Found {
  readonly text: string;
  readonly inode: string;
}

/** Milliseconds in which a process that made the file has written into it. */
const WRITTEN_WITHIN = 1000;
/** Milliseconds after which of several that take over one lock the last has done so. */
const SETTLED_WITHIN = 100;
const POLL = 50;

/**
 * The right to write into a folder, which one process has at a time: a file in it, made exclusively. One that a
 * killed process left behind is taken over; one of another machine cannot be told from a live one and is respected.
 */
export class FolderLock {
  readonly #file: string;
  readonly #holder: Omit<Holder, "inode">;

  private constructor(file: string, holder: Omit<Holder, "inode">) {
    this.#file = file;
    this.#holder = holder;
  }

  /** Takes the lock of a folder that is there. Throws the code of the use where another has it, `FILE_WRITE`. */
  static async take(folder: string, use: LockUse): Promise<FolderLock> {
    const file = join(folder, use.file);
    const lock = new FolderLock(file, {
      host: hostname(),
      pid: process.pid,
      processStart: (await processOf(process.pid))?.start ?? null,
      since: new Date().toISOString(),
      id: randomBytes(8).toString("hex"),
    });
    try {
      while (!(await lock.#create())) {
        await refuseWhereHeld(folder, use);
        if (await lock.#takeOver()) break;
      }
      return lock;
    } catch (error) {
      throw fileWriteError(file, error);
    }
  }

  /** Throws the code of the use where another has the lock of a folder. */
  static async check(folder: string, use: LockUse): Promise<void> {
    await refuseWhereHeld(folder, use);
  }

  /** Gives the lock back, unless someone removed or replaced it. One that cannot be removed ends with the process. */
  async release(): Promise<void> {
    const remove = async () => {
      if (await this.#isOwn()) await rm(this.#file, { force: true });
    };
    await remove().catch(() => undefined);
  }

  /** Makes the file; false where it is there. */
  async #create(): Promise<boolean> {
    try {
      await this.#write(this.#file);
      return true;
    } catch (error) {
      if (errorCode(error) === "EEXIST") return false;
      throw error;
    }
  }

  /**
   * Replaces the file of a process that is gone. Where several do so at once, each waits until the last has, and that one
   * has the lock.
   */
  async #takeOver(): Promise<boolean> {
    const temporary = await temporaryName(this.#file);
    await this.#write(temporary);
    try {
      await rename(temporary, this.#file);
    } catch (error) {
      // Who got the lock meanwhile clears up such files.
      if (errorCode(error) === "ENOENT") return false;
      throw error;
    }
    await setTimeout(SETTLED_WITHIN);
    return this.#isOwn();
  }

  async #write(path: string): Promise<void> {
    const handle = await open(path, "wx");
    try {
      // A copy of the folder has a file of another number, which locks nothing.
      const inode = await inodeOf(handle);
      await handle.writeFile(`${JSON.stringify({ ...this.#holder, inode })}\n`);
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    } finally {
      await handle.close();
    }
  }

  async #isOwn(): Promise<boolean> {
    return (await read(this.#file))?.text.includes(this.#holder.id) === true;
  }
}

/** The file; undefined where there is none. */
async function read(file: string): Promise<Found | undefined> {
  try {
    await using handle = await openToRead(file);
    return { text: await handle.readFile("utf8"), inode: await inodeOf(handle) };
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

async function inodeOf(handle: FileHandle): Promise<string> {
  return String((await handle.stat({ bigint: true })).ino);
}

/** Throws unless there is no lock or its process is gone. */
async function refuseWhereHeld(folder: string, use: LockUse): Promise<void> {
  const file = join(folder, use.file);
  let found = await read(file);
  for (let waited = 0; found?.text === "" && waited < WRITTEN_WITHIN; waited += POLL) {
    await setTimeout(POLL);
    found = await read(file);
  }
  // Empty: its process was killed between making and filling it.
  if (found === undefined || found.text === "") return;
  const holder = holderFrom(found.text);
  if (holder !== undefined && (isCopy(holder, found) || (await isGone(holder)))) return;
  throw new DdscError(use.code, `${folder}: ${describe(holder, file, use)}`, { file: folder });
}

function describe(holder: Holder | undefined, file: string, { does, idle }: LockUse): string {
  if (holder === undefined) return `${file} is not as this package writes it; delete it if ${idle}`;
  const { host, pid, since } = holder;
  if (host !== hostname()) {
    return `process ${pid} on ${host} ${does} since ${since}; wait for it to end, or delete ${file} if it is gone`;
  }
  return `process ${pid} ${does} since ${since}; wait for it to end, stop it, or choose another folder`;
}

function holderFrom(text: string): Holder | undefined {
  try {
    const { host, pid, processStart, since, id, inode } = JSON.parse(text) as Record<string, unknown>;
    if (typeof host !== "string" || typeof pid !== "number" || !Number.isInteger(pid) || pid < 1)
      return undefined;
    return {
      host,
      pid,
      processStart: typeof processStart === "string" ? processStart : null,
      since: String(since),
      id: String(id),
      inode: typeof inode === "string" ? inode : null,
    };
  } catch {
    return undefined;
  }
}

/** Whether the file came here with a copy of the folder that its process trains in. */
function isCopy(holder: Holder, found: Found): boolean {
  return holder.inode !== null && holder.inode !== found.inode;
}

/** Whether the process of a lock has surely ended. */
async function isGone({ host, pid, processStart }: Holder): Promise<boolean> {
  return host === hostname() && (await hasEnded(pid, processStart ?? undefined));
}
