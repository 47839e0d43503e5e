import { FolderLock, type LockUse } from "../base/folder_lock.js";

/** Name of the file in a run's folder that says who trains in it. */
export const LOCK_FILE = "training.lock";

const TRAINING: LockUse = {
  file: LOCK_FILE,
  code: "RUN_LOCKED",
  does: "trains in it",
  idle: "no training runs",
};

/** The right to write into a run's folder, which one training has at a time. */
export const RunLock = {
  /** Takes the lock of a folder that is there. Throws `RUN_LOCKED` where another training has it, `FILE_WRITE`. */
  take: (folder: string): Promise<FolderLock> => FolderLock.take(folder, TRAINING),
  /** Throws `RUN_LOCKED` where a training has the lock of a folder. */
  check: (folder: string): Promise<void> => FolderLock.check(folder, TRAINING),
};
