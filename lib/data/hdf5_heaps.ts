import { readSync } from "node:fs";

/** Start of a global heap: signature, version 1, three zeros (HDF5 File Format Specification, section III.E). */
const HEAP_START = Buffer.from("GCOL\x01\0\0\0", "latin1");
const PREFIX_BYTES = 16;
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
