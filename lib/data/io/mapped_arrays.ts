import { randomBytes } from "node:crypto";
import { writeSync } from "node:fs";
import { DdscError } from "../../base/errors.js";
import { mapFile } from "../../native/data.js";

/** The types of arrays that a file holds. */
const TYPES = { Uint8Array, Uint32Array, Float64Array } as const;

/** Arrays that lie end to end in a file. */
export type Numbers = Uint8Array | Uint32Array | Float64Array;

/** Where an array lies: of which type, from which byte on, how many values. */
type Place = readonly [name: string, type: keyof typeof TYPES, begin: number, length: number];

/** Where the arrays of a file lie: plain data. */
export interface Layout {
  readonly places: readonly Place[];
  /** Bytes of all of them. */
  readonly bytes: number;
  /** Stands behind them: another file may have the descriptor's number by now. */
  readonly token: string;
}

/** Arrays in an open file for another thread of this process, structured-clonable; good while they are open here. */
export interface MappedFile {
  /** The number of the open file in this process. */
  readonly descriptor: number;
  readonly layout: Layout;
}

/** Bytes by which places are aligned, and of tokens. */
const ALIGNMENT = 8;
const TOKEN_BYTES = 16;

function typeOf(array: Numbers): keyof typeof TYPES {
  if (array instanceof Float64Array) return "Float64Array";
  return array instanceof Uint32Array ? "Uint32Array" : "Uint8Array";
}

/** Writes arrays to an open file, from its begin on; where they lie. Throws the system's error. */
export function writeArrays(descriptor: number, arrays: Readonly<Record<string, Numbers>>): Layout {
  const places: Place[] = [];
  let begin = 0;
  for (const [name, array] of Object.entries(arrays)) {
    write(descriptor, new Uint8Array(array.buffer, array.byteOffset, array.byteLength), begin);
    places.push([name, typeOf(array), begin, array.length]);
    begin = Math.ceil((begin + array.byteLength) / ALIGNMENT) * ALIGNMENT;
  }
  const token = randomBytes(TOKEN_BYTES);
  write(descriptor, token, begin);
  return { places, bytes: begin, token: token.toString("hex") };
}

function write(descriptor: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(descriptor, bytes, done, bytes.length - done, position + done);
}

/**
 * The arrays of a file, mapped into memory: what processes and threads of a machine do not write to, the system keeps once for all, and may
 * drop. Throws `DATA_UNREADABLE`, `DATA_CLOSED` where the file is no longer open and another has its number.
 */
export function mapArrays({ descriptor, layout }: MappedFile): Record<string, Numbers> {
  const { places, bytes, token } = layout;
  const memory = mapFile(descriptor, bytes + TOKEN_BYTES);
  if (Buffer.from(memory, bytes).toString("hex") !== token)
    throw new DdscError("DATA_CLOSED", "a temporary file was read after it was disposed of");
  return Object.fromEntries(
    places.map(([name, type, begin, length]) => [name, new TYPES[type](memory, begin, length)]),
  );
}
