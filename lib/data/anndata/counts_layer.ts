import { DdscError } from "../../base/errors.js";
import type { OpenOptions } from "../sources/cells.js";

const COUNTS = /count|raw|umi/i;

/** The layer that holds raw counts, going by its name; undefined if there is none. */
export function countsLayer(layers: readonly string[]): string | undefined {
  return layers.find((name) => COUNTS.test(name));
}

/** An X whose first cells were refused because a value is negative or not finite, as in scaled data, and which nobody chose. */
function isNoCounts(error: unknown, options: OpenOptions): boolean {
  const refused =
    error instanceof DdscError && (error.code === "DATA_NEGATIVE_COUNT" || error.code === "DATA_NOT_FINITE");
  return refused && options.layer === undefined && options.raw !== true;
}

/**
 * Opens AnnData with the matrix that `options` name, by default X; where X holds no counts and there is a layer of counts, that
 * layer, with a note.
 * @param open opens the matrix that its first argument names, with the notes to begin with
 * @param layersOf names of the layers; asked only where X holds no counts
 */
export async function openCounts<Source>(
  options: OpenOptions,
  open: (chosen: OpenOptions, notes: string[]) => Promise<Source>,
  layersOf: () => Promise<readonly string[]>,
): Promise<Source> {
  try {
    return await open(options, []);
  } catch (error) {
    const layer = isNoCounts(error, options) ? countsLayer(await layersOf()) : undefined;
    if (layer === undefined) throw error;
    const note = `X holds no counts: the layer "${layer}" was taken; choose with --layer`;
    return open({ ...options, layer }, [note]);
  }
}
