import { lstat } from "node:fs/promises";
import { checkKind } from "../base/arguments.js";
import { DdscError, wrongType } from "../base/errors.js";
import { otherEnding } from "../data/anndata/endings.js";
import { openCells } from "../data/open/open_cells.js";
import type { Peers } from "../data/open/share_out.js";
import type { CellSource } from "../data/sources/source.js";
import type { DType } from "../native/types.js";
import { Denoiser } from "./denoiser.js";

/** Cells and models that a task is given, open or as paths: what it opens itself is closed with it. */
export class Opened implements Disposable {
  readonly #opened: Disposable[] = [];

  /** Closes something with the task. */
  own<D extends Disposable>(one: D): D {
    this.#opened.push(one);
    return one;
  }

  /** Cells, or what `openCells` opens, with these peers. Throws `ARGUMENT_TYPE` and as `openCells`. */
  async cells(
    argument: string,
    given: string | readonly string[] | CellSource,
    peers?: Peers,
  ): Promise<CellSource> {
    const isPath = typeof given === "string" || Array.isArray(given);
    if (isPath) return this.own(await openCells(given, {}, peers));
    checkKind(argument, given, "cells");
    // What is no array of paths is a source.
    return given as CellSource;
  }

  /** A model, or the one in a folder. Throws as `Denoiser.load`. */
  async model(given: string | Denoiser): Promise<Denoiser> {
    return typeof given === "string" ? this.own(await Denoiser.load(given)) : given;
  }

  /** The model in a folder, for predictions on a device. Throws as `Denoiser.load`. */
  async modelOn(
    folder: string,
    { device, dtype }: { readonly device?: string | undefined; readonly dtype?: DType | undefined },
  ): Promise<Denoiser> {
    const options = {
      ...(device === undefined ? {} : { device }),
      ...(dtype === undefined ? {} : { dtype }),
    };
    return this.own(await Denoiser.load(folder, options));
  }

  [Symbol.dispose](): void {
    for (const one of this.#opened.splice(0).reverse()) one[Symbol.dispose]();
  }
}

/**
 * Before a task opens anything: throws `ARGUMENT_TYPE` for something else than a model, its folder or the path of a file,
 * `ARGUMENT_CHOICE` where the ending of `out` promises a format that is not written, and `FILE_EXISTS` where something is at `out` that may not be replaced.
 */
export async function checkFileTask(options: {
  readonly model: string | Denoiser;
  readonly out: string;
  readonly overwrite?: boolean;
}): Promise<void> {
  const { model, out, overwrite = false } = options;
  checkKind("out", out, "text");
  if (typeof model !== "string" && !(model instanceof Denoiser))
    throw wrongType("model", model, "a Denoiser or the folder of one");
  const ending = otherEnding(out);
  if (ending !== undefined) {
    throw new DdscError(
      "ARGUMENT_CHOICE",
      `out: no ${ending} is written, which ${out} promises; give NAME.h5ad or NAME.zarr`,
      { argument: "out" },
    );
  }
  if (overwrite || !(await lstat(out).then(Boolean, () => false))) return;
  throw new DdscError("FILE_EXISTS", `${out}: already exists; choose another out, or pass overwrite`, {
    file: out,
    argument: "out",
  });
}
