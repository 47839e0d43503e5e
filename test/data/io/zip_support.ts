import { crc32 } from "node:zlib";

/** A file of an archive. */
export interface ArchivedFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const FULL = 0xffff_ffff;

/**
 * A zip archive of these files, without compression, whose checksums fit; `large` writes sizes and places as zip64 does for
 * archives of more than 4 GiB.
 */
export function zipArchive(files: readonly ArchivedFile[], large = false): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, bytes } of files) {
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(bytes.length, 14);
    common.writeUInt32LE(bytes.length, 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), common, Buffer.from(name), bytes]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    const extra = large ? largeFields(bytes.length, bytes.length, offset) : Buffer.alloc(0);
    if (large) {
      common.writeUInt32LE(FULL, 14);
      common.writeUInt32LE(FULL, 18);
      common.writeUInt16LE(extra.length, 24);
      rest.writeUInt32LE(FULL, 10);
    }
    directory.push(
      Buffer.concat([Buffer.from("PK\x01\x02"), Buffer.of(20, 0), common, rest, Buffer.from(name), extra]),
    );
    parts.push(local);
    offset += local.length;
  }
  const list = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(large ? 0xffff : files.length, 8);
  end.writeUInt16LE(large ? 0xffff : files.length, 10);
  end.writeUInt32LE(large ? FULL : list.length, 12);
  end.writeUInt32LE(large ? FULL : offset, 16);
  const largeEnd = large ? [largeEndRecord(files.length, list.length, offset)] : [];
  return Buffer.concat([...parts, list, ...largeEnd, end]);
}

/** The extra field that holds 64-bit numbers: size, compressed size, place of the header. */
function largeFields(...numbers: readonly number[]): Buffer {
  const field = Buffer.alloc(4 + 8 * numbers.length);
  field.writeUInt16LE(1, 0);
  field.writeUInt16LE(8 * numbers.length, 2);
  for (const [i, number] of numbers.entries()) field.writeBigUInt64LE(BigInt(number), 4 + 8 * i);
  return field;
}

/** The end record of large archives and the record that says where it is. */
function largeEndRecord(files: number, bytes: number, start: number): Buffer {
  const record = Buffer.alloc(56);
  record.write("PK\x06\x06", "latin1");
  record.writeBigUInt64LE(44n, 4);
  record.writeBigUInt64LE(BigInt(files), 24);
  record.writeBigUInt64LE(BigInt(files), 32);
  record.writeBigUInt64LE(BigInt(bytes), 40);
  record.writeBigUInt64LE(BigInt(start), 48);
  const locator = Buffer.alloc(20);
  locator.write("PK\x06\x07", "latin1");
  locator.writeBigUInt64LE(BigInt(start + bytes), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([record, locator]);
}
