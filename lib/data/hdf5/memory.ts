import type { H5Module } from "./types.js";

/** `WebAssembly.Memory`, of which Node's types know nothing. */
interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

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

  constructor(module: H5Module) {
    const memory = memoryOf(module);
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

/**
 * The module's memory, which it keeps to itself: an allocation that cannot be met asks it to grow, which is caught here. All
 * memories' `grow` is another for as long as that takes, in which nothing else runs.
 */
function memoryOf(module: H5Module): Memory {
  const { prototype } = (globalThis as unknown as { WebAssembly: { Memory: { prototype: Memory } } })
    .WebAssembly.Memory;
  const { grow } = prototype;
  let memory: Memory | undefined;
  prototype.grow = function (this: Memory) {
    memory = this;
    throw new RangeError("not now");
  };
  try {
    module._free(module._malloc(module.HEAPU8.length));
  } finally {
    prototype.grow = grow;
  }
  if (memory === undefined) throw new Error("the HDF5 library did not ask for memory");
  return memory;
}
