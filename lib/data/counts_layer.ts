import { DdscError } from "../errors.js";
import type { OpenOptions } from "./source.js";

const COUNTS = /count|raw|umi/i;

/** The layer that holds raw counts, going by its name; undefined if there is none. */
export function countsLayer(layers: readonly string[]): string | undefined {
  return layers.find((name) => COUNTS.test(name));
}

/**
 * The layer of counts to take in place of an X whose first cells ended in `error`, because a value is negative or not finite
 * (scaled data). Undefined if the user chose the matrix, it was another error or there is no such layer.
 */
export function insteadOfX(
  error: unknown,
  options: OpenOptions,
  layers: readonly string[],
): string | undefined {
  const noCounts =
    error instanceof DdscError && (error.code === "DATA_NEGATIVE_COUNT" || error.code === "DATA_NOT_FINITE");
  return noCounts && options.layer === undefined && options.raw !== true ? countsLayer(layers) : undefined;
}

/** What to tell where that was done. */
export function insteadOfXNote(layer: string): string {
  return `X holds no counts: the layer "${layer}" was taken; choose with --layer`;
}
