import { DdscError } from "../../base/errors.js";
import { takeTurn } from "../../base/turns.js";
import { COMPARED_NAMES, duplicateCellNote } from "../genes/gene_names.js";
import type { Hierarchy } from "../hierarchy.js";
import type { OpenOptions } from "../sources/cells.js";
import { FileSource } from "../sources/file_source.js";
import { type AnnDataMembers, anndataContents, UNREAD_GROUPS } from "../sources/source_contents.js";
import { StoredFrame } from "./frame.js";
import { openMatrix } from "./open_matrix.js";

const COUNTS = /count|raw|umi/i;

/** Opens a file or store for reading. */
type OpenHierarchy = (path: string) => Promise<Hierarchy>;

/**
 * Opens the cells of AnnData in any hierarchy: X, or the matrix that `options` name; where X turns out to hold no counts
 * (negative or not finite) and there is a layer of counts, that layer, with a note. Counts, names and metadata of cells are
 * read when asked for; nothing but row bounds is kept for every cell.
 *
 * Throws `DATA_CORRUPT`, `DATA_TRUNCATED`, `DATA_FORMAT` (not AnnData), `DATA_MISSING_MATRIX`, `DATA_MISSING_LAYER`,
 * `DATA_MISSING_COLUMN`, `DATA_SHAPE`, `DATA_TYPE`, `DATA_TOO_LARGE`, and the errors of `read` for the first cells.
 */
export async function openAnnData(
  path: string,
  options: OpenOptions,
  open: OpenHierarchy,
): Promise<FileSource> {
  try {
    return await openChosen(await open(path), options, options, []);
  } catch (error) {
    const layer = isNoCounts(error, options) ? await countsLayerOf(path, open) : undefined;
    if (layer === undefined) throw error;
    const note = `X holds no counts: the layer "${layer}" was taken; choose with --layer`;
    return openChosen(await open(path), { ...options, layer }, options, [note]);
  }
}

/** An X whose first cells were refused because a value is negative or not finite, as in scaled data, and which nobody chose. */
function isNoCounts(error: unknown, options: OpenOptions): boolean {
  const refused =
    error instanceof DdscError && (error.code === "DATA_NEGATIVE_COUNT" || error.code === "DATA_NOT_FINITE");
  return refused && options.layer === undefined && options.raw !== true;
}

/** Opens the matrix that `chosen` names; the source is opened again with `options`. */
async function openChosen(
  file: Hierarchy,
  chosen: OpenOptions,
  options: OpenOptions,
  notes: string[],
): Promise<FileSource> {
  const opened: Disposable[] = [file];
  const close = (): void => {
    for (const part of opened) part[Symbol.dispose]();
  };
  try {
    await checkIsAnnData(file);
    const members = await membersOf(file);
    const paths = await matrixPaths(file, chosen, members);
    const matrix = await openMatrix(file, paths.matrix);
    if (matrix.compact !== undefined) opened.push(matrix.compact);
    if (matrix.compact?.note !== undefined) notes.push(matrix.compact.note);
    const cells = await StoredFrame.open(file, "/obs", matrix.rows, notes);
    const genes = await (await StoredFrame.open(file, paths.genes, matrix.columns, notes)).all();
    if (matrix.rows <= COMPARED_NAMES) {
      const ids = await cells.ids(undefined);
      await takeTurn();
      const repeated = duplicateCellNote(ids);
      if (repeated !== undefined) notes.push(repeated);
    }
    return await FileSource.open({
      path: file.path,
      options,
      cellCount: matrix.rows,
      matrix,
      cells,
      genes,
      partBounds: matrix.partBounds,
      notes,
      remedy: remedyFor(members, chosen),
      anndata: anndataContents(members, chosen),
      close,
    });
  } catch (error) {
    close();
    throw error;
  }
}

/** The layer that holds raw counts, going by its name; undefined if there is none. */
function countsLayer(layers: readonly string[]): string | undefined {
  return layers.find((name) => COUNTS.test(name));
}

/** `countsLayer` of a file that is not open; undefined if it cannot be opened. */
async function countsLayerOf(path: string, open: OpenHierarchy): Promise<string | undefined> {
  try {
    using file = await open(path);
    return countsLayer(await membersIn(file, "/layers"));
  } catch {
    return undefined;
  }
}

async function membersIn(file: Hierarchy, path: string): Promise<string[]> {
  return (await file.kind(path)) === "group" ? file.members(path) : [];
}

async function membersOf(file: Hierarchy): Promise<AnnDataMembers> {
  const kind = await file.kind("/X");
  return {
    hasX: kind !== "missing" && !(kind === "array" && (await file.isNull("/X"))),
    layers: await membersIn(file, "/layers"),
    raw: (await rawPath(file)) !== undefined,
    groups: await Promise.all(
      UNREAD_GROUPS.map(async (name) => ({ name, members: await membersIn(file, `/${name}`) })),
    ),
  };
}

/** Where the raw matrix is: `raw.X` in older files. */
async function rawPath(file: Hierarchy): Promise<string | undefined> {
  for (const path of ["/raw/X", "/raw.X"]) if ((await file.kind(path)) !== "missing") return path;
  return undefined;
}

async function checkIsAnnData(file: Hierarchy): Promise<void> {
  for (const table of ["obs", "var"]) {
    if ((await file.kind(`/${table}`)) !== "missing") continue;
    const found = await file.members("/");
    const contents = found.length === 0 ? "nothing" : found.slice(0, 8).join(", ");
    throw new DdscError(
      "DATA_FORMAT",
      `${file.path}: ${file.what} but not AnnData: it holds ${contents} and no obs or var (it has no /${table}); convert it to .h5ad first`,
      { file: file.path },
    );
  }
}

/** Where the matrix and the genes are: X, a layer, or raw. */
async function matrixPaths(
  file: Hierarchy,
  { layer, raw }: OpenOptions,
  members: AnnDataMembers,
): Promise<{ matrix: string; genes: string }> {
  const place = { file: file.path };
  if (layer !== undefined) {
    if (raw === true) {
      throw new DdscError("ARGUMENT_CONFLICT", "layer and raw exclude each other; choose one", {
        argument: "layer",
      });
    }
    if (members.layers.includes(layer)) return { matrix: `/layers/${layer}`, genes: "/var" };
    const have = members.layers.length === 0 ? "it has no layers" : `it has ${members.layers.join(", ")}`;
    throw new DdscError("DATA_MISSING_LAYER", `${file.path}: there is no layer "${layer}"; ${have}`, {
      ...place,
      argument: "layer",
    });
  }
  if (raw === true) {
    const matrix = await rawPath(file);
    if (matrix !== undefined) return { matrix, genes: matrix === "/raw/X" ? "/raw/var" : "/raw.var" };
    throw new DdscError("DATA_MISSING_MATRIX", `${file.path}: has no raw matrix; leave out --raw`, place);
  }
  if (members.hasX) return { matrix: "/X", genes: "/var" };
  const remedy = remedyFor(members, {}) || "Write the file with a matrix";
  throw new DdscError("DATA_MISSING_MATRIX", `${file.path}: has no X. ${remedy}`, place);
}

/** Other matrices of the file that may hold raw counts, as advice. */
function remedyFor(members: AnnDataMembers, chosen: OpenOptions): string {
  const layers = members.layers.filter((name) => name !== chosen.layer);
  const counts = countsLayer(layers);
  if (counts !== undefined) return `Pass --layer ${counts}`;
  const isChosen = chosen.layer !== undefined;
  if (members.raw && chosen.raw !== true) return isChosen ? "Pass --raw in place of --layer" : "Pass --raw";
  if (isChosen && members.hasX) return "Leave out --layer where X holds the counts";
  return layers.length > 0 ? `Choose a layer with --layer (${layers.join(", ")})` : "";
}
