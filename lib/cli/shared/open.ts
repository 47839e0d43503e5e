import { isUrl } from "../../data/io/content.js";
import { isS3 } from "../../data/io/s3/address.js";
import { openCells } from "../../data/open/open_cells.js";
import type { Peers } from "../../data/open/share_out.js";
import { rowsWhere } from "../../data/select/where.js";
import type { CellSource } from "../../data/sources/source.js";
import { leftOutNote } from "../../data/sources/source_contents.js";
import { subsetSource } from "../../data/sources/subset.js";
import { Denoiser } from "../../model/denoiser.js";
import { exists } from "../../model/model_files.js";
import type { OptionValues } from "./options.js";
import type { Output } from "./output.js";

/** Options of a command that reads a file of counts. */
export const DATA_OPTIONS = [
  "layer",
  "raw",
  "geneTable",
  "geneColumn",
  "genome",
  "transpose",
  "metadataColumns",
] as const;
/** Options of a command that loads a model. */
export const MODEL_OPTIONS = ["model", "device", "dtype"] as const;

/**
 * Opens cells: what a path names (see `openCells`), or what several do, separated by commas where there is no file of that
 * name. Throws as `openCells`.
 *
 * @param peers as there
 */
export async function openData(
  path: string,
  options: OptionValues<(typeof DATA_OPTIONS)[number]>,
  peers?: Peers,
): Promise<CellSource> {
  const { layer, raw, geneTable, geneColumn, genome, transpose, metadataColumns } = options;
  const asked = {
    raw,
    ...(layer === undefined ? {} : { layer }),
    ...(geneTable === undefined ? {} : { geneTable }),
    ...(geneColumn === undefined ? {} : { geneColumn }),
    ...(genome === undefined ? {} : { genome }),
    // Left out, the names tell.
    ...(transpose ? { transpose } : {}),
    ...(metadataColumns === undefined
      ? {}
      : { metadataColumns: metadataColumns.split(",").map((name) => name.trim()) }),
  };
  return openCells(await splitPaths(path), asked, peers);
}

/** As `openData`, only the cells for which `--where` holds. Throws also as `rowsWhere`. @param peers as there */
export async function openSelected(
  path: string,
  options: OptionValues<(typeof DATA_OPTIONS)[number] | "where">,
  peers?: Peers,
): Promise<CellSource> {
  const source = await openData(path, options, peers);
  if (options.where === undefined) return source;
  try {
    const rows = await rowsWhere(source, options.where);
    return subsetSource(source, rows, () => source[Symbol.dispose]());
  } catch (error) {
    source[Symbol.dispose]();
    throw error;
  }
}

async function splitPaths(path: string): Promise<string | string[]> {
  // A key or an address may hold commas, but no further address.
  if (isUrl(path)) return isS3(path) ? path.split(/,(?=(?:s3|https?):\/\/)/i) : path;
  if (!path.includes(",") || (await exists(path))) return path;
  // Braces of a pattern may hold commas.
  return path.split(/,(?![^{]*\})/);
}

/** Tells what a source's reader noticed, and what of its files is not in what was written from it. */
export function noteWritten(source: CellSource, output: Output): void {
  for (const note of new Set(source.notes)) output.note(`${source.name}: ${note}`);
  const note = leftOutNote(source);
  if (note !== undefined) output.note(`${source.name}: ${note}`);
}

/** Loads a model for predictions and says which and on what. Throws as `Denoiser.load`. */
export async function openModel(
  options: OptionValues<(typeof MODEL_OPTIONS)[number], "model">,
  output: Output,
): Promise<Denoiser> {
  const { model: folder, device, dtype } = options;
  const model = await Denoiser.load(folder, {
    ...(device === undefined ? {} : { device }),
    ...(dtype === undefined ? {} : { dtype }),
  });
  describeDevice(model, output);
  const { vocabulary, parameterCount } = model;
  output.line(
    `${folder}: ${(parameterCount / 1e6).toFixed(1)} million parameters, ${vocabulary.geneCount} genes, ${model.dtype} on ${model.device}`,
  );
  return model;
}

/** Where nobody asked for a device, says which it is and why. */
export function describeDevice({ device, deviceReason }: Denoiser, output: Output): void {
  if (deviceReason !== undefined) output.line(`device ${device}: ${deviceReason}`);
}
