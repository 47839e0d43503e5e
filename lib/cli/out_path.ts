import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { DdscError } from "../errors.js";
import { removeFolder } from "../model/folder.js";
import { RunFolder } from "../training/run_folder.js";

/** Whether something is at `path`, be it a broken link. */
async function occupied(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** Before any work: throws `FILE_EXISTS` where `--out` names a file that is there and may not be replaced. */
export async function checkOutFile(path: string, overwrite: boolean): Promise<void> {
  if (overwrite || !(await occupied(path))) return;
  throw new DdscError("FILE_EXISTS", `${path}: already exists; choose another --out, or pass --overwrite`, {
    file: path,
    argument: "--out",
  });
}

/** Before any work: throws `RUN_EXISTS` where `--out` holds a run that may not be replaced. */
export async function checkOutRun(path: string, overwrite: boolean): Promise<void> {
  if (overwrite || !(await occupied(join(path, "last")))) return;
  throw new DdscError(
    "RUN_EXISTS",
    `${path}: already holds a run; go on with it by --resume, replace it by --overwrite, or choose another --out`,
    { file: path, argument: "--out" },
  );
}

/** Removes the run at `--out` where there is one. Throws `FILE_EXISTS` for a file or a folder of anything else. */
export async function removeRun(path: string): Promise<void> {
  if (!(await occupied(path))) return;
  await RunFolder.open(path).catch((cause: unknown) => {
    throw new DdscError(
      "FILE_EXISTS",
      `${path}: is there and holds no run, so --overwrite leaves it alone; choose another --out`,
      { file: path, argument: "--out" },
      { cause },
    );
  });
  await removeFolder(path);
}
