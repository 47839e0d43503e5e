/**
 * The pieces of the HDF5 file format that the writer needs (HDF5 File Format Specification, version 3.0):
 * superblock 0, object headers 1, compact groups, global heaps and version 1 B-trees of chunks. HDF5 1.8 and
 * later read them. All numbers are little-endian; offsets and lengths have 8 bytes.
 */

import type { ElementType } from "../../hierarchy_writer.js";

/** An address that is not there. */
export const UNDEFINED_ADDRESS = 0xffff_ffff_ffff_ffffn;

/** Bytes of one element in the file; a string is a reference into a global heap. */
export const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = {
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  uint64: 8,
  float32: 4,
  float64: 8,
  boolean: 1,
  string: 16,
};

/** Kinds of object header messages (section IV.A.2). */
export const MessageKind = {
  dataspace: 0x01,
  linkInfo: 0x02,
  datatype: 0x03,
  fillValue: 0x05,
  link: 0x06,
  layout: 0x08,
  groupInfo: 0x0a,
  filters: 0x0b,
  attribute: 0x0c,
} as const;

/** One message of an object header. */
export interface Message {
  readonly kind: number;
  readonly body: Buffer;
}

/** Appends little-endian numbers and bytes to a growing buffer. */
export class ByteWriter {
  readonly #parts: Buffer[] = [];

  u8(...values: number[]): this {
    this.#parts.push(Buffer.from(values));
    return this;
  }
  u16(value: number): this {
    const part = Buffer.alloc(2);
    part.writeUInt16LE(value);
    this.#parts.push(part);
    return this;
  }
  u32(value: number): this {
    const part = Buffer.alloc(4);
    part.writeUInt32LE(value);
    this.#parts.push(part);
    return this;
  }
  u64(value: number | bigint): this {
    const part = Buffer.alloc(8);
    part.writeBigUInt64LE(BigInt(value));
    this.#parts.push(part);
    return this;
  }
  bytes(part: Uint8Array): this {
    this.#parts.push(Buffer.from(part.buffer, part.byteOffset, part.byteLength));
    return this;
  }
  done(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** `bytes` with zeros up to the next multiple of 8. */
export function padded(bytes: Uint8Array): Buffer {
  const result = Buffer.alloc(Math.ceil(bytes.byteLength / 8) * 8);
  result.set(bytes);
  return result;
}

function fixedPoint(bytes: number, signed: boolean): Buffer {
  return new ByteWriter()
    .u8(0x10, signed ? 0x08 : 0, 0, 0)
    .u32(bytes)
    .u16(0)
    .u16(bytes * 8)
    .done();
}

/** Datatype message (section IV.A.2.d). */
export function datatypeMessage(type: ElementType): Buffer {
  switch (type) {
    case "float32":
      return new ByteWriter().u8(0x11, 0x20, 31, 0).u32(4).u16(0).u16(32).u8(23, 8, 0, 23).u32(127).done();
    case "float64":
      return new ByteWriter().u8(0x11, 0x20, 63, 0).u32(8).u16(0).u16(64).u8(52, 11, 0, 52).u32(1023).done();
    case "boolean": {
      const members = [padded(Buffer.from("FALSE\0")), padded(Buffer.from("TRUE\0"))];
      const header = new ByteWriter().u8(0x18, members.length, 0, 0).u32(1).bytes(fixedPoint(1, true));
      return header.bytes(Buffer.concat(members)).u8(0, 1).done();
    }
    case "string": // variable length, null-terminated, UTF-8
      return new ByteWriter().u8(0x19, 0x01, 0x01, 0).u32(16).bytes(fixedPoint(1, false)).done();
    default:
      return fixedPoint(ELEMENT_BYTES[type], type.startsWith("int"));
  }
}

/** Dataspace message: the shape; an empty one is a scalar (section IV.A.2.b). */
export function dataspaceMessage(shape: readonly number[]): Buffer {
  const writer = new ByteWriter().u8(1, shape.length, 0, 0, 0, 0, 0, 0);
  for (const extent of shape) writer.u64(extent);
  return writer.done();
}

/** Fill value message: the default, zero (section IV.A.2.f). */
export function fillValueMessage(): Buffer {
  return new ByteWriter().u8(2, 2, 2, 1).u32(0).done();
}

/** Layout message of one contiguous piece; no bytes, no address (section IV.A.2.i). */
export function contiguousLayoutMessage(address: number, bytes: number): Buffer {
  return new ByteWriter()
    .u8(3, 1)
    .u64(bytes === 0 ? UNDEFINED_ADDRESS : address)
    .u64(bytes)
    .done();
}

/** Layout message of chunks indexed by a version 1 B-tree; `chunk` in elements. */
export function chunkedLayoutMessage(tree: number, chunk: readonly number[], elementBytes: number): Buffer {
  const writer = new ByteWriter().u8(3, 2, chunk.length + 1).u64(tree);
  for (const extent of chunk) writer.u32(extent);
  return writer.u32(elementBytes).done();
}

/** Filter message: bytes of elements shuffled together, then deflate (section IV.A.2.l). */
export function shuffleDeflateMessage(elementBytes: number, level: number): Buffer {
  const filter = (id: number, value: number): Buffer =>
    new ByteWriter().u16(id).u16(0).u16(1).u16(1).u32(value).u32(0).done();
  return new ByteWriter()
    .u8(1, 2, 0, 0, 0, 0, 0, 0)
    .bytes(filter(2, elementBytes))
    .bytes(filter(1, level))
    .done();
}

/** Attribute message, version 3 (section IV.A.2.m); `data` as it lies in the file. */
export function attributeMessage(
  name: string,
  type: ElementType,
  shape: readonly number[],
  data: Uint8Array,
): Buffer {
  const nameBytes = Buffer.from(`${name}\0`);
  const datatype = datatypeMessage(type);
  const dataspace = dataspaceMessage(shape);
  const writer = new ByteWriter().u8(3, 0).u16(nameBytes.length).u16(datatype.length).u16(dataspace.length);
  return writer.u8(1).bytes(nameBytes).bytes(datatype).bytes(dataspace).bytes(data).done();
}

/** Messages that make an object header a group whose links follow as messages. */
export function groupMessages(): Message[] {
  const linkInfo = new ByteWriter().u8(0, 0).u64(UNDEFINED_ADDRESS).u64(UNDEFINED_ADDRESS).done();
  return [
    { kind: MessageKind.linkInfo, body: linkInfo },
    { kind: MessageKind.groupInfo, body: Buffer.from([0, 0]) },
  ];
}

/** Link message: a hard link to the object header at `address` (section IV.A.2.g). */
export function linkMessage(name: string, address: number): Buffer {
  const nameBytes = Buffer.from(name);
  return new ByteWriter().u8(1, 0x11, 1).u16(nameBytes.length).bytes(nameBytes).u64(address).done();
}

/** A version 1 object header with its messages (section IV.A.1.a). */
export function objectHeader(messages: readonly Message[]): Buffer {
  const writer = new ByteWriter();
  for (const { kind, body } of messages) {
    const data = padded(body);
    writer.u16(kind).u16(data.length).u8(0, 0, 0, 0).bytes(data);
  }
  const contents = writer.done();
  const prefix = new ByteWriter().u8(1, 0).u16(messages.length).u32(1).u32(contents.length).u32(0);
  return prefix.bytes(contents).done();
}

/** Bytes of the superblock, which comes first in the file. */
export const SUPERBLOCK_BYTES = 96;

/** Superblock, version 0 (section II.A). */
export function superblock(rootHeader: number, endOfFile: number): Buffer {
  return new ByteWriter()
    .bytes(Buffer.from("\x89HDF\r\n\x1a\n", "latin1"))
    .u8(0, 0, 0, 0, 0, 8, 8, 0)
    .u16(4)
    .u16(16)
    .u32(0)
    .u64(0)
    .u64(UNDEFINED_ADDRESS)
    .u64(endOfFile)
    .u64(UNDEFINED_ADDRESS)
    .u64(0)
    .u64(rootHeader)
    .u32(0)
    .u32(0)
    .u64(0)
    .u64(0)
    .done();
}
