import { DdscError } from "../../base/errors.js";
import type { Hierarchy } from "../hierarchy.js";
import { openDense } from "./dense.js";
import { checkNumbers, MAX_EXTENT, type MatrixShape, type StoredMatrix } from "./matrix.js";
import { openColumns, openRows } from "./sparse.js";

/**
 * Opens the matrix at `path`: compressed rows or a dense array, read when asked for, or compressed columns, which are turned
 * over once (see `CompactRowsWriter`). Throws `DATA_CORRUPT`, `DATA_SHAPE`, `DATA_TYPE`, `DATA_FORMAT` for other encodings,
 * `DATA_TOO_LARGE`.
 */
export async function openMatrix(file: Hierarchy, path: string): Promise<StoredMatrix> {
  const kind = await file.kind(path);
  if (kind === "array") {
    const array = await file.array(path);
    checkNumbers(file, array);
    if (array.shape.length !== 2) {
      throw new DdscError(
        "DATA_SHAPE",
        `${file.path}: ${path} has ${array.shape.length} dimensions, not cells by genes`,
        { file: file.path },
      );
    }
    return openDense(file, array, checkedShape(file, path, array.shape));
  }
  if (kind !== "group") throw file.corrupt(path, "is neither a sparse nor a dense matrix");
  const attribute = async (name: string, older: string): Promise<unknown> =>
    (await file.attribute(path, name)) ?? (await file.attribute(path, older));
  const encoding = await attribute("encoding-type", "h5sparse_format");
  if (typeof encoding !== "string")
    throw file.corrupt(path, "is a group that does not say how it is encoded");
  const shape = checkedShape(file, path, await attribute("shape", "h5sparse_shape"));
  if (encoding.startsWith("csr")) return openRows(file, path, shape);
  if (encoding.startsWith("csc")) return openColumns(file, path, shape);
  throw new DdscError(
    "DATA_FORMAT",
    `${file.path}: ${path} is encoded as "${encoding}"; write it as csr_matrix, csc_matrix or a dense array`,
    { file: file.path },
  );
}

function checkedShape(file: Hierarchy, path: string, shape: unknown): MatrixShape {
  const extents: unknown[] = Array.isArray(shape) ? shape : [];
  const [rows, columns] = extents.map(Number);
  const good =
    extents.length === 2 && extents.every((extent) => Number.isInteger(extent) && Number(extent) >= 0);
  if (rows === undefined || columns === undefined || !good)
    throw file.corrupt(path, "has no shape of cells by genes");
  if (rows <= MAX_EXTENT && columns <= MAX_EXTENT) return { rows, columns };
  throw new DdscError(
    "DATA_TOO_LARGE",
    `${file.path}: ${path} claims shape [${rows}, ${columns}]; at most 2^31 - 1 cells and genes are supported`,
    { file: file.path },
  );
}
