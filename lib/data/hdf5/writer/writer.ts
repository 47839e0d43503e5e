import { type FileHandle, open } from "node:fs/promises";
import { DdscError } from "../../../base/errors.js";
import type { NumberArray } from "../../sources/number_array.js";
import { type ChunkPlace, compressChunk, DEFLATE_LEVEL, writeChunkTree } from "./chunks.js";
import {
  attributeMessage,
  ByteWriter,
  chunkedLayoutMessage,
  contiguousLayoutMessage,
  dataspaceMessage,
  datatypeMessage,
  ELEMENT_BYTES,
  type ElementType,
  fillValueMessage,
  groupMessages,
  linkMessage,
  type Message,
  MessageKind,
  objectHeader,
  padded,
  SUPERBLOCK_BYTES,
  shuffleDeflateMessage,
  superblock,
} from "./format.js";

/** Elements of a dataset: numbers as typed arrays, booleans as 0 or 1 in a Uint8Array, strings as an array. */
export type ElementArray = NumberArray | readonly string[];

/** Value of an attribute; whole numbers are stored as int64. */
export type AttributeValue = string | boolean | number | readonly string[] | readonly number[];
export type { ElementType };
export type Attributes = Readonly<Record<string, AttributeValue>>;

const HEAP_BYTES = 16_384;
const OBJECT_PREFIX_BYTES = 16;
/** Arrays below this many bytes are stored in one piece, as they are. */
const CHUNK_BYTES = 1 << 18;
const MAX_MESSAGE_BYTES = 65_528;
const MAX_MESSAGES = 65_535;

interface GroupNode {
  readonly attributes: Message[];
  readonly children: Map<string, GroupNode | number>;
}

function asBytes(values: Exclude<ElementArray, readonly string[]>): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/**
 * Writes an HDF5 file from front to back, holding no more than one chunk in memory. It exists beside h5wasm
 * because AnnData stores booleans and the `ordered` attribute as enumerations, which h5wasm reads but cannot
 * write, and because h5wasm's memory ends at 2 GiB. Errors are those of the file system, as Node gives them.
 */
export class Hdf5Writer {
  readonly #file: FileHandle;
  readonly #root: GroupNode = { attributes: [], children: new Map() };
  #end = SUPERBLOCK_BYTES;
  #heap: Buffer | undefined;
  #heapAddress = 0;
  #heapUsed = 0;
  #heapObjects = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Creates `path`, which must not exist. */
  static async create(path: string): Promise<Hdf5Writer> {
    return new Hdf5Writer(await open(path, "wx"));
  }

  /** Makes the group `path` ("/" is there already), and those above it, and gives it attributes. */
  async group(path: string, attributes: Attributes): Promise<void> {
    const node = this.#groupAt(path.split("/").filter((part) => part !== ""));
    node.attributes.push(...(await this.#attributeMessages(path, attributes)));
  }

  /** Writes a whole dataset. `shape` [] is a scalar. Large arrays of numbers are compressed. */
  async dataset(
    path: string,
    type: ElementType,
    shape: readonly number[],
    values: ElementArray,
    attributes: Attributes = {},
  ): Promise<void> {
    const elements = shape.reduce((product, extent) => product * extent, 1);
    if (values.length !== elements) {
      throw new RangeError(`${path}: ${values.length} values for shape [${shape.join(", ")}]`);
    }
    if (type === "string" || !ArrayBuffer.isView(values) || values.byteLength < CHUNK_BYTES) {
      const bytes = ArrayBuffer.isView(values) ? asBytes(values) : await this.#strings(values);
      const address = await this.#append(bytes);
      const layout = { kind: MessageKind.layout, body: contiguousLayoutMessage(address, bytes.byteLength) };
      await this.#finishDataset(path, type, shape, [layout], attributes);
      return;
    }
    const stream = this.streamDataset(path, type, shape, attributes);
    await stream.append(values);
    await stream.finish();
  }

  /** A dataset of numbers whose values arrive in pieces, in order. Shape [Infinity]: a vector as long as it turns out to be. */
  streamDataset(
    path: string,
    type: Exclude<ElementType, "string">,
    shape: readonly number[],
    attributes: Attributes = {},
  ): DatasetStream {
    return new DatasetStream(type, shape, {
      nextAddress: () => this.#end,
      write: async (bytes) => {
        await this.#append(bytes);
      },
      finish: (messages, final) => this.#finishDataset(path, type, final, messages, attributes),
    });
  }

  /** Writes what is left (heaps, groups, superblock) and closes the file, which is complete only then. */
  async close(): Promise<void> {
    await this.#flushHeap();
    const root = await this.#writeGroup(this.#root);
    await this.#file.write(superblock(root, this.#end), 0, SUPERBLOCK_BYTES, 0);
    await this.#file.close();
  }

  /** Closes the file unfinished, after an error. */
  async abandon(): Promise<void> {
    await this.#file.close();
  }

  async #finishDataset(
    path: string,
    type: ElementType,
    shape: readonly number[],
    layout: readonly Message[],
    attributes: Attributes,
  ): Promise<void> {
    const header = objectHeader([
      { kind: MessageKind.dataspace, body: dataspaceMessage(shape) },
      { kind: MessageKind.datatype, body: datatypeMessage(type) },
      { kind: MessageKind.fillValue, body: fillValueMessage() },
      ...layout,
      ...(await this.#attributeMessages(path, attributes)),
    ]);
    const parts = path.split("/").filter((part) => part !== "");
    const name = parts.pop() ?? "";
    this.#groupAt(parts).children.set(name, await this.#append(header));
  }

  #groupAt(parts: readonly string[]): GroupNode {
    let node = this.#root;
    for (const part of parts) {
      let child = node.children.get(part);
      if (child === undefined) {
        child = { attributes: [], children: new Map() };
        node.children.set(part, child);
      }
      if (typeof child === "number") throw new RangeError(`${parts.join("/")}: ${part} is a dataset`);
      node = child;
    }
    return node;
  }

  async #writeGroup(node: GroupNode): Promise<number> {
    const messages: Message[] = [...groupMessages(), ...node.attributes];
    for (const [name, child] of node.children) {
      const address = typeof child === "number" ? child : await this.#writeGroup(child);
      messages.push({ kind: MessageKind.link, body: linkMessage(name, address) });
    }
    if (messages.length > MAX_MESSAGES) {
      throw new DdscError("DATA_TOO_LARGE", `a group of more than ${MAX_MESSAGES} members cannot be written`);
    }
    return this.#append(objectHeader(messages));
  }

  async #attributeMessages(path: string, attributes: Attributes): Promise<Message[]> {
    const messages: Message[] = [];
    for (const [name, value] of Object.entries(attributes)) {
      const body = await this.#attribute(name, value);
      if (body.length > MAX_MESSAGE_BYTES) {
        throw new DdscError(
          "DATA_TOO_LARGE",
          `attribute ${name} of ${path} does not fit into the 64 KiB that HDF5 allows; write fewer columns`,
        );
      }
      messages.push({ kind: MessageKind.attribute, body });
    }
    return messages;
  }

  async #attribute(name: string, value: AttributeValue): Promise<Buffer> {
    if (typeof value === "boolean")
      return attributeMessage(name, "boolean", [], Uint8Array.of(Number(value)));
    if (typeof value === "string") return attributeMessage(name, "string", [], await this.#strings([value]));
    const shape = typeof value === "number" ? [] : [value.length];
    const items: readonly (number | string)[] = typeof value === "number" ? [value] : value;
    if (items.every((item) => typeof item === "string") && items.length > 0) {
      return attributeMessage(name, "string", shape, await this.#strings(items));
    }
    const numbers = items.map(Number);
    // AnnData writes an empty list of column names as an empty float64 array, too.
    if (numbers.length === 0 || !numbers.every(Number.isSafeInteger)) {
      return attributeMessage(name, "float64", shape, asBytes(Float64Array.from(numbers)));
    }
    return attributeMessage(name, "int64", shape, asBytes(BigInt64Array.from(numbers, BigInt)));
  }

  /** Puts strings into global heaps; the references to them, 16 bytes a string. */
  async #strings(values: readonly string[]): Promise<Buffer> {
    const references = Buffer.alloc(values.length * ELEMENT_BYTES.string);
    for (const [i, value] of values.entries()) {
      // A reference of zeros is the empty string.
      if (value === "") continue;
      const bytes = Buffer.from(value);
      const object = await this.#heapObject(bytes);
      references.writeUInt32LE(bytes.length, i * 16);
      references.writeBigUInt64LE(BigInt(this.#heapAddress), i * 16 + 4);
      references.writeUInt32LE(object, i * 16 + 12);
    }
    return references;
  }

  /** Adds an object to the current heap (section III.E), or to a new one; returns its number there. */
  async #heapObject(bytes: Buffer): Promise<number> {
    const needed = OBJECT_PREFIX_BYTES + Math.ceil(bytes.length / 8) * 8;
    if (this.#heap !== undefined && this.#heapUsed + needed > this.#heap.length) await this.#flushHeap();
    if (this.#heap === undefined) {
      const size = Math.max(HEAP_BYTES, OBJECT_PREFIX_BYTES + needed);
      this.#heap = Buffer.alloc(size);
      this.#heap.set(new ByteWriter().bytes(Buffer.from("GCOL")).u8(1, 0, 0, 0).u64(size).done());
      this.#heapUsed = OBJECT_PREFIX_BYTES;
      this.#heapObjects = 0;
      this.#heapAddress = this.#end;
      this.#end += size;
    }
    const number = ++this.#heapObjects;
    const prefix = new ByteWriter().u16(number).u16(0).u32(0).u64(bytes.length).done();
    this.#heap.set(prefix, this.#heapUsed);
    this.#heap.set(bytes, this.#heapUsed + OBJECT_PREFIX_BYTES);
    this.#heapUsed += needed;
    return number;
  }

  async #flushHeap(): Promise<void> {
    if (this.#heap === undefined) return;
    const free = this.#heap.length - this.#heapUsed;
    // Object 0 is the free space; too little of it to have a prefix is left as zeros.
    if (free >= OBJECT_PREFIX_BYTES) {
      this.#heap.set(new ByteWriter().u32(0).u32(0).u64(free).done(), this.#heapUsed);
    }
    await this.#writeAt(this.#heap, this.#heapAddress);
    this.#heap = undefined;
  }

  /** Appends bytes at the next multiple of 8 and returns their address. */
  async #append(bytes: Uint8Array): Promise<number> {
    const address = this.#end;
    const block = bytes.byteLength % 8 === 0 ? bytes : padded(bytes);
    this.#end += block.byteLength;
    await this.#writeAt(block, address);
    return address;
  }

  async #writeAt(bytes: Uint8Array, address: number): Promise<void> {
    let done = 0;
    while (done < bytes.byteLength) {
      const { bytesWritten } = await this.#file.write(bytes, done, bytes.byteLength - done, address + done);
      done += bytesWritten;
    }
  }
}

/** What a stream needs of the file it belongs to. */
interface StreamFile {
  readonly nextAddress: () => number;
  readonly write: (bytes: Uint8Array) => Promise<void>;
  readonly finish: (layout: readonly Message[], shape: readonly number[]) => Promise<void>;
}

/** Rows of a dataset, appended in order and written as compressed chunks of whole rows. */
export class DatasetStream {
  readonly #shape: readonly number[];
  readonly #file: StreamFile;
  readonly #elementBytes: number;
  #chunk: readonly number[];
  #buffer: Uint8Array;
  /** Bytes; infinite for a vector of open length. */
  readonly #total: number;
  readonly #places: ChunkPlace[] = [];
  #filled = 0;
  #received = 0;

  /** Made by `Hdf5Writer.streamDataset`. */
  constructor(type: Exclude<ElementType, "string">, shape: readonly number[], file: StreamFile) {
    this.#shape = shape;
    this.#file = file;
    this.#elementBytes = ELEMENT_BYTES[type];
    const [rows = 1, ...rest] = shape;
    const rowBytes = this.#elementBytes * rest.reduce((product, extent) => product * extent, 1);
    const chunkRows = Math.max(1, Math.min(rows, Math.floor(CHUNK_BYTES / Math.max(1, rowBytes))));
    this.#chunk = [chunkRows, ...rest];
    this.#buffer = new Uint8Array(chunkRows * rowBytes);
    this.#total = rows * rowBytes;
  }

  /** Appends values, any number of them at a time. */
  async append(values: Exclude<ElementArray, readonly string[]>): Promise<void> {
    const bytes = asBytes(values);
    this.#received += bytes.length;
    if (this.#received > this.#total)
      throw new RangeError(`more values than shape [${this.#shape.join(", ")}] holds`);
    for (let start = 0; start < bytes.length; ) {
      const count = Math.min(bytes.length - start, this.#buffer.length - this.#filled);
      this.#buffer.set(bytes.subarray(start, start + count), this.#filled);
      this.#filled += count;
      start += count;
      if (this.#filled === this.#buffer.length) await this.#flush();
    }
  }

  /** Ends the dataset; throws a RangeError unless it is full. */
  async finish(): Promise<void> {
    const isOpen = this.#total === Number.POSITIVE_INFINITY;
    if (!isOpen && this.#received !== this.#total)
      throw new RangeError(`too few values for shape [${this.#shape.join(", ")}]`);
    const shape = isOpen ? [this.#received / this.#elementBytes] : this.#shape;
    if (isOpen && this.#places.length === 0 && this.#filled > 0) {
      // A chunk may not be longer than its dataset.
      this.#chunk = shape;
      this.#buffer = this.#buffer.subarray(0, this.#filled);
    }
    if (this.#filled > 0) await this.#flush();
    if (this.#places.length === 0) {
      await this.#file.finish([{ kind: MessageKind.layout, body: contiguousLayoutMessage(0, 0) }], shape);
      return;
    }
    const { nextAddress, write } = this.#file;
    const tree = await writeChunkTree(this.#places, this.#chunk, nextAddress, write);
    await this.#file.finish(
      [
        { kind: MessageKind.layout, body: chunkedLayoutMessage(tree, this.#chunk, this.#elementBytes) },
        { kind: MessageKind.filters, body: shuffleDeflateMessage(this.#elementBytes, DEFLATE_LEVEL) },
      ],
      shape,
    );
  }

  /** Writes the chunk in the buffer; the last one is filled up with zeros. */
  async #flush(): Promise<void> {
    this.#buffer.fill(0, this.#filled);
    const compressed = await compressChunk(this.#buffer, this.#elementBytes);
    this.#places.push({ address: this.#file.nextAddress(), bytes: compressed.length });
    await this.#file.write(compressed);
    this.#filled = 0;
  }
}
