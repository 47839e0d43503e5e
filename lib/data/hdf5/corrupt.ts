import { DdscError } from "../../base/errors.js";

/** Error `DATA_CORRUPT` about the object at `path` of a file; of the file itself where that is "". */
export function corrupt(file: string, path: string, what: string): DdscError {
  const where = path === "" ? file : `${file}: ${path}`;
  const first = what.split("\n")[0] ?? "";
  return new DdscError(
    "DATA_CORRUPT",
    `${where}: ${first || "cannot be read"}; the file is damaged, fetch or write it again`,
    { file },
  );
}
