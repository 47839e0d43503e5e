import { fstatSync, readSync } from "node:fs";

/** Start of a global heap: signature, version 1, three zeros (HDF5 File Format Specification, section III.E). */
const HEAP_START = Buffer.from("GCOL\x01\0\0\0", "latin1");
const PREFIX_BYTES = 16;
/** Start of a file (section II.A). */
const FILE_START = Buffer.from("\x89HDF\r\n\x1a\n", "latin1");
/** Start of a local heap: signature, version 0, three zeros (section III.D). */
const LOCAL_HEAP_START = Buffer.from("HEAP\0\0\0\0", "latin1");
const LOCAL_PREFIX_BYTES = 32;
/** The library reads a local heap from its start, in at most so many bytes; most data that only looks like one is longer. */
const MAX_PREFIX_READ = 512;
/** Bytes of a free block's place and size, and the place that ends the list. */
const FREE_BLOCK_BYTES = 16;
const NO_FREE_BLOCK = 1;
/** The library refuses smaller ones by itself. */
const MIN_HEAP_BYTES = 4096;
/** Larger ones are left to the library's own checks. */
const MAX_HEAP_BYTES = 1 << 28;

/**
 * Looks at bytes that the HDF5 library is about to get (`bytes`, read from `position` of the file `descriptor`)
 * and spoils the signature of each damaged global heap among them. libhdf5 (2.0 and before) never returns from
 * a heap in which an object claims no bytes; without the signature it reports the damage instead.
 */
export function spoilDamagedHeaps(bytes: Uint8Array, position: number, descriptor: number): void {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = view.indexOf(HEAP_START); at !== -1; at = view.indexOf(HEAP_START, at + 1)) {
    if (!heapIsSound(descriptor, position + at)) view.fill(0, at, at + 4);
  }
}

/** True unless walking the objects of the heap at `address` would stand still or leave it. */
function heapIsSound(descriptor: number, address: number): boolean {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  if (readSync(descriptor, prefix, 0, PREFIX_BYTES, address) < PREFIX_BYTES) return false;
  const size = Number(prefix.readBigUInt64LE(8));
  if (size < MIN_HEAP_BYTES || size > MAX_HEAP_BYTES) return size < MIN_HEAP_BYTES;
  const heap = Buffer.alloc(size);
  const available = readSync(descriptor, heap, 0, size, address);
  for (let at = PREFIX_BYTES; at + PREFIX_BYTES <= available; ) {
    const number = heap.readUInt16LE(at);
    const bytes = Number(heap.readBigUInt64LE(at + 8));
    // Object 0 is the free space; its size includes its prefix.
    const step = number === 0 ? bytes : PREFIX_BYTES + Math.ceil(bytes / 8) * 8;
    if (step < PREFIX_BYTES || at + step > size) return false;
    at += step;
  }
  return true;
}

/**
 * True where `bytes`, read from the file `descriptor`, begin a local heap whose free blocks go in a circle or
 * leave it. libhdf5 (2.0 and before) follows a circle until there is no memory left.
 */
export function isDamagedLocalHeap(bytes: Uint8Array, descriptor: number): boolean {
  if (bytes.length > MAX_PREFIX_READ || bytes.length < LOCAL_PREFIX_BYTES) return false;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!view.subarray(0, LOCAL_HEAP_START.length).equals(LOCAL_HEAP_START)) return false;
  if (!addressesAreOffsets(descriptor)) return false;
  const size = Number(view.readBigUInt64LE(8));
  const address = Number(view.readBigUInt64LE(24));
  if (address + size > fstatSync(descriptor).size) return true;
  const block = Buffer.alloc(FREE_BLOCK_BYTES);
  let place = Number(view.readBigUInt64LE(16));
  for (let blocks = 0; place !== NO_FREE_BLOCK && blocks * FREE_BLOCK_BYTES <= size; blocks++) {
    if (place + FREE_BLOCK_BYTES > size) return true;
    readSync(descriptor, block, 0, FREE_BLOCK_BYTES, address + place);
    place = Number(block.readBigUInt64LE(0));
  }
  return place !== NO_FREE_BLOCK;
}

/** True unless a block of the user's own comes before the file's first byte, from which addresses count. */
function addressesAreOffsets(descriptor: number): boolean {
  const start = Buffer.alloc(FILE_START.length);
  readSync(descriptor, start, 0, start.length, 0);
  return start.equals(FILE_START);
}
