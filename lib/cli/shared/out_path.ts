import { lstat } from "node:fs/promises";
import { DdscError } from "../../base/errors.js";
import { otherEnding } from "../../data/anndata/endings.js";
import { UsageError } from "./usage_error.js";

/** Whether something is at `path`, be it a broken link. */
async function occupied(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/**
 * Before any work: throws a UsageError where the ending of `--out` promises a format other than the ones that are
 * written.
 *
 * @param written what the command writes, for the message
 */
export function checkOutEnding(path: string, written: string): void {
  const ending = otherEnding(path);
  if (ending === undefined) return;
  throw new UsageError(
    `--out ${path}: no ${ending} is written; what is written is ${written}: choose such a name`,
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
