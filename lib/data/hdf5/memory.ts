import type { H5Module } from "./types.js";

/** The most that the library's memory can grow to. */
const MOST_BYTES = 2 ** 31;
/** What the library may take for a file of no size: pieces of data, chunks, the metadata of open objects. */
const BASE_BYTES = 256 * 2 ** 20;
/** And so much for each byte of the file, whose chunks may be compressed. */
const BYTES_A_FILE_BYTE = 16;
/** What an allocation takes beside what was asked for, and what the allocator keeps in reserve, at most. */
const SLACK_BYTES = 2 ** 21;

/**
 * Bounds the memory that the HDF5 library takes by the size of the largest file it was given so far. Damaged metadata can make
 * it allocate until there is no more (sizes that are never checked): gigabytes, over many seconds. All but what such a file may
 * need is allocated beforehand, which costs addresses and no memory, as nothing is ever written there; what the library asks
 * for beyond the rest fails, which it reports as an error.
 */
export class Hdf5MemoryBound {
  readonly #module: H5Module;
  #limit = 0;
  /** What keeps the rest from being allocated; 0 if nothing does. */
  #ballast = 0;

  constructor(module: H5Module) {
    this.#module = module;
  }

  /** Makes room for what a file of so many bytes can need. */
  admit(fileBytes: number): void {
    const limit = BASE_BYTES + BYTES_A_FILE_BYTE * fileBytes;
    if (limit <= this.#limit) return;
    this.#limit = limit;
    if (this.#ballast !== 0) this.#module._free(this.#ballast);
    this.#ballast = 0;
    if (limit >= MOST_BYTES) return;
    // Kept free below the ballast.
    const room = this.#module._malloc(limit) >>> 0;
    const rest = MOST_BYTES - room - limit - SLACK_BYTES;
    if (room !== 0 && rest > 0) this.#ballast = this.#module._malloc(rest) >>> 0;
    this.#module._free(room);
  }
}
