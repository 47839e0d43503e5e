import type { Metadata } from "h5wasm";
import type { DdscError } from "../../base/errors.js";
import type { Hierarchy, NodeKind } from "../hierarchy.js";
import { Hdf5Array } from "./array.js";
import { type Fill, Hdf5Handle } from "./handle.js";
import { CLASS, elementKind, numberArray } from "./types.js";

/** An HDF5 file opened for reading. */
export class Hdf5File implements Hierarchy {
  readonly path: string;
  readonly what = "an HDF5 file";
  readonly keepsChunks = false;
  readonly #handle: Hdf5Handle;
  readonly #metadata = new Map<string, Metadata>();

  private constructor(handle: Hdf5Handle) {
    this.path = handle.path;
    this.#handle = handle;
  }

  /** Opens `path`. Throws `DATA_TRUNCATED` or `DATA_CORRUPT`. The file must exist and be readable. */
  static async open(path: string): Promise<Hdf5File> {
    return new Hdf5File(await Hdf5Handle.open(path));
  }

  async kind(path: string): Promise<NodeKind> {
    await this.#handle.takeTurn();
    return this.#handle.call(path, (module) => {
      const type = module.get_type(this.#handle.id, path);
      if (type === module.H5G_GROUP) return "group";
      if (type === module.H5G_DATASET) return "array";
      return type === -1 ? "missing" : "other";
    });
  }

  async members(path: string): Promise<string[]> {
    await this.#handle.takeTurn();
    return this.#handle.call(path, (module) => module.get_names(this.#handle.id, path, false));
  }

  async array(path: string): Promise<Hdf5Array> {
    return new Hdf5Array(this.#handle, path, await this.#datasetMetadata(path));
  }

  /** HDF5's null dataspace, which AnnData writes for None. */
  async isNull(path: string): Promise<boolean> {
    return (await this.#datasetMetadata(path)).shape === null;
  }

  /** A reference to another object becomes that object's path. */
  async attribute(
    path: string,
    name: string,
  ): Promise<string | number | boolean | readonly string[] | readonly number[] | undefined> {
    const handle = this.#handle;
    await handle.takeTurn();
    const names = handle.call(path, (module) => module.get_attribute_names(handle.id, path));
    if (!names.includes(name)) return undefined;
    const place = `${path} attribute ${name}`;
    await handle.takeTurn();
    const metadata = handle.call(place, (module) => module.get_attribute_metadata(handle.id, path, name));
    const { shape } = metadata;
    if (shape === null) return undefined;
    const count = shape.reduce((product, extent) => product * extent, 1);
    const bytes = count * metadata.size;
    handle.checkClaim(place, bytes);
    await handle.takeTurn();
    const fill: Fill = (module, pointer) => module.get_attribute_data(handle.id, path, name, pointer);
    if (metadata.type === CLASS.reference) {
      const reference = handle.bytes(place, bytes, fill);
      return handle.call(place, (module) => module.get_referenced_name(handle.id, reference, true));
    }
    if (metadata.type === CLASS.string) {
      const strings = handle.strings(place, metadata, count, fill, (module, pointer) =>
        module.reclaim_vlen_memory(handle.id, path, name, pointer),
      );
      return shape.length === 0 ? strings[0] : strings;
    }
    const kind = elementKind(metadata);
    if (kind === "string" || kind === "other") return undefined;
    const values = numberArray(metadata, kind, handle.bytes(place, bytes, fill));
    if (values === undefined) return undefined;
    const numbers = Array.from(values as ArrayLike<number | bigint>, Number);
    if (shape.length > 0) return numbers;
    return kind === "boolean" ? numbers[0] === 1 : numbers[0];
  }

  corrupt(path: string, what: string): DdscError {
    return this.#handle.corrupt(path, what);
  }

  /** Closes the file; further use throws. */
  [Symbol.dispose](): void {
    this.#handle.close();
  }

  async #datasetMetadata(path: string): Promise<Metadata> {
    const known = this.#metadata.get(path);
    if (known !== undefined) return known;
    const kind = await this.kind(path);
    if (kind !== "array")
      throw this.corrupt(path, `is ${kind === "missing" ? "missing" : `a ${kind}`}, not a dataset`);
    await this.#handle.takeTurn();
    const metadata = this.#handle.call(path, (module) => module.get_dataset_metadata(this.#handle.id, path));
    this.#metadata.set(path, metadata);
    return metadata;
  }
}
