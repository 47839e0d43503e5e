import { writeSync } from "node:fs";
import { mapFile } from "../../native/data.js";

/** The types of arrays that a file holds. */
const TYPES = { Uint8Array, Uint32Array, Float64Array } as const;

/** Arrays that lie end to end in a file. */
export type Numbers = Uint8Array | Uint32Array | Float64Array;

/** Where an array lies: of which type, from which byte on, how many values. */
type Place = readonly [name: string, type: keyof typeof TYPES, begin: number, length: number];

/** Where the arrays of a file lie: plain data. */
export type Layout = readonly Place[];

/** Arrays in an open file for another thread of this process, structured-clonable; good while they are open here. */
export interface MappedFile {
  /** The number of the open file in this process. */
  readonly descriptor: number;
  readonly layout: Layout;
}

/** Bytes by which places are aligned. */
const ALIGNMENT = 8;

function typeOf(array: Numbers): keyof typeof TYPES {
  if (array instanceof Float64Array) return "Float64Array";
  return array instanceof Uint32Array ? "Uint32Array" : "Uint8Array";
}

/** Writes arrays to an open file, from its begin on; where they lie. Throws the system's error. */
export function writeArrays(descriptor: number, arrays: Readonly<Record<string, Numbers>>): Layout {
  const layout: Place[] = [];
  let begin = 0;
  for (const [name, array] of Object.entries(arrays)) {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let done = 0; done < bytes.length; )
      done += writeSync(descriptor, bytes, done, bytes.length - done, begin + done);
    layout.push([name, typeOf(array), begin, array.length]);
    begin = Math.ceil((begin + bytes.length) / ALIGNMENT) * ALIGNMENT;
  }
  return layout;
}

/**
 * The arrays of a file, mapped into memory: what processes and threads of a machine do not write to, the system keeps once for all, and may
 * drop. Throws `DATA_UNREADABLE`.
 */
export function mapArrays({ descriptor, layout }: MappedFile): Record<string, Numbers> {
  const end = Math.max(
    0,
    ...layout.map(([, type, begin, length]) => begin + length * TYPES[type].BYTES_PER_ELEMENT),
  );
  const memory = mapFile(descriptor, end);
  return Object.fromEntries(
    layout.map(([name, type, begin, length]) => [name, new TYPES[type](memory, begin, length)]),
  );
}
