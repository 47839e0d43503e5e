import { ThriftType } from "./format.js";

/** Writes Thrift's compact protocol, as Parquet's footer and page headers use it. Fields come in ascending order. */
export class ThriftWriter {
  readonly #bytes: number[] = [];
  #last = 0;

  /** What was written; a struct at the top is ended by `end`. */
  get bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  i32(id: number, value: number): void {
    this.#header(id, ThriftType.i32);
    this.#varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  i64(id: number, value: number): void {
    this.#header(id, ThriftType.i64);
    this.#varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  text(id: number, value: string): void {
    this.#header(id, ThriftType.binary);
    this.#text(value);
  }

  struct(id: number, write: () => void): void {
    this.#header(id, ThriftType.struct);
    this.#nested(write);
  }

  structs<T>(id: number, items: readonly T[], write: (item: T) => void): void {
    this.#list(id, ThriftType.struct, items.length);
    for (const item of items) this.#nested(() => write(item));
  }

  texts(id: number, items: readonly string[]): void {
    this.#list(id, ThriftType.binary, items.length);
    for (const item of items) this.#text(item);
  }

  numbers(id: number, items: readonly number[]): void {
    this.#list(id, ThriftType.i32, items.length);
    for (const item of items) this.#varint(2 * item);
  }

  /** Ends the struct at the top. */
  end(): void {
    this.#bytes.push(ThriftType.stop);
  }

  #nested(write: () => void): void {
    const outer = this.#last;
    this.#last = 0;
    write();
    this.end();
    this.#last = outer;
  }

  #header(id: number, type: number): void {
    this.#bytes.push(((id - this.#last) << 4) | type);
    this.#last = id;
  }

  #list(id: number, type: number, length: number): void {
    this.#header(id, ThriftType.list);
    if (length < 15) this.#bytes.push((length << 4) | type);
    else {
      this.#bytes.push(0xf0 | type);
      this.#varint(length);
    }
  }

  #text(value: string): void {
    const bytes = Buffer.from(value, "utf8");
    this.#varint(bytes.length);
    for (const byte of bytes) this.#bytes.push(byte);
  }

  #varint(value: number): void {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#bytes.push((rest % 128) | 128);
    this.#bytes.push(rest);
  }
}
