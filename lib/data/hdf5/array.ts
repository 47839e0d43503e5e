import { takeTurn } from "../../base/turns.js";
import type { ElementKind, StoredArray } from "../hierarchy.js";
import type { NumberArray } from "../sources/number_array.js";
import type { RowSpan } from "../sources/parts.js";
import type { Dataset, OpenFile } from "./messages.js";

/** Strings that come from the thread at a time, each of which has to be made again here: a millisecond. */
const STRINGS_AT_ONCE = 4096;

/** A dataset of an HDF5 file. */
export class Hdf5Array implements StoredArray {
  readonly path: string;
  readonly shape: readonly number[];
  readonly kind: ElementKind;
  readonly elementBytes: number;
  readonly chunkShape: readonly number[] | undefined;
  readonly #file: OpenFile;

  /** Throws `DATA_CORRUPT` if the shape that the file tells is none. */
  constructor(file: OpenFile, path: string, { shape, kind, elementBytes, chunkShape }: Dataset) {
    if (shape === null || !shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0)) {
      throw file.corrupt(path, "its shape cannot be read");
    }
    this.path = path;
    this.shape = shape;
    this.kind = kind;
    this.elementBytes = elementBytes;
    this.chunkShape = chunkShape;
    this.#file = file;
  }

  numbers(first: number, end: number, columns?: RowSpan): Promise<NumberArray> {
    return this.#file.ask("numbers", this.path, first, end, columns);
  }

  async strings(first: number, end: number): Promise<string[]> {
    const strings: string[] = [];
    for (let at = first; at < end || at === first; at += STRINGS_AT_ONCE) {
      const piece = await this.#file.ask("strings", this.path, at, Math.min(end, at + STRINGS_AT_ONCE));
      for (const text of piece) strings.push(text);
      await takeTurn();
    }
    return strings;
  }

  checkClaim(): Promise<void> {
    return this.#file.ask("checkClaim", this.path);
  }
}
