import { randomBytes } from "node:crypto";
import { type FileHandle, open, readFile, rename, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { DdscError } from "../base/errors.js";
import { errorCode, fileWriteError } from "../base/files.js";
import { openToRead } from "../base/regular_files.js";
import { TEMPORARY_SUFFIX } from "../model/folder.js";

/** Name of the file in a run's folder that says who trains in it. */
export const LOCK_FILE = "training.lock";

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
 * The right to write into a run's folder, which one training has at a time: a file in it, made exclusively. One that a
 * killed process left behind is taken over; one of another machine cannot be told from a live one and is respected.
 */
export class RunLock {
  readonly #file: string;
  readonly #holder: Omit<Holder, "inode">;

  private constructor(file: string, holder: Omit<Holder, "inode">) {
    this.#file = file;
    this.#holder = holder;
  }

  /** Takes the lock of a folder that is there. Throws `RUN_LOCKED` where another training has it, `FILE_WRITE`. */
  static async take(folder: string): Promise<RunLock> {
    const file = join(folder, LOCK_FILE);
    const lock = new RunLock(file, {
      host: hostname(),
      pid: process.pid,
      processStart: (await processOf(process.pid))?.start ?? null,
      since: new Date().toISOString(),
      id: randomBytes(8).toString("hex"),
    });
    try {
      while (!(await lock.#create())) {
        await refuseWhereHeld(folder);
        if (await lock.#takeOver()) break;
      }
      return lock;
    } catch (error) {
      throw fileWriteError(file, error);
    }
  }

  /** Throws `RUN_LOCKED` where a training has the lock of a folder. */
  static async check(folder: string): Promise<void> {
    await refuseWhereHeld(folder);
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
    const temporary = temporaryBeside(this.#file);
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

/** A name for a file of a lock that is not in its place yet; `RunFolder` removes one that a kill left. */
function temporaryBeside(file: string): string {
  return join(file, "..", `.${LOCK_FILE}.${randomBytes(4).toString("hex")}${TEMPORARY_SUFFIX}`);
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

/** Throws `RUN_LOCKED` unless there is no lock or its process is gone. */
async function refuseWhereHeld(folder: string): Promise<void> {
  const file = join(folder, LOCK_FILE);
  let found = await read(file);
  for (let waited = 0; found?.text === "" && waited < WRITTEN_WITHIN; waited += POLL) {
    await setTimeout(POLL);
    found = await read(file);
  }
  // Empty: its process was killed between making and filling it.
  if (found === undefined || found.text === "") return;
  const holder = holderFrom(found.text);
  if (holder !== undefined && (isCopy(holder, found) || (await isGone(holder)))) return;
  throw new DdscError("RUN_LOCKED", `${folder}: ${describe(holder, file)}`, { file: folder });
}

function describe(holder: Holder | undefined, file: string): string {
  if (holder === undefined) return `${file} is not as this package writes it; delete it if no training runs`;
  const { host, pid, since } = holder;
  if (host !== hostname()) {
    return `process ${pid} on ${host} trains in it since ${since}; wait for it to end, or delete ${file} if it is gone`;
  }
  return `process ${pid} trains in it since ${since}; wait for it to end, stop it, or choose another folder`;
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

/** Whether a process has surely ended. */
async function isGone({ host, pid, processStart }: Holder): Promise<boolean> {
  if (host !== hostname()) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // Otherwise it is another user's, and there.
    if (errorCode(error) === "ESRCH") return true;
  }
  const found = await processOf(pid);
  if (found === undefined) return false;
  return found.ended || (processStart !== null && found.start !== processStart);
}

/** What the system tells of a process; undefined where it has no such files or does not show them. */
async function processOf(pid: number): Promise<{ start: string; ended: boolean } | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // The name, in parentheses, may hold anything. After it: the state, field 3 of all, and the start, field 22.
  const fields = text?.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state, start] = [fields?.[0], fields?.[19]];
  if (state === undefined || start === undefined) return undefined;
  // A killed process stays as a zombie for as long as its parent does not ask for it.
  return { start, ended: state === "Z" || state === "X" };
}
