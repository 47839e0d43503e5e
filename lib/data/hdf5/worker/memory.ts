import type { WebAssemblyMemory } from "./instance.js";

const PAGE_BYTES = 65_536;
/** What the library may take for a file of no size: pieces of data, chunks, the metadata of open objects. */
const BASE_BYTES = 256 * 2 ** 20;
/** And so much for each byte of the file, whose chunks may be compressed. */
const BYTES_A_FILE_BYTE = 16;

/**
 * Bounds the WebAssembly memory that the HDF5 library takes by the size of the largest file it was given so far. Damaged metadata
 * can make it allocate until there is no more (a heap's list of free blocks that goes in a circle, sizes that are never
 * checked): gigabytes, over many seconds. An allocation that fails is an error that it reports.
 */
export class Hdf5MemoryBound {
  #limit = BASE_BYTES;

  constructor(memory: WebAssemblyMemory) {
    const grow = memory.grow.bind(memory);
    memory.grow = (pages) => {
      if (memory.buffer.byteLength + pages * PAGE_BYTES > this.#limit) {
        throw new RangeError("more memory than a file of this size can need");
      }
      return grow(pages);
    };
  }

  /** Makes room for what a file of so many bytes can need. */
  admit(fileBytes: number): void {
    this.#limit = Math.max(this.#limit, BASE_BYTES + BYTES_A_FILE_BYTE * fileBytes);
  }
}
