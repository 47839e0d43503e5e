import type { Metadata } from "h5wasm";
import type { ElementKind } from "../../hierarchy.js";
import type { NumberArray } from "../../sources/number_array.js";

/** The functions of h5wasm's WebAssembly module. */
export type H5Module = Awaited<typeof import("h5wasm/node")["ready"]>;

/** Classes of HDF5 datatypes. */
export const CLASS = { integer: 0, float: 1, string: 3, reference: 7, enumeration: 8 } as const;

/** What a datatype's elements are. */
export function elementKind(metadata: Metadata): ElementKind {
  switch (metadata.type) {
    case CLASS.integer:
      return "integer";
    case CLASS.float:
      return "float";
    case CLASS.string:
      return "string";
    case CLASS.enumeration: {
      const members = metadata.enum_type?.members ?? {};
      return members.FALSE === 0 && members.TRUE === 1 ? "boolean" : "integer";
    }
    default:
      return "other";
  }
}

/** A datatype in words, for messages. */
export function describeType(metadata: Metadata): string {
  const kind = elementKind(metadata);
  if (kind === "string") return "strings";
  return kind === "other" ? "compound or opaque values" : `${metadata.size * 8}-bit ${kind}s`;
}

/** Bytes as numbers of a datatype; undefined where there is no such typed array. */
export function numberArray(
  metadata: Metadata,
  kind: ElementKind,
  bytes: Uint8Array,
): NumberArray | undefined {
  const { buffer } = bytes;
  if (kind === "float") {
    if (metadata.size === 4) return new Float32Array(buffer);
    return metadata.size === 8 ? new Float64Array(buffer) : undefined;
  }
  if (kind === "boolean") return metadata.size === 1 ? new Uint8Array(buffer) : undefined;
  if (kind !== "integer") return undefined;
  switch (metadata.size) {
    case 1:
      return metadata.signed ? new Int8Array(buffer) : new Uint8Array(buffer);
    case 2:
      return metadata.signed ? new Int16Array(buffer) : new Uint16Array(buffer);
    case 4:
      return metadata.signed ? new Int32Array(buffer) : new Uint32Array(buffer);
    case 8:
      return metadata.signed ? new BigInt64Array(buffer) : new BigUint64Array(buffer);
    default:
      return undefined;
  }
}

/** Strings of fixed width: up to the first null, or without the trailing blanks of a padded one. */
export function fixedStrings(bytes: Uint8Array, width: number, count: number): string[] {
  const decoder = new TextDecoder();
  return Array.from({ length: count }, (_, i) => {
    const part = bytes.subarray(i * width, (i + 1) * width);
    const end = part.indexOf(0);
    return decoder.decode(end === -1 ? part : part.subarray(0, end));
  });
}
