import { ByteBuffer, type Encoding } from "flatbuffers";

/** Reads for each byte that decoding a header may take: those that writers write take less than three. */
const READS_PER_BYTE = 16;

/**
 * Bytes of a header for apache-arrow's decoders, which trust what they decode. A place outside the bytes is an error here
 * (there, a zero), and so are more reads than any sound header needs: lengths that are merely claimed would be counted up to,
 * and tables that contain themselves be gone round.
 */
export class CheckedBytes extends ByteBuffer {
  #readsLeft: number;

  constructor(bytes: Uint8Array) {
    super(bytes);
    this.#readsLeft = READS_PER_BYTE * bytes.length;
  }

  // All other numbers are read by these three.
  override readUint8(at: number): number {
    this.#check(at, 1);
    return super.readUint8(at);
  }

  override readUint16(at: number): number {
    this.#check(at, 2);
    return super.readUint16(at);
  }

  override readInt32(at: number): number {
    this.#check(at, 4);
    return super.readInt32(at);
  }

  override __string(at: number, encoding?: Encoding): string | Uint8Array {
    const start = this.__indirect(at);
    const length = this.readInt32(start);
    this.#check(start + 4, length);
    this.#readsLeft -= length;
    return super.__string(at, encoding);
  }

  #check(at: number, bytes: number): void {
    if (at < 0 || bytes < 0 || at + bytes > this.capacity())
      throw new RangeError("a header refers to bytes outside itself");
    if (--this.#readsLeft < 0) throw new RangeError("a header contains itself, or claims more than it holds");
  }
}
