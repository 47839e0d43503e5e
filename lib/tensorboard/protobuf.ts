/** The wire format of protocol buffers (https://protobuf.dev/programming-guides/encoding), as far as event files need it. */

/** A field of a message. */
export type Field = Uint8Array;

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** A message of its fields, in their order. */
export function message(...fields: readonly Field[]): Uint8Array {
  return Buffer.concat(fields);
}

/** A whole number from 0 to 2^53, an enumerated value or a truth value. */
export function whole(number: number, value: number): Field {
  return Buffer.concat([tag(number, VARINT), varint(value)]);
}

export function double(number: number, value: number): Field {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([tag(number, FIXED64), bytes]);
}

export function float(number: number, value: number): Field {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([tag(number, FIXED32), bytes]);
}

/** Bytes, a text or a message within another. */
export function bytes(number: number, value: Uint8Array | string): Field {
  const content = typeof value === "string" ? Buffer.from(value) : value;
  return Buffer.concat([tag(number, BYTES), varint(content.length), content]);
}

function tag(number: number, kind: number): Uint8Array {
  return varint(number * 8 + kind);
}

/** Seven bits a byte, the lowest first. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Uint8Array.of(...bytes, rest);
}
