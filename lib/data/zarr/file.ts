import * as zarr from "zarrita";
import { DdscError } from "../../base/errors.js";
import { isObject, type JsonObject, parseJson } from "../../base/json.js";
import type { Hierarchy, NodeKind } from "../hierarchy.js";
import { corrupt } from "../io/random_access.js";
import { type ChunkCache, chunkCache, ZarrArray } from "./array.js";
import { elementBytes, useStrictCodecs } from "./codecs.js";
import { MAX_OBJECT_BYTES, openStore, type ZarrStore } from "./store.js";

const MAX_EXTENT = Number.MAX_SAFE_INTEGER;
/** An index of so many chunks is taken for one shard at most. */
const MAX_SHARD_CHUNKS = 1 << 24;

/** A node's metadata, as far as all versions have it. */
interface Node {
  readonly kind: "group" | "array";
  readonly attributes: JsonObject;
  /** Shapes of an array; empty for a group. */
  readonly document: JsonObject;
}

/** A zarr hierarchy (version 2 or 3, in a folder or a zip archive), opened for reading; failures are `DdscError`s. */
export class ZarrFile implements Hierarchy {
  readonly path: string;
  readonly what = "a zarr store";
  readonly keepsChunks = true;
  readonly #store: ZarrStore;
  readonly #version: 2 | 3;
  readonly #nodes = new Map<string, Promise<Node | undefined>>();
  readonly #arrays = new Map<string, Promise<ZarrArray>>();
  readonly #cache: ChunkCache = chunkCache();

  private constructor(store: ZarrStore, version: 2 | 3) {
    this.path = store.name;
    this.#store = store;
    this.#version = version;
  }

  /** Opens `path`. Throws `DATA_FORMAT` if it holds no hierarchy, and the errors of the store. */
  static async open(path: string): Promise<ZarrFile> {
    useStrictCodecs();
    const store = await openStore(path);
    try {
      if ((await store.get("/zarr.json")) !== undefined) return new ZarrFile(store, 3);
      if ((await store.get("/.zgroup")) !== undefined) return new ZarrFile(store, 2);
      throw new DdscError(
        "DATA_FORMAT",
        `${path}: holds no zarr hierarchy: there is neither zarr.json nor .zgroup`,
        {
          file: path,
        },
      );
    } catch (error) {
      store.close();
      throw error;
    }
  }

  async kind(path: string): Promise<NodeKind> {
    return (await this.#node(path))?.kind ?? "missing";
  }

  members(path: string): Promise<string[]> {
    return this.#store.children(path);
  }

  async attribute(path: string, name: string): Promise<unknown> {
    return (await this.#node(path))?.attributes[name];
  }

  async isNull(path: string): Promise<boolean> {
    return (await this.attribute(path, "encoding-type")) === "null";
  }

  /** Throws `DATA_TOO_LARGE` for chunks of more than 1 GiB, too. */
  array(path: string): Promise<ZarrArray> {
    const known = this.#arrays.get(path);
    if (known !== undefined) return known;
    const opened = this.#openArray(path);
    this.#arrays.set(path, opened);
    return opened;
  }

  corrupt(path: string, what: string): DdscError {
    return corrupt(this.path, `${path}: ${what}`);
  }

  /** Releases files and memory. */
  [Symbol.dispose](): void {
    this.#cache.clear();
    this.#store.close();
  }

  #node(path: string): Promise<Node | undefined> {
    const known = this.#nodes.get(path);
    if (known !== undefined) return known;
    const read = this.#version === 3 ? this.#readNode3(path) : this.#readNode2(path);
    this.#nodes.set(path, read);
    return read;
  }

  async #readNode3(path: string): Promise<Node | undefined> {
    const document = await this.#json(`${path}/zarr.json`);
    if (document === undefined) return undefined;
    const kind = document.node_type;
    if (document.zarr_format !== 3 || (kind !== "group" && kind !== "array")) {
      throw this.corrupt(path, "zarr.json is that of neither a group nor an array");
    }
    return { kind, attributes: asObject(document.attributes) ?? {}, document };
  }

  async #readNode2(path: string): Promise<Node | undefined> {
    const array = await this.#json(`${path}/.zarray`);
    const document = array ?? (await this.#json(`${path}/.zgroup`));
    if (document === undefined) return undefined;
    if (document.zarr_format !== 2) throw this.corrupt(path, "its metadata is not of zarr version 2");
    const attributes = (await this.#json(`${path}/.zattrs`)) ?? {};
    return { kind: array === undefined ? "group" : "array", attributes, document };
  }

  async #json(key: string): Promise<JsonObject | undefined> {
    const place = key.replace(/^\/+/, "/");
    const bytes = await this.#store.get(place);
    if (bytes === undefined) return undefined;
    try {
      const document = asObject(parseJson(bytes));
      if (document !== undefined) return document;
    } catch {
      // Told below.
    }
    throw this.corrupt(place, "is no JSON object");
  }

  /** Metadata is checked before zarrita reads it again. */
  async #openArray(path: string): Promise<ZarrArray> {
    const node = await this.#node(path);
    if (node?.kind !== "array")
      throw this.corrupt(path, `is ${node === undefined ? "missing" : "a group"}, not an array`);
    this.#checkShapes(path, node.document);
    try {
      const location = zarr.root(this.#store as zarr.Readable).resolve(path);
      const open = this.#version === 3 ? zarr.open.v3 : zarr.open.v2;
      const array = await open(location, { kind: "array" });
      if (
        elementBytes(array.dtype) === undefined &&
        array.dtype !== "string" &&
        array.dtype !== "v2:object"
      ) {
        throw this.#unsupported(path, `elements of the type ${String(array.dtype)}`);
      }
      return new ZarrArray(array, path, {
        cache: this.#cache,
        storedBytes: () => this.#store.storedBytes(path),
        corrupt: (what) => this.corrupt(path, what),
        failure: (error) => this.#failure(path, error),
      });
    } catch (error) {
      throw this.#failure(path, error);
    }
  }

  /** What an error of zarrita about the node at `path` means; a DdscError is passed through. */
  #failure(path: string, error: unknown): DdscError {
    if (error instanceof DdscError) return error;
    for (let cause = error; cause instanceof Error; cause = cause.cause) {
      if (cause instanceof DdscError) return cause;
      const unsupported = cause instanceof zarr.UnknownCodecError || cause instanceof zarr.UnsupportedError;
      if (unsupported || cause.message.startsWith("Unknown or unsupported")) {
        return this.#unsupported(path, cause.message.replace(/\s+/g, " "));
      }
      if (!(cause.cause instanceof Error)) return this.corrupt(path, cause.message.replace(/\s+/g, " "));
    }
    return this.corrupt(path, String(error));
  }

  #unsupported(path: string, what: string): DdscError {
    return new DdscError(
      "DATA_FORMAT",
      `${this.path}: ${path}: not supported: ${what}; write it with a codec of zarr's specification`,
      { file: this.path },
    );
  }

  /** Refuses shapes that make no sense, and chunks that are larger than can be read, before anything is allocated. */
  #checkShapes(path: string, document: JsonObject): void {
    const grid = asObject(asObject(document.chunk_grid)?.configuration);
    const shape = document.shape;
    const outer = this.#version === 3 ? grid?.chunk_shape : document.chunks;
    const inner = shardedShape(document) ?? outer;
    if (!isShape(shape, 0) || !isShape(outer, 1) || !isShape(inner, 1)) {
      throw this.corrupt(path, "its shape or that of its chunks is none");
    }
    const fits = outer.length === shape.length && inner.length === shape.length;
    if (!fits || outer.some((extent, axis) => extent % (inner[axis] ?? 1) !== 0)) {
      throw this.corrupt(
        path,
        `chunks of [${inner.join(", ")}] do not divide [${outer.join(", ")}] of [${shape.join(", ")}]`,
      );
    }
    const chunks = outer.reduce((product, extent, axis) => product * (extent / (inner[axis] ?? 1)), 1);
    const bytes = inner.reduce((product, extent) => product * extent, this.#elementBytes(document));
    if (bytes <= MAX_OBJECT_BYTES && chunks <= MAX_SHARD_CHUNKS) return;
    throw new DdscError(
      "DATA_TOO_LARGE",
      `${this.path}: ${path} has chunks of [${inner.join(", ")}] in pieces of [${outer.join(", ")}]; at most 1 GiB a chunk can be read`,
      { file: this.path },
    );
  }

  /** Bytes of an element, at least 1; of text a small guess. */
  #elementBytes({ dtype, data_type }: JsonObject): number {
    if (typeof data_type === "string") return elementBytes(data_type) ?? 1;
    const size = typeof dtype === "string" ? /^[<>|]([a-zA-Z])(\d+)$/.exec(dtype) : null;
    return Math.max(1, Number(size?.[2] ?? 1) * (size?.[1] === "U" ? 4 : 1));
  }
}

/** The shape of the chunks within shards; undefined where there are none. */
function shardedShape({ codecs }: JsonObject): unknown {
  if (!Array.isArray(codecs)) return undefined;
  const sharding = codecs.map(asObject).find((codec) => codec?.name === "sharding_indexed");
  return asObject(sharding?.configuration)?.chunk_shape;
}

function asObject(value: unknown): JsonObject | undefined {
  return isObject(value) ? value : undefined;
}

function isShape(value: unknown, least: number): value is readonly number[] {
  return (
    Array.isArray(value) &&
    value.every((extent) => Number.isSafeInteger(extent) && extent >= least && extent <= MAX_EXTENT)
  );
}
