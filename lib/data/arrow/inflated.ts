import { DdscError } from "../../base/errors.js";
import { type Codec, inflate, namedErrors } from "../io/inflate.js";
import type { RandomAccess } from "../io/random_access.js";

/** Bytes kept decompressed: the columns of a batch are read in several parts, one after the other. */
const KEPT_BYTES = 1 << 26;
/** Each compressed buffer begins with its size, a number of 64 bits; -1 says that it is not compressed after all. */
const SIZE_BYTES = 8;
const MAX_BYTES = 2 ** 31;

/** Buffers of an Arrow file that are compressed, each by itself: decompressed whole, and the last ones kept. */
export class InflatedBuffers {
  readonly #file: RandomAccess;
  /** By place, the one used last at the end. */
  readonly #kept = new Map<number, { readonly bytes: Promise<Uint8Array>; size: number }>();

  constructor(file: RandomAccess) {
    this.#file = file;
  }

  /** All bytes of a buffer, which must not be changed. Throws `DATA_CORRUPT`, `DATA_TOO_LARGE` and what reading throws. */
  read([offset, length, codec]: readonly [number, number, Codec], signal?: AbortSignal): Promise<Uint8Array> {
    const known = this.#kept.get(offset);
    this.#kept.delete(offset);
    const entry = known ?? { bytes: this.#inflate(offset, length, codec, signal), size: 0 };
    this.#kept.set(offset, entry);
    if (known === undefined) {
      entry.bytes.then(
        ({ length: size }) => {
          entry.size = size;
          this.#forget(offset);
        },
        () => this.#kept.delete(offset),
      );
    }
    return entry.bytes;
  }

  async #inflate(
    offset: number,
    length: number,
    codec: Codec,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    if (length === 0) return new Uint8Array(0);
    if (length < SIZE_BYTES) throw this.#corrupt("a compressed buffer has no size");
    const bytes = await this.#file.read(offset, length, signal);
    const size = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(0, true));
    const content = bytes.subarray(SIZE_BYTES);
    if (size === -1) return content;
    if (size < 0 || size > MAX_BYTES) throw this.#corrupt(`a compressed buffer claims ${size} bytes`);
    return namedErrors(this.#file.name, () => inflate(codec, content, size));
  }

  /** Drops what was used longest ago until the rest is small enough; `newest` stays. */
  #forget(newest: number): void {
    let total = [...this.#kept.values()].reduce((sum, { size }) => sum + size, 0);
    for (const [offset, { size }] of this.#kept) {
      if (total <= KEPT_BYTES) return;
      if (offset === newest || size === 0) continue;
      this.#kept.delete(offset);
      total -= size;
    }
  }

  #corrupt(what: string): DdscError {
    const name = this.#file.name;
    return new DdscError("DATA_CORRUPT", `${name}: is damaged: ${what}; fetch or write it again`, {
      file: name,
    });
  }
}
