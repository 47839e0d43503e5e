/** Thrift's compact protocol, as Parquet's footer and page headers use it. */
import { ThriftType } from "./format.js";

const MAX_DEPTH = 32;

/** Bytes that are not what they should be; the caller says of which file. */
export class ThriftError extends Error {
  /** The bytes end before the value does: with more of them it may be read. */
  readonly ended: boolean;
  constructor(message: string, ended = false) {
    super(message);
    this.ended = ended;
  }
}

/** Writes down what a field holds: the type says how it has to be read or skipped. */
export type FieldHandler = (id: number, type: number) => void;

/** Reads values one after the other. Nothing is set aside for what the bytes merely claim. */
export class ThriftReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at: number;
  #depth = 0;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
  }

  /** Place of the next byte. */
  get position(): number {
    return this.#at;
  }

  /** Reads a struct: `field` gets every field and must read it, or `skip` it. */
  struct(field: FieldHandler): void {
    if (++this.#depth > MAX_DEPTH) throw new ThriftError("structures are nested too deeply");
    let id = 0;
    for (;;) {
      const byte = this.#byte();
      const type = byte & 15;
      if (type === ThriftType.stop) break;
      id = byte >> 4 === 0 ? this.i32() : id + (byte >> 4);
      field(id, type);
    }
    this.#depth--;
  }

  /** Reads a list: `element` is called once an element and must read it. Returns the number of elements. */
  list(element: (type: number, index: number) => void): number {
    const { type, length } = this.#listHeader();
    for (let i = 0; i < length; i++) element(type, i);
    return length;
  }

  /** A boolean field, whose type is its value. */
  boolean(type: number): boolean {
    if (type !== ThriftType.true && type !== ThriftType.false)
      throw new ThriftError("a field is of another type than expected");
    return type === ThriftType.true;
  }

  /** A whole number of 16 or 32 bits. */
  i32(): number {
    const value = this.#varint();
    if (value > 0xffffffff) throw new ThriftError("a number has more than 32 bits");
    return (value >>> 1) ^ -(value & 1);
  }

  /** A whole number of up to 53 bits. */
  i64(): number {
    const value = this.#varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  binary(): Uint8Array {
    const length = this.#varint();
    if (length > this.#bytes.length - this.#at) throw new ThriftError("bytes end early", true);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  text(): string {
    return Buffer.from(this.binary()).toString("utf8");
  }

  /** Passes over a value of any type. */
  skip(type: number): void {
    switch (type) {
      case ThriftType.true:
      case ThriftType.false:
        return;
      case ThriftType.byte:
        this.#byte();
        return;
      case ThriftType.i16:
      case ThriftType.i32:
      case ThriftType.i64:
        this.#skipVarint();
        return;
      case ThriftType.double:
        this.#view.getFloat64(this.#advance(8));
        return;
      case ThriftType.binary:
        this.binary();
        return;
      case ThriftType.list:
      case ThriftType.set: {
        if (++this.#depth > MAX_DEPTH) throw new ThriftError("structures are nested too deeply");
        // In a list a boolean is a byte.
        this.list((element) =>
          this.skip(element === ThriftType.true || element === ThriftType.false ? ThriftType.byte : element),
        );
        this.#depth--;
        return;
      }
      case ThriftType.struct:
        this.struct((_, inner) => this.skip(inner));
        return;
      default:
        throw new ThriftError(`there is no type ${type}`);
    }
  }

  #listHeader(): { type: number; length: number } {
    const byte = this.#byte();
    const length = byte >> 4 === 15 ? this.#varint() : byte >> 4;
    // Every element takes a byte at least.
    if (length > this.#bytes.length - this.#at) throw new ThriftError("a list ends early", true);
    return { type: byte & 15, length };
  }

  #advance(count: number): number {
    if (count > this.#bytes.length - this.#at) throw new ThriftError("a value ends early", true);
    this.#at += count;
    return this.#at - count;
  }

  #byte(): number {
    return this.#bytes[this.#advance(1)] as number;
  }

  #varint(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 56; scale *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * scale;
      if (byte < 128) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
    }
    throw new ThriftError("a number has more than 53 bits");
  }

  #skipVarint(): void {
    for (let i = 0; i < 10; i++) if (this.#byte() < 128) return;
    throw new ThriftError("a number has too many bytes");
  }
}
