import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { deflate } from "node:zlib";
import { DdscError } from "../../base/errors.js";
import { errorCode } from "../../base/files.js";
import { type PublishOptions, writeFolderAtomically } from "../../base/publish.js";
import { ChunkStream, DEFLATE_LEVEL, rowsOfChunk } from "../chunk_stream.js";
import {
  type Attributes,
  checkElements,
  type ElementArray,
  type ElementType,
  type HierarchyWriter,
  type NumberType,
  type StreamedArray,
  type StreamedTexts,
} from "../hierarchy_writer.js";

/** Size of a chunk of numbers before compression: a chunk is a file, and files have a price of their own. */
const CHUNK_BYTES = 1 << 20;
/** Texts of a chunk. */
const CHUNK_TEXTS = 1 << 16;

/** Each type as NumPy writes it: byte order, kind, bytes. */
const TYPES: Readonly<Record<NumberType | "boolean", { readonly name: string; readonly bytes: number }>> = {
  int8: { name: "|i1", bytes: 1 },
  uint8: { name: "|u1", bytes: 1 },
  int16: { name: "<i2", bytes: 2 },
  uint16: { name: "<u2", bytes: 2 },
  int32: { name: "<i4", bytes: 4 },
  uint32: { name: "<u4", bytes: 4 },
  int64: { name: "<i8", bytes: 8 },
  uint64: { name: "<u8", bytes: 8 },
  float32: { name: "<f4", bytes: 4 },
  float64: { name: "<f8", bytes: 8 },
  boolean: { name: "|b1", bytes: 1 },
};

const GROUP = { zarr_format: 2 } as const;
const COMPRESSOR = { id: "zlib", level: DEFLATE_LEVEL } as const;

const VLEN = [{ id: "vlen-utf8" }] as const;

const deflateAsync = promisify(deflate);

/** An array of numbers whose chunks are written one by one, in any order, by any process. */
export interface ChunkGrid {
  /** Absolute path in the store. */
  readonly path: string;
  readonly type: NumberType;
  readonly shape: readonly number[];
  /** Shape of a chunk: whole rows. */
  readonly chunk: readonly number[];
  /** How many chunks there are, one after the other along the rows. */
  readonly chunks: number;
}

/**
 * The chunks in which `ZarrWriter.streamDataset` stores an array of numbers.
 *
 * @param isOpen whether it is given the shape [Infinity], and learns the vector's length in the end
 */
export function chunkGrid(
  path: string,
  type: NumberType,
  shape: readonly number[],
  isOpen: boolean,
): ChunkGrid {
  const [rows = 1, ...rest] = shape;
  const most = rowsOfChunk(TYPES[type].bytes, isOpen ? [Number.POSITIVE_INFINITY] : shape, CHUNK_BYTES);
  const chunkRows = isOpen && rows > 0 ? Math.min(rows, most) : most;
  const isEmpty = rest.some((extent) => extent === 0);
  return {
    ...{ path, type, shape },
    chunk: [chunkRows, ...rest],
    chunks: isEmpty ? 0 : Math.ceil(rows / chunkRows),
  };
}

/** The file of a chunk within the store's folder. */
export function chunkFile({ path, shape }: ChunkGrid, number: number): string {
  return join(...partsOf(path), `${number}${".0".repeat(Math.max(0, shape.length - 1))}`);
}

/** The `.zarray` of an array of numbers as `ZarrWriter` writes it. */
export function arrayMetadata({ type, shape, chunk }: Omit<ChunkGrid, "chunks" | "path">): object {
  const { name: dtype, bytes } = TYPES[type];
  return documentOf({
    shape,
    chunks: chunk.slice(0, shape.length).map((extent) => Math.max(1, extent)),
    dtype,
    fill_value: 0,
    filters: bytes > 1 ? [{ id: "shuffle", elementsize: bytes }] : null,
  });
}

/** What differs between arrays in their `.zarray`. */
interface ArrayDocument {
  readonly shape: readonly number[];
  readonly chunks: readonly number[];
  readonly dtype: string;
  readonly fill_value: number | boolean | string;
  readonly filters: readonly Readonly<Record<string, string | number>>[] | null;
}

/**
 * Writes the zarr store (version 2, a folder) that `fill` describes. It appears whole or not at all, in place of a store that
 * was there: see `writeFolderAtomically`. Throws `FILE_EXISTS` where something other than a store is at `path`, `FILE_WRITE`,
 * `ARGUMENT_NAME` for a name that a store cannot hold.
 */
export async function writeZarr(
  path: string,
  fill: (writer: ZarrWriter) => Promise<void>,
  options: PublishOptions = {},
): Promise<void> {
  await refuseOthers(path);
  const write = async (temporaryPath: string): Promise<void> => {
    const writer = await ZarrWriter.create(path, temporaryPath);
    await fill(writer);
    await writer.close();
    await refuseOthers(path);
  };
  await writeFolderAtomically(path, write, options);
}

/** A folder of something else is never replaced. */
async function refuseOthers(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return;
  const names = found.isDirectory() ? await readdir(path).catch(() => []) : undefined;
  if (names?.length === 0 || names?.some((name) => name === ".zgroup" || name === "zarr.json")) return;
  const what = names === undefined ? "a file" : "a folder with something other than a zarr store";
  throw new DdscError(
    "FILE_EXISTS",
    `${path}: there is ${what}, which is not replaced; choose another name`,
    {
      file: path,
    },
  );
}

/**
 * Writes a zarr store of version 2 into a folder, with consolidated metadata (https://zarr-specs.readthedocs.io: Zarr storage
 * specification version 2). Numbers are shuffled and deflated, in chunks of whole rows; text is of variable length (vlen-utf8).
 */
export class ZarrWriter implements HierarchyWriter {
  /** As the user named it. */
  readonly #name: string;
  /** Where it is written to until it is published. */
  readonly folder: string;
  readonly #groups = new Map<string, Attributes>();
  /** All metadata by its key: "obs/.zgroup". */
  readonly #documents = new Map<string, unknown>();

  private constructor(name: string, folder: string) {
    this.#name = name;
    this.folder = folder;
  }

  /** Makes `folder`, which must not exist, as an empty group; messages call it `name`. */
  static async create(name: string, folder: string): Promise<ZarrWriter> {
    await mkdir(folder);
    const writer = new ZarrWriter(name, folder);
    await writer.#write(".zgroup", GROUP);
    writer.#groups.set("", {});
    return writer;
  }

  async group(path: string, attributes: Attributes): Promise<void> {
    const key = await this.#group(partsOf(path));
    const all = { ...this.#groups.get(key), ...attributes };
    this.#groups.set(key, all);
    await this.#write(keyOf(key, ".zattrs"), all);
  }

  async dataset(
    path: string,
    type: ElementType,
    shape: readonly number[],
    values: ElementArray,
    attributes: Attributes = {},
  ): Promise<void> {
    checkElements(path, shape, values);
    if (ArrayBuffer.isView(values)) {
      if (type === "string") throw new RangeError(`${path}: numbers for text`);
      const stream = this.streamDataset(path, type, shape, attributes);
      await stream.append(values);
      return stream.finish();
    }
    if (shape.length === 0) return this.#text(await this.#array(path), values[0] ?? "", attributes);
    if (shape.length > 1) throw new RangeError(`${path}: text of ${shape.length} dimensions`);
    const stream = this.streamTexts(path, values.length, attributes);
    await stream.append(values);
    return stream.finish();
  }

  streamDataset(
    path: string,
    type: Exclude<ElementType, "string">,
    shape: readonly number[],
    attributes: Attributes = {},
  ): StreamedArray {
    const { name: dtype, bytes } = TYPES[type];
    const key = this.#arrayOnce(path);
    const across = ".0".repeat(Math.max(0, shape.length - 1));
    return new ChunkStream(bytes, shape, CHUNK_BYTES, {
      write: async (compressed, number) =>
        this.#writeBytes(keyOf(await key(), `${number}${across}`), compressed),
      finish: async (final, chunk) => {
        const document: ArrayDocument = {
          shape: final,
          chunks: chunk.slice(0, final.length).map((extent) => Math.max(1, extent)),
          dtype,
          fill_value: type === "boolean" ? false : 0,
          filters: bytes > 1 ? [{ id: "shuffle", elementsize: bytes }] : null,
        };
        await this.#finish(await key(), document, attributes);
      },
    });
  }

  /** An array whose chunks others write, to `chunkFile`s. */
  async arrayOf(grid: ChunkGrid, attributes: Attributes): Promise<void> {
    const key = await this.#array(grid.path);
    await this.#writeArray(key, arrayMetadata(grid), attributes);
  }

  streamTexts(path: string, length: number, attributes: Attributes = {}): StreamedTexts {
    const size = Math.max(1, Math.min(CHUNK_TEXTS, length));
    const key = this.#arrayOnce(path);
    let held: string[] = [];
    let received = 0;
    let chunks = 0;
    const write = async (): Promise<void> => {
      await this.#writeBytes(keyOf(await key(), String(chunks++)), await deflated(encodeTexts(held, size)));
      held = [];
    };
    return {
      append: async (texts) => {
        received += texts.length;
        if (received > length) throw new RangeError(`${path}: more than ${length} texts`);
        for (const text of texts) if (held.push(text) === size) await write();
      },
      finish: async () => {
        if (received < length) throw new RangeError(`${path}: ${received} texts instead of ${length}`);
        if (held.length > 0) await write();
        const document = { shape: [length], chunks: [size], dtype: "|O", fill_value: "", filters: VLEN };
        await this.#finish(await key(), document, attributes);
      },
    };
  }

  /** Writes the consolidated metadata; the store is complete only then. */
  async close(): Promise<void> {
    // In one order, whatever was written first; zarr-python sorts keys, too.
    const metadata = Object.fromEntries([...this.#documents].sort(([a], [b]) => (a < b ? -1 : 1)));
    const consolidated = { metadata, zarr_consolidated_format: 1 };
    await this.#writeBytes(".zmetadata", json(consolidated));
  }

  /** One text, of fixed width in UTF-32: readers give an array without dimensions as text, not as an object. */
  async #text(key: string, text: string, attributes: Attributes): Promise<void> {
    const points = Uint32Array.from(text === "" ? [0] : [...text].map((point) => point.codePointAt(0) ?? 0));
    await this.#writeBytes(keyOf(key, "0"), await deflated(new Uint8Array(points.buffer)));
    const type = `<U${points.length}`;
    const document = { shape: [], chunks: [], dtype: type, fill_value: "", filters: null };
    await this.#finish(key, document, attributes);
  }

  #finish(key: string, document: ArrayDocument, attributes: Attributes): Promise<void> {
    return this.#writeArray(key, documentOf(document), attributes);
  }

  async #writeArray(key: string, document: object, attributes: Attributes): Promise<void> {
    await this.#write(keyOf(key, ".zarray"), document);
    if (Object.keys(attributes).length > 0) await this.#write(keyOf(key, ".zattrs"), attributes);
  }

  /** `#array` when it is first asked for: the folder is made with the first chunk, or in the end. */
  #arrayOnce(path: string): () => Promise<string> {
    let made: Promise<string> | undefined;
    return () => {
      made ??= this.#array(path);
      return made;
    };
  }

  /** Makes the folder of an array, and the groups that it is in; its key. */
  async #array(path: string): Promise<string> {
    const parts = partsOf(path);
    const name = parts.pop() ?? "";
    const key = keyOf(await this.#group(parts), name);
    await this.#makeFolder(key, name);
    return key;
  }

  /** Makes a group, and those that it is in, where they are missing; its key. */
  async #group(parts: readonly string[]): Promise<string> {
    let key = "";
    for (const part of parts) {
      key = keyOf(key, part);
      if (this.#groups.has(key)) continue;
      await this.#makeFolder(key, part);
      await this.#write(keyOf(key, ".zgroup"), GROUP);
      this.#groups.set(key, {});
    }
    return key;
  }

  async #makeFolder(key: string, name: string): Promise<void> {
    // Python takes a backslash for a slash.
    if (name.startsWith(".z") || name.includes("\\"))
      throw this.#unwritable(key, "has a use of its own there");
    try {
      await mkdir(join(this.folder, key));
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw error;
      throw this.#unwritable(key, "is the same as another to this file system");
    }
  }

  #unwritable(key: string, why: string): DdscError {
    return new DdscError(
      "ARGUMENT_NAME",
      `${this.#name}: "${key}" cannot be written to a zarr store: the name ${why}; rename it, or write .h5ad`,
      { file: this.#name, argument: key },
    );
  }

  async #write(key: string, document: unknown): Promise<void> {
    this.#documents.set(key, document);
    await writeFile(join(this.folder, key), json(document));
  }

  async #writeBytes(key: string, bytes: Uint8Array | string): Promise<void> {
    await writeFile(join(this.folder, key), bytes, { flag: "wx" });
  }
}

function documentOf(document: ArrayDocument): object {
  return { zarr_format: 2, ...document, compressor: COMPRESSOR, order: "C", dimension_separator: "." };
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "");
}

function keyOf(group: string, name: string): string {
  return group === "" ? name : `${group}/${name}`;
}

/** JSON in ASCII: zarr-python 2 decodes nothing else. */
function json(document: unknown): string {
  return JSON.stringify(document, undefined, 4).replaceAll(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function deflated(bytes: Uint8Array): Promise<Buffer> {
  return deflateAsync(bytes, { level: DEFLATE_LEVEL });
}

/** A chunk of `size` texts (numcodecs' vlen-utf8): their number, then the length of each in bytes and its UTF-8; empty ones at the end. */
function encodeTexts(texts: readonly string[], size: number): Buffer {
  const encoded = Array.from({ length: size }, (_, i) => Buffer.from(texts[i] ?? ""));
  const chunk = Buffer.alloc(encoded.reduce((sum, { length }) => sum + 4 + length, 4));
  let at = chunk.writeUInt32LE(size, 0);
  for (const text of encoded) {
    at = chunk.writeUInt32LE(text.length, at);
    at += text.copy(chunk, at);
  }
  return chunk;
}
