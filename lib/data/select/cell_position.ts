import { Purpose, philox } from "../../base/random.js";

const block = new Uint32Array(4);

/** Two 32-bit FNV-1a hashes of a name, differing in their start. */
function nameHash(name: string): readonly [number, number] {
  let first = 0x811c9dc5;
  let second = 0x9747b28c;
  for (const byte of Buffer.from(name)) {
    first = Math.imul(first ^ byte, 0x01000193);
    second = Math.imul(second ^ byte, 0x01000193);
  }
  return [first >>> 0, second >>> 0];
}

/**
 * Where a cell falls in [0, 1): a pure function of its name, its row and a seed (Philox with counter (name hash, row, name
 * hash, purpose)), so that it does not depend on the file's name, nor on which other cells there are.
 */
export function positionOf(name: string, row: number, seed: number): number {
  const [first, second] = nameHash(name);
  philox(
    first,
    row,
    second,
    (Purpose.split << 24) >>> 0,
    seed >>> 0,
    Math.floor(seed / 2 ** 32) >>> 0,
    block,
  );
  return (block[0] ?? 0) / 2 ** 32;
}
