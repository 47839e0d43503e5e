import { type FileHandle, open } from "node:fs/promises";
import { DdscError } from "../../../base/errors.js";
import { type PublishOptions, writeAtomically } from "../../../base/publish.js";
import { ChunkStream, DEFLATE_LEVEL } from "../../chunk_stream.js";
import {
  type Attributes,
  type AttributeValue,
  bytesOf,
  checkElements,
  type ElementArray,
  type ElementType,
  type HierarchyWriter,
  type StreamedArray,
  type StreamedTexts,
} from "../../hierarchy_writer.js";
import { type ChunkPlace, writeChunkTree } from "./chunks.js";
import {
  attributeMessage,
  ByteWriter,
  chunkedLayoutMessage,
  contiguousLayoutMessage,
  dataspaceMessage,
  datatypeMessage,
  ELEMENT_BYTES,
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

const HEAP_BYTES = 16_384;
const OBJECT_PREFIX_BYTES = 16;
/** Size of a chunk before compression. Arrays below it are stored in one piece, as they are. */
const CHUNK_BYTES = 1 << 18;
const MAX_MESSAGE_BYTES = 65_528;
const MAX_MESSAGES = 65_535;

interface GroupNode {
  readonly attributes: Message[];
  readonly children: Map<string, GroupNode | number>;
}

/** Writes the HDF5 file that `fill` describes, whole or not at all: see `writeAtomically`. Throws `FILE_EXISTS`, `FILE_WRITE`. */
export async function writeHdf5(
  path: string,
  fill: (writer: HierarchyWriter) => Promise<void>,
  options: PublishOptions = {},
): Promise<void> {
  const write = async (temporaryPath: string): Promise<void> => {
    const writer = await Hdf5Writer.create(temporaryPath);
    try {
      await fill(writer);
      await writer.close();
    } catch (error) {
      await writer.abandon();
      throw error;
    }
  };
  await writeAtomically(path, write, options);
}

/**
 * Writes an HDF5 file from front to back, holding no more than one chunk in memory. It exists beside h5wasm
 * because AnnData stores booleans and the `ordered` attribute as enumerations, which h5wasm reads but cannot
 * write, and because h5wasm's memory ends at 2 GiB. Errors are those of the file system, as Node gives them.
 */
export class Hdf5Writer implements HierarchyWriter {
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

  async group(path: string, attributes: Attributes): Promise<void> {
    const node = this.#groupAt(path.split("/").filter((part) => part !== ""));
    node.attributes.push(...(await this.#attributeMessages(path, attributes)));
  }

  /** Large arrays of numbers are compressed. */
  async dataset(
    path: string,
    type: ElementType,
    shape: readonly number[],
    values: ElementArray,
    attributes: Attributes = {},
  ): Promise<void> {
    checkElements(path, shape, values);
    if (type === "string" || !ArrayBuffer.isView(values) || values.byteLength < CHUNK_BYTES) {
      const bytes = ArrayBuffer.isView(values) ? bytesOf(values) : await this.#strings(values);
      const address = await this.#append(bytes);
      const layout = { kind: MessageKind.layout, body: contiguousLayoutMessage(address, bytes.byteLength) };
      await this.#finishDataset(path, type, shape, [layout], attributes);
      return;
    }
    const stream = this.streamDataset(path, type, shape, attributes);
    await stream.append(values);
    await stream.finish();
  }

  streamDataset(
    path: string,
    type: Exclude<ElementType, "string">,
    shape: readonly number[],
    attributes: Attributes = {},
  ): StreamedArray {
    return this.#stream(path, type, shape, attributes);
  }

  streamTexts(path: string, length: number, attributes: Attributes = {}): StreamedTexts {
    const references = this.#stream(path, "string", [length], attributes);
    return {
      append: async (texts) => references.append(await this.#strings(texts)),
      finish: () => references.finish(),
    };
  }

  /** An array in chunks; texts are the references to them. */
  #stream(path: string, type: ElementType, shape: readonly number[], attributes: Attributes): StreamedArray {
    const places: ChunkPlace[] = [];
    const elementBytes = ELEMENT_BYTES[type];
    return new ChunkStream(elementBytes, shape, CHUNK_BYTES, {
      write: async (compressed) => {
        places.push({ address: await this.#append(compressed), bytes: compressed.length });
      },
      finish: async (final, chunk) => {
        const layout = await this.#chunkedLayout(places, chunk, elementBytes);
        await this.#finishDataset(path, type, final, layout, attributes);
      },
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

  /** The messages that find an array's chunks. */
  async #chunkedLayout(
    places: readonly ChunkPlace[],
    chunk: readonly number[],
    elementBytes: number,
  ): Promise<Message[]> {
    if (places.length === 0) return [{ kind: MessageKind.layout, body: contiguousLayoutMessage(0, 0) }];
    const write = async (bytes: Uint8Array): Promise<void> => void (await this.#append(bytes));
    const tree = await writeChunkTree(places, chunk, () => this.#end, write);
    return [
      { kind: MessageKind.layout, body: chunkedLayoutMessage(tree, chunk, elementBytes) },
      { kind: MessageKind.filters, body: shuffleDeflateMessage(elementBytes, DEFLATE_LEVEL) },
    ];
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
      return attributeMessage(name, "float64", shape, bytesOf(Float64Array.from(numbers)));
    }
    return attributeMessage(name, "int64", shape, bytesOf(BigInt64Array.from(numbers, BigInt)));
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
