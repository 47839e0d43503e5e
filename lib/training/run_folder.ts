import { randomBytes } from "node:crypto";
import { readdir, readlink, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { DdscError } from "../errors.js";
import { fileWriteError, synchroniseFolder } from "../files.js";
import { removeFolder, TEMPORARY_SUFFIX, writeFolder } from "../model/folder.js";
import { exists, ModelFile } from "../model/model_files.js";
import { TRAINING_FILE } from "./state.js";

/** Links to checkpoints that a run keeps. */
export type CheckpointName = "last" | "best";

const STEP_FOLDER = /^step-(\d+)$/;
/** What a killed run may leave behind: see `writeFolder`, `removeFolder` and `pointTo`. */
const LEFTOVER = new RegExp(`^\\.(step-\\d+|last|best)\\.[0-9a-f]+\\${TEMPORARY_SUFFIX}$`);

/**
 * The folder of a run: checkpoints `step-N`, never changed once they have their name, and the relative links `last`
 * and `best` to two of them. A checkpoint is written under another name, flushed to disk and renamed; then a link is
 * replaced by a rename; then old checkpoints go. So `last` names a complete checkpoint at every moment, whatever is
 * killed or full.
 */
export class RunFolder {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * A folder for a new run, which need not exist. Throws `RUN_EXISTS` where it holds checkpoints. What a run leaves
   * that was killed before its first checkpoint was complete does not count, and is removed.
   */
  static async create(path: string): Promise<RunFolder> {
    const run = new RunFolder(path);
    if ((await exists(join(path, "last"))) || (await run.steps()).some((step) => step > 0)) {
      throw new DdscError(
        "RUN_EXISTS",
        `${path}: the folder already holds a run; resume it, or choose another folder`,
        { file: path },
      );
    }
    await run.#clear(-1);
    return run;
  }

  /** The folder of a run that was begun. Throws `CHECKPOINT_READ` where it holds no checkpoint. */
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
    return new RunFolder(path);
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
    return names
      .flatMap((name) => STEP_FOLDER.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  }

  /**
   * Adds the checkpoint of a step, whole or not at all; one that is there already is kept. `fill` writes its files,
   * flushed. Throws `FILE_WRITE`, leaving everything as it was.
   */
  async add(step: number, fill: (temporaryFolder: string) => Promise<void>): Promise<void> {
    const path = this.checkpoint(step);
    if (!(await exists(path))) await writeFolder(path, fill);
  }

  /** Lets `last` or `best` name the checkpoint of a step, in one rename. Throws `FILE_WRITE`. */
  async pointTo(name: CheckpointName, step: number): Promise<void> {
    const link = join(this.path, name);
    if ((await readlink(link).catch(() => undefined)) === folderName(step)) return;
    const temporary = join(this.path, `.${name}.${randomBytes(4).toString("hex")}${TEMPORARY_SUFFIX}`);
    try {
      await symlink(folderName(step), temporary, "dir");
      await rename(temporary, link);
      await synchroniseFolder(this.path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw fileWriteError(link, error);
    }
  }

  /** Removes checkpoints but for the newest `keep` and those named. */
  async prune(keep: number, named: readonly number[]): Promise<void> {
    const steps = await this.steps();
    const old = steps.slice(0, -keep).filter((step) => !named.includes(step));
    for (const step of old) await this.#remove(step);
  }

  async #clear(after: number): Promise<void> {
    const linked = await Promise.all(
      ["last", "best"].map((name) => readlink(join(this.path, name)).catch(() => "")),
    );
    for (const step of await this.steps()) {
      if (step > after && !linked.includes(folderName(step))) await this.#remove(step);
    }
    for (const name of await readdir(this.path).catch(() => [])) {
      if (LEFTOVER.test(name)) await rm(join(this.path, name), { recursive: true, force: true });
    }
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
