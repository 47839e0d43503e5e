import { readFileSync } from "node:fs";

/** Numbers of a fixture of the reference, as exact as the file has them. */
export function readFixture(name: string): (tensor: string) => number[] {
  const file = readFileSync(new URL(`../fixtures/${name}.safetensors`, import.meta.url));
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + headerBytes).toString("utf8"));
  return (tensor) => {
    const { dtype, data_offsets: bounds } = header[tensor];
    const bytes = file.subarray(8 + headerBytes + bounds[0], 8 + headerBytes + bounds[1]);
    const [width, read] = {
      F64: [8, (at: number) => bytes.readDoubleLE(at)] as const,
      F32: [4, (at: number) => bytes.readFloatLE(at)] as const,
      I32: [4, (at: number) => bytes.readInt32LE(at)] as const,
    }[dtype as "F64" | "F32" | "I32"];
    return Array.from({ length: bytes.length / width }, (_, i) => read(width * i));
  };
}

/** Whether two lists agree to so many relative parts. */
export function largestDifference(values: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (values.length !== expected.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(values[i]! - expected[i]!);
    worst = Math.max(worst, difference === 0 ? 0 : difference / Math.abs(expected[i]!));
  }
  return worst;
}
