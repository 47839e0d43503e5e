import { crc32c } from "../base/crc32c.js";

/**
 * A record of a TFRecord file (https://www.tensorflow.org/tutorials/load_data/tfrecord): length, its checksum, the data, their
 * checksum; numbers little-endian.
 */
export function recordOf(data: Uint8Array): Uint8Array {
  const head = Buffer.alloc(12);
  head.writeBigUInt64LE(BigInt(data.length));
  head.writeUInt32LE(masked(crc32c(head.subarray(0, 8))), 8);
  const end = Buffer.alloc(4);
  end.writeUInt32LE(masked(crc32c(data)));
  return Buffer.concat([head, data, end]);
}

/** Checksums of data that hold checksums would be too regular, so that they are turned and shifted. */
function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282_ead8) >>> 0;
}
