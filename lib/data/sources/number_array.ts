/** Numbers as they lie in a file. */
export type NumberArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

/** An array of zeros of the same type. */
export function sameType(values: NumberArray, length: number): NumberArray {
  const Values = values.constructor as unknown as new (length: number) => NumberArray;
  return new Values(length);
}

/** The same numbers as float64, the array itself if it is; 64-bit whole numbers beyond 2^53 are rounded. */
export function toFloat64(values: NumberArray): Float64Array {
  if (values instanceof Float64Array) return values;
  return isBig(values) ? Float64Array.from(values, Number) : new Float64Array(values);
}

/** The same numbers as float32, the array itself if it is. */
export function toFloat32(values: NumberArray): Float32Array {
  if (values instanceof Float32Array) return values;
  if (!isBig(values)) return new Float32Array(values);
  // Faster than Float32Array.from.
  const result = new Float32Array(values.length);
  for (let i = 0; i < result.length; i++) result[i] = Number(values[i]);
  return result;
}

function isBig(values: NumberArray): values is BigInt64Array | BigUint64Array {
  return values instanceof BigInt64Array || values instanceof BigUint64Array;
}
