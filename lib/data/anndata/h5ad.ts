import { DdscError } from "../../base/errors.js";
import { Hdf5File } from "../hdf5/file.js";
import type { OpenOptions } from "../sources/cells.js";
import type { CountMatrix } from "../sources/count_matrix.js";
import { FileSource } from "../sources/file_source.js";
import type { CellFormat } from "../sources/format.js";
import { COMPARED_NAMES, duplicateCellNote } from "../sources/gene_names.js";
import { fixedParts, rowRange } from "../sources/parts.js";
import { type AnnDataMembers, anndataContents, UNREAD_GROUPS } from "../sources/source_contents.js";
import { countsLayer, openCounts } from "./counts_layer.js";
import { DenseMatrix } from "./h5ad_dense.js";
import { H5adFrame } from "./h5ad_frame.js";
import { CscMatrix, CsrMatrix } from "./h5ad_sparse.js";

const MAX_EXTENT = 0x7fff_ffff;

/** AnnData files; other HDF5 files end here, too, and are told apart by their contents. */
export const h5ad: CellFormat = {
  name: "AnnData (.h5ad)",
  matches: (content) => content.kind === "file" && content.hdf5,
  holdsCells,
  open: openH5ad,
};

/** Whether an HDF5 file has any part of AnnData, or cannot be read: opening tells what is wrong with it then. */
async function holdsCells(path: string): Promise<boolean> {
  try {
    using file = await Hdf5File.open(path);
    return ["/obs", "/var", "/X"].some((part) => file.kind(part) !== "missing");
  } catch {
    return true;
  }
}

/**
 * Opens an AnnData file: X, or the matrix that `options` name; where X turns out to hold no counts (negative or not finite)
 * and there is a layer of counts, that layer, with a note. Counts, names and metadata of cells are read when asked for; nothing
 * but row bounds is kept for every cell.
 *
 * Throws `DATA_CORRUPT`, `DATA_TRUNCATED`, `DATA_FORMAT` (HDF5, but not AnnData), `DATA_MISSING_MATRIX`, `DATA_MISSING_LAYER`,
 * `DATA_MISSING_COLUMN`, `DATA_SHAPE`, `DATA_TYPE`, and the errors of `read` for the first cells.
 */
export async function openH5ad(path: string, options: OpenOptions = {}): Promise<FileSource> {
  return openCounts(
    options,
    (chosen, notes) => openMatrixOf(path, chosen, options, notes),
    () => layersOf(path),
  );
}

/** Opens the matrix that `chosen` names; the source is opened again with `options`. */
async function openMatrixOf(
  path: string,
  chosen: OpenOptions,
  options: OpenOptions,
  notes: string[],
): Promise<FileSource> {
  const file = await Hdf5File.open(path);
  const close = () => file[Symbol.dispose]();
  try {
    checkIsAnnData(file);
    const paths = matrixPaths(file, chosen);
    const matrix = openMatrix(file, paths.matrix);
    const cellCount = matrix.rows;
    const cells = new H5adFrame(file, "/obs", cellCount, notes);
    const genes = new H5adFrame(file, paths.genes, matrix.columns, notes).all();
    if (cellCount <= COMPARED_NAMES) {
      const repeated = duplicateCellNote(cells.ids(rowRange(0, cellCount)));
      if (repeated !== undefined) notes.push(repeated);
    }
    const partBounds = fixedParts(cellCount);
    const remedy = remedyFor(file, chosen);
    const anndata = anndataContents(membersOf(file), chosen);
    return await FileSource.open({
      path,
      options,
      cellCount,
      matrix,
      cells,
      genes,
      partBounds,
      notes,
      remedy,
      anndata,
      close,
    });
  } catch (error) {
    close();
    throw error;
  }
}

/** The layers of a file that is not open; none if it cannot be opened. */
async function layersOf(path: string): Promise<string[]> {
  try {
    using file = await Hdf5File.open(path);
    return layerNames(file);
  } catch {
    return [];
  }
}

function checkIsAnnData(file: Hdf5File): void {
  if (file.kind("/obs") !== "missing" && file.kind("/var") !== "missing") return;
  const found = file.keys("/");
  const contents = found.length === 0 ? "nothing" : found.slice(0, 8).join(", ");
  throw new DdscError(
    "DATA_FORMAT",
    `${file.path}: an HDF5 file but not AnnData: it holds ${contents} and no obs or var; convert it to .h5ad first`,
    { file: file.path },
  );
}

function layerNames(file: Hdf5File): string[] {
  return file.kind("/layers") === "group" ? file.keys("/layers") : [];
}

function membersOf(file: Hdf5File): AnnDataMembers {
  return {
    hasX: file.kind("/X") !== "missing" && !(file.kind("/X") === "dataset" && file.isNull("/X")),
    layers: layerNames(file),
    raw: hasRaw(file),
    groups: UNREAD_GROUPS.map((name) => ({
      name,
      members: file.kind(`/${name}`) === "group" ? file.keys(`/${name}`) : [],
    })),
  };
}

function hasRaw(file: Hdf5File): boolean {
  return ["/raw/X", "/raw.X"].some((path) => file.kind(path) !== "missing");
}

/** Where the matrix and the genes are: X, a layer, or raw (`raw.X` in older files). */
function matrixPaths(file: Hdf5File, options: OpenOptions): { matrix: string; genes: string } {
  const place = { file: file.path };
  if (options.layer !== undefined) {
    if (options.raw === true) {
      throw new DdscError("ARGUMENT_CONFLICT", "layer and raw exclude each other; choose one", {
        argument: "layer",
      });
    }
    const names = layerNames(file);
    if (!names.includes(options.layer)) {
      const have = names.length === 0 ? "it has no layers" : `it has ${names.join(", ")}`;
      throw new DdscError(
        "DATA_MISSING_LAYER",
        `${file.path}: there is no layer "${options.layer}"; ${have}`,
        {
          ...place,
          argument: "layer",
        },
      );
    }
    return { matrix: `/layers/${options.layer}`, genes: "/var" };
  }
  if (options.raw === true) {
    const matrix = ["/raw/X", "/raw.X"].find((path) => file.kind(path) !== "missing");
    if (matrix === undefined) {
      throw new DdscError("DATA_MISSING_MATRIX", `${file.path}: has no raw matrix; leave out --raw`, place);
    }
    return { matrix, genes: matrix === "/raw/X" ? "/raw/var" : "/raw.var" };
  }
  const kind = file.kind("/X");
  if (kind === "missing" || (kind === "dataset" && file.isNull("/X"))) {
    throw new DdscError(
      "DATA_MISSING_MATRIX",
      `${file.path}: has no X. ${remedyFor(file, {}) || "Write the file with a matrix"}`,
      place,
    );
  }
  return { matrix: "/X", genes: "/var" };
}

function openMatrix(file: Hdf5File, path: string): CountMatrix {
  const kind = file.kind(path);
  if (kind === "dataset") {
    const dense = new DenseMatrix(file, path);
    checkExtents(file, path, [dense.rows, dense.columns]);
    return dense;
  }
  if (kind !== "group") throw file.corrupt(path, "is neither a sparse nor a dense matrix");
  const encoding = file.textAttribute(path, "encoding-type") ?? file.textAttribute(path, "h5sparse_format");
  const shape = file.attribute(path, "shape") ?? file.attribute(path, "h5sparse_shape");
  if (encoding === undefined) throw file.corrupt(path, "is a group that does not say how it is encoded");
  if (!Array.isArray(shape) || shape.length !== 2) throw file.corrupt(path, "has no shape");
  const [rows, columns] = shape.map(Number);
  checkExtents(file, path, [rows, columns]);
  const group = { file, path, rows: rows ?? 0, columns: columns ?? 0 };
  if (encoding.startsWith("csr")) return new CsrMatrix(group);
  if (encoding.startsWith("csc")) return new CscMatrix(group);
  throw new DdscError(
    "DATA_FORMAT",
    `${file.path}: ${path} is encoded as "${encoding}"; write it as csr_matrix, csc_matrix or a dense array`,
    {
      file: file.path,
    },
  );
}

function checkExtents(file: Hdf5File, path: string, shape: readonly (number | undefined)[]): void {
  for (const extent of shape) {
    if (extent === undefined || !Number.isInteger(extent) || extent < 0)
      throw file.corrupt(path, "has no valid shape");
    if (extent > MAX_EXTENT) {
      throw new DdscError(
        "DATA_TOO_LARGE",
        `${file.path}: ${path} claims shape [${shape.join(", ")}]; at most 2^31 - 1 cells and genes are supported`,
        {
          file: file.path,
        },
      );
    }
  }
}

/** Other matrices of the file that may hold raw counts, as advice. */
function remedyFor(file: Hdf5File, options: OpenOptions): string {
  const layers = layerNames(file).filter((name) => name !== options.layer);
  const counts = countsLayer(layers);
  if (counts !== undefined) return `Pass --layer ${counts}`;
  if (hasRaw(file) && options.raw !== true) return "Pass --raw";
  return layers.length > 0 ? `Choose a layer with --layer (${layers.join(", ")})` : "";
}
