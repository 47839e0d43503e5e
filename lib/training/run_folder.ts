import { lstat, readdir, readlink, rename, rm, rmdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { DdscError } from "../base/errors.js";
import { errorCode, fileWriteError, makeFolders, synchroniseFolder } from "../base/files.js";
import type { FolderLock } from "../base/folder_lock.js";
import { temporaryFor, temporaryName } from "../base/temporary.js";
import { removeFolder, writeFolder } from "../model/folder.js";
import { exists, ModelFile, TRAINING_FILE } from "../model/model_files.js";
import { METRICS_FILE } from "./metrics.js";
import { LOCK_FILE, RunLock } from "./run_lock.js";
import { STATUS_FILE } from "./run_status.js";

/** Links to checkpoints that a run keeps. */
export type CheckpointName = "last" | "best";

const LINKS: readonly CheckpointName[] = ["last", "best"];
const STEP_FOLDER = /^step-(\d+)$/;
/** What a run writes into its folder by way of a temporary name: see `writeFolder`, `removeFolder`, `pointTo`, `RunLock` and `StatusFile`. */
const WRITTEN = /^step-\d+$/;
const WRITTEN_FILES: readonly string[] = [...LINKS, LOCK_FILE, STATUS_FILE];

/** Whether a name is one that a killed run may leave behind. */
function isLeftover(name: string): boolean {
  const written = temporaryFor(name) ?? "";
  return WRITTEN.test(written) || WRITTEN_FILES.includes(written);
}

/** Options of a folder for a new run. */
export interface NewRunOptions {
  /** Whether a run that the folder holds is replaced; default false. */
  readonly overwrite?: boolean;
}

/**
 * The folder of a run: checkpoints `step-N`, never changed once they have their name, and the relative links `last`
 * and `best` to two of them. A checkpoint is written under another name, flushed to disk and renamed; then a link is
 * replaced by a rename; then old checkpoints go. So `last` names a complete checkpoint at every moment, whatever is
 * killed or full. Nothing that a run does not write is ever touched.
 *
 * It is locked against other trainings until it is disposed of (`await using`).
 */
export class RunFolder implements AsyncDisposable {
  readonly path: string;
  readonly #lock: FolderLock;
  /** Folders that were made for the run, the outermost first. */
  readonly #made: readonly string[];

  private constructor(path: string, lock: FolderLock, made: readonly string[] = []) {
    this.path = path;
    this.#lock = lock;
    this.#made = made;
  }

  /**
   * Whether a new run can begin in a folder, which need not exist. Throws `RUN_EXISTS` where it holds a run that may not be
   * replaced, `RUN_LOCKED` where a training is under way, and `FILE_EXISTS` where it holds anything else.
   */
  static async check(path: string, { overwrite = false }: NewRunOptions = {}): Promise<void> {
    const { isRun, foreign } = await examine(path);
    if (isRun && !overwrite) {
      throw new DdscError(
        "RUN_EXISTS",
        `${path}: already holds a run; resume it (--resume), replace it (--overwrite), or choose another folder`,
        { file: path },
      );
    }
    if (!isRun && foreign !== undefined) {
      const holds = foreign === "" ? "is a file" : `holds "${foreign}" and no run`;
      const leaves = overwrite ? ", so it is left alone" : "";
      throw new DdscError("FILE_EXISTS", `${path}: ${holds}${leaves}; choose a new or an empty folder`, {
        file: path,
      });
    }
    await RunLock.check(path);
  }

  /**
   * A folder for a new run, which need not exist. Throws as `check` does, and `FILE_WRITE`. What a run leaves that was
   * killed before its first checkpoint was complete does not count, and is removed; so is, with `overwrite`, a run.
   */
  static async create(path: string, options: NewRunOptions = {}): Promise<RunFolder> {
    await RunFolder.check(path, options);
    let made: readonly string[] = [];
    try {
      made = await makeFolders(path);
      const run = new RunFolder(path, await RunLock.take(path), made);
      try {
        // Another run may have begun in it before it was locked.
        const { isRun } = await examine(path);
        if (isRun && options.overwrite !== true) await RunFolder.check(path);
        await run.#removeRun(isRun);
        return run;
      } catch (error) {
        await run[Symbol.asyncDispose]();
        throw error;
      }
    } catch (error) {
      await removeEmpty(made);
      throw fileWriteError(path, error);
    }
  }

  /** The folder of a run that was begun. Throws `CHECKPOINT_READ` where it holds no checkpoint, `RUN_LOCKED`, `FILE_WRITE`. */
  static async open(path: string): Promise<RunFolder> {
    if (
      !(await exists(join(path, "last", TRAINING_FILE))) ||
      !(await exists(join(path, "last", ModelFile.config)))
    ) {
      throw new DdscError(
        "CHECKPOINT_READ",
        `${path}: there is no checkpoint "last" of a training in it; give the folder of a run, or begin a new one`,
        { file: path },
      );
    }
    return new RunFolder(path, await RunLock.take(path));
  }

  /** Lets other trainings have the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lock.release();
  }

  /** Removes the run, and the folder if it was made for it. */
  async discard(): Promise<void> {
    await this.#removeRun(true);
    await this.#lock.release();
    await removeEmpty(this.#made);
  }

  /**
   * Puts right what a kill may have left: removes temporary files and checkpoints later than `last`, which is of step
   * `last`, and lets `best` name the checkpoint of step `best`.
   */
  async repair(last: number, best: number | undefined): Promise<void> {
    await this.#clear(last);
    if (best !== undefined && (await exists(this.checkpoint(best)))) await this.pointTo("best", best);
  }

  /** The folder of a checkpoint. */
  checkpoint(step: number): string {
    return join(this.path, folderName(step));
  }

  /** Steps that have a checkpoint, ascending. */
  async steps(): Promise<number[]> {
    const names = await readdir(this.path).catch(() => []);
    const steps: number[] = [];
    for (const name of names) if (await isCheckpoint(this.path, name)) steps.push(stepOf(name));
    return steps.sort((a, b) => a - b);
  }

  /**
   * Adds the checkpoint of a step, whole or not at all; one that is there already is kept. `fill` writes its files,
   * flushed. Throws `FILE_WRITE` and `FILE_EXISTS`, leaving everything as it was.
   */
  async add(step: number, fill: (temporaryFolder: string) => Promise<void>): Promise<void> {
    if (!(await isCheckpoint(this.path, folderName(step)))) await writeFolder(this.checkpoint(step), fill);
  }

  /** Lets `last` or `best` name the checkpoint of a step, in one rename. Throws `FILE_WRITE`. */
  async pointTo(name: CheckpointName, step: number): Promise<void> {
    const link = join(this.path, name);
    if ((await readlink(link).catch(() => undefined)) === folderName(step)) return;
    const temporary = await temporaryName(link);
    try {
      await symlink(folderName(step), temporary, "dir");
      await rename(temporary, link);
      await synchroniseFolder(this.path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw fileWriteError(link, error);
    }
  }

  /** The step of the checkpoint that `last` names; undefined where it names none. */
  async lastStep(): Promise<number | undefined> {
    const target = await readlink(join(this.path, "last")).catch(() => "");
    return STEP_FOLDER.test(target) ? stepOf(target) : undefined;
  }

  /** Removes checkpoints but for the newest `keep` and those named. */
  async prune(keep: number, named: readonly number[]): Promise<void> {
    const steps = await this.steps();
    const old = steps.slice(0, -keep).filter((step) => !named.includes(step));
    for (const step of old) await this.#remove(step);
  }

  async #clear(after: number): Promise<void> {
    const linked = await Promise.all(LINKS.map((name) => readlink(join(this.path, name)).catch(() => "")));
    for (const step of await this.steps()) {
      if (step > after && !linked.includes(folderName(step))) await this.#remove(step);
    }
    for (const name of await readdir(this.path).catch(() => [])) {
      if (isLeftover(name)) await rm(join(this.path, name), { recursive: true, force: true });
    }
  }

  /** Removes what a run wrote; metrics and status only where they are known to be a run's. */
  async #removeRun(isRun: boolean): Promise<void> {
    for (const file of isRun ? [METRICS_FILE, STATUS_FILE] : [])
      await rm(join(this.path, file), { force: true });
    for (const name of LINKS) {
      if (await isLink(this.path, name)) await rm(join(this.path, name), { recursive: true, force: true });
    }
    await this.#clear(-1);
  }

  async #remove(step: number): Promise<void> {
    await removeFolder(this.checkpoint(step)).catch((error: unknown) => {
      throw fileWriteError(this.checkpoint(step), error);
    });
  }
}

function folderName(step: number): string {
  return `step-${step}`;
}

/** The number in the name of a checkpoint. */
function stepOf(name: string): number {
  return Number(STEP_FOLDER.exec(name)?.[1]);
}

/** Whether a name in a folder is that of a checkpoint. */
async function isCheckpoint(folder: string, name: string): Promise<boolean> {
  return STEP_FOLDER.test(name) && exists(join(folder, name, TRAINING_FILE));
}

/** Whether `last` or `best` is a run's: a link to a checkpoint, or a copy of one where a copy of the run has no links. */
async function isLink(folder: string, name: string): Promise<boolean> {
  const path = join(folder, name);
  const target = await readlink(path).catch(() => "");
  return STEP_FOLDER.test(target) || exists(join(path, TRAINING_FILE));
}

/** What a folder for a new run holds. */
interface Examined {
  /** Whether it holds checkpoints that are worth keeping: a link `last`, or one after the first step. */
  readonly isRun: boolean;
  /** A name in it that is no run's; "" where it is a file itself. */
  readonly foreign: string | undefined;
}

async function examine(path: string): Promise<Examined> {
  let names: string[];
  try {
    names = await readdir(path);
  } catch (error) {
    const code = errorCode(error);
    const isFile = code === "ENOTDIR" && (await lstat(path).catch(() => undefined)) !== undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return { isRun: false, foreign: isFile ? "" : undefined };
    throw fileWriteError(path, error);
  }
  let isRun = await exists(join(path, "last", TRAINING_FILE));
  let foreign: string | undefined;
  for (const name of names) {
    const checkpoint = await isCheckpoint(path, name);
    if (checkpoint && stepOf(name) > 0) isRun = true;
    const isLinkName = (LINKS as readonly string[]).includes(name);
    const ours =
      checkpoint || name === LOCK_FILE || isLeftover(name) || (isLinkName && (await isLink(path, name)));
    if (!ours) foreign ??= name;
  }
  return { isRun, foreign };
}

/** Removes folders, the innermost first, as far as they are empty. */
async function removeEmpty(folders: readonly string[]): Promise<void> {
  for (const folder of folders.toReversed()) await rmdir(folder).catch(() => undefined);
}
