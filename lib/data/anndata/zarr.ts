import { DdscError } from "../../base/errors.js";
import type { OpenOptions } from "../sources/cells.js";
import { FileSource } from "../sources/file_source.js";
import { type AnnDataMembers, anndataContents, UNREAD_GROUPS } from "../sources/source_contents.js";
import { ZarrFile } from "../zarr/file.js";
import { countsLayer, openCounts } from "./counts_layer.js";
import { ZarrFrame } from "./zarr_frame.js";
import { openMatrix } from "./zarr_matrix.js";

/**
 * Opens the cells of an AnnData store: X, or `options.layer`, or `options.raw`; where X turns out to hold no counts
 * (negative or not finite) and there is a layer of counts, that layer, with a note. Counts and metadata are read by chunks.
 *
 * Throws `DATA_FORMAT`, `DATA_CORRUPT`, `DATA_TRUNCATED`, `DATA_MISSING_MATRIX`, `DATA_MISSING_LAYER`,
 * `DATA_MISSING_COLUMN`, `DATA_SHAPE`, `DATA_TYPE`, `DATA_TOO_LARGE`, and the errors of the first cells.
 */
export async function openZarr(path: string, options: OpenOptions = {}): Promise<FileSource> {
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
  const file = await ZarrFile.open(path);
  try {
    const layers = await layerNames(file);
    const paths = await matrixPaths(file, chosen, layers);
    const matrix = await openMatrix(file, paths.matrix);
    const close = (): void => {
      matrix.compact?.[Symbol.dispose]();
      file.close();
    };
    try {
      const cells = await ZarrFrame.open(file, "/obs", matrix.rows, notes);
      const genes = await (await ZarrFrame.open(file, paths.genes, matrix.columns, notes)).all();
      const { rows: cellCount, partBounds } = matrix;
      const remedy = await remedyFor(file, chosen, layers);
      const anndata = anndataContents(await membersOf(file, layers), chosen);
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
  } catch (error) {
    file.close();
    throw error;
  }
}

/** The layers of a store that is not open; none if it cannot be opened. */
async function layersOf(path: string): Promise<string[]> {
  const file = await ZarrFile.open(path).catch(() => undefined);
  if (file === undefined) return [];
  try {
    return await layerNames(file);
  } finally {
    file.close();
  }
}

async function layerNames(file: ZarrFile): Promise<string[]> {
  return (await file.kind("/layers")) === "group" ? file.members("/layers") : [];
}

async function membersOf(file: ZarrFile, layers: readonly string[]): Promise<AnnDataMembers> {
  const members = async (name: string): Promise<string[]> =>
    (await file.kind(`/${name}`)) === "group" ? file.members(`/${name}`) : [];
  return {
    hasX: await hasX(file),
    layers,
    raw: await hasRaw(file),
    groups: await Promise.all(UNREAD_GROUPS.map(async (name) => ({ name, members: await members(name) }))),
  };
}

async function hasX(file: ZarrFile): Promise<boolean> {
  const isNull = (await file.attributes("/X"))["encoding-type"] === "null";
  return (await file.kind("/X")) !== "missing" && !isNull;
}

async function hasRaw(file: ZarrFile): Promise<boolean> {
  return (await file.kind("/raw")) === "group" && (await file.kind("/raw/X")) !== "missing";
}

/** Where the matrix and the genes are. */
async function matrixPaths(
  file: ZarrFile,
  options: OpenOptions,
  layers: readonly string[],
): Promise<{ matrix: string; genes: string }> {
  const place = { file: file.path };
  if (options.layer !== undefined) {
    if (options.raw === true) {
      throw new DdscError("ARGUMENT_CONFLICT", "layer and raw exclude each other; choose one", {
        argument: "layer",
      });
    }
    if (layers.includes(options.layer)) return { matrix: `/layers/${options.layer}`, genes: "/var" };
    const have = layers.length === 0 ? "it has no layers" : `it has ${layers.join(", ")}`;
    throw new DdscError("DATA_MISSING_LAYER", `${file.path}: there is no layer "${options.layer}"; ${have}`, {
      ...place,
      argument: "layer",
    });
  }
  if ((await file.kind("/obs")) === "missing" || (await file.kind("/var")) === "missing") {
    throw new DdscError(
      "DATA_FORMAT",
      `${file.path}: a zarr store but not AnnData: it has no obs or no var`,
      place,
    );
  }
  if (options.raw === true) {
    if (await hasRaw(file)) return { matrix: "/raw/X", genes: "/raw/var" };
    throw new DdscError("DATA_MISSING_MATRIX", `${file.path}: has no raw matrix; leave out --raw`, place);
  }
  if (await hasX(file)) return { matrix: "/X", genes: "/var" };
  const remedy = (await remedyFor(file, {}, layers)) || "Write the store with a matrix";
  throw new DdscError("DATA_MISSING_MATRIX", `${file.path}: has no X. ${remedy}`, place);
}

/** Other matrices of the store that may hold raw counts, as advice. */
async function remedyFor(file: ZarrFile, options: OpenOptions, layers: readonly string[]): Promise<string> {
  const others = layers.filter((name) => name !== options.layer);
  const counts = countsLayer(others);
  if (counts !== undefined) return `Pass --layer ${counts}`;
  if ((await hasRaw(file)) && options.raw !== true) return "Pass --raw";
  return others.length > 0 ? `Choose a layer with --layer (${others.join(", ")})` : "";
}
