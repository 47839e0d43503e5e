/** Checks of names and lengths, for what is written as AnnData. */
import { DdscError } from "../../base/errors.js";
import { columnLength, type Frame } from "../sources/frame.js";

/** Names of AnnData's own that a column cannot have. */
const RESERVED = new Set(["", ".", "..", "_index"]);

/** The error for lengths that disagree. */
export function shapeError(path: string, what: string): DdscError {
  return new DdscError("DATA_SHAPE", `${path}: ${what}`, { file: path });
}

/** Throws `ARGUMENT_NAME` for a name that no member of a group can have; `what` it is, for the message. */
export function checkName(path: string, what: string, name: string): void {
  if (!RESERVED.has(name) && !name.includes("\0") && !name.includes("/")) return;
  throw new DdscError(
    "ARGUMENT_NAME",
    `${path}: ${what} "${name}" cannot be written under this name; rename it`,
    {
      file: path,
      argument: name,
    },
  );
}

/** Throws `DATA_SHAPE` unless every column of a table ("obs", "var") has a value a row, `ARGUMENT_NAME` for a name it cannot have. */
export function checkFrame(path: string, table: string, frame: Frame): void {
  for (const [name, column] of frame.columns) {
    checkColumnName(path, table, name, frame);
    const length = columnLength(column);
    if (length === frame.index.length) continue;
    throw shapeError(path, `${table} column "${name}" has ${length} values for ${frame.index.length} rows`);
  }
}

/** Throws `ARGUMENT_NAME` for a name that a column cannot have. Columns may have slashes in their names, which nest in the file, as old AnnData wrote them. */
export function checkColumnName(
  path: string,
  table: string,
  name: string,
  frame: { readonly columns: ReadonlyMap<string, unknown> },
): void {
  const parts = name.split("/");
  const clash = parts.slice(1).some((_, i) => frame.columns.has(parts.slice(0, i + 1).join("/")));
  for (const part of parts) checkName(path, `${table} column`, clash ? "" : part);
}
