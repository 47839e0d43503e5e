import { lstat } from "node:fs/promises";
import { DdscError } from "../errors.js";

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
