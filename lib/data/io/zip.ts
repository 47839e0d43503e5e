import { type FileHandle, open } from "node:fs/promises";
import { promisify } from "node:util";
import { crc32, inflateRaw } from "node:zlib";
import { DdscError } from "../../base/errors.js";

const END_RECORD = 0x06054b50;
const END_BYTES = 22;
const LOCATOR_64 = 0x07064b50;
const LOCATOR_BYTES = 20;
const END_64 = 0x06064b50;
const END_64_BYTES = 56;
const ENTRY = 0x02014b50;
const ENTRY_BYTES = 46;
const LOCAL = 0x04034b50;
const LOCAL_BYTES = 30;
const MAX_COMMENT = 0xffff;
const MAX_16 = 0xffff;
const MAX_32 = 0xffff_ffff;
const STORED = 0;
const DEFLATED = 8;
const ENCRYPTED = 1;
/** The list of entries is held in memory. */
const MAX_DIRECTORY_BYTES = 1 << 29;

const inflateAsync = promisify(inflateRaw);

/** A file in an archive. */
interface ZipEntry {
  /** Where its header is. */
  readonly header: number;
  readonly method: number;
  readonly compressed: number;
  readonly size: number;
  /** Checksum of the bytes. */
  readonly crc: number;
}

/**
 * A zip archive, read where needed: the list of its files is kept in memory, their bytes are not. Archives of more than
 * 4 GiB or 65,535 files (zip64) are read. Of entries with the same name the last counts, as appending tools mean it.
 */
export class ZipArchive {
  readonly path: string;
  readonly #file: FileHandle;
  readonly #size: number;
  readonly #entries = new Map<string, ZipEntry>();

  private constructor(path: string, file: FileHandle, size: number) {
    this.path = path;
    this.#file = file;
    this.#size = size;
  }

  /** Opens an archive and reads its list of files. Throws `DATA_TRUNCATED` if the list is missing, `DATA_CORRUPT`. */
  static async open(path: string): Promise<ZipArchive> {
    const file = await open(path, "r");
    try {
      const archive = new ZipArchive(path, file, (await file.stat()).size);
      await archive.#readDirectory();
      return archive;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Names of the files, in no order. */
  names(): IterableIterator<string> {
    return this.#entries.keys();
  }

  /** Size of a file once decompressed; undefined if there is none. */
  size(name: string): number | undefined {
    return this.#entries.get(name)?.size;
  }

  /**
   * Bytes [offset, offset + length) of a file, which must lie within it. A compressed file is decompressed whole for that.
   * Throws `DATA_CORRUPT`, `DATA_FORMAT` for encrypted files and unknown compressions.
   */
  async read(name: string, offset: number, length: number): Promise<Uint8Array> {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw this.#corrupt(`has no file ${name}`);
    if (offset < 0 || offset + length > entry.size)
      throw this.#corrupt(`holds only ${entry.size} bytes of ${name}`);
    const header = await this.#bytes(entry.header, LOCAL_BYTES, name);
    if (header.readUInt32LE(0) !== LOCAL) throw this.#corrupt(`${name} is not where the list of files says`);
    const start = entry.header + LOCAL_BYTES + header.readUInt16LE(26) + header.readUInt16LE(28);
    if (entry.method === STORED) {
      const bytes = await this.#bytes(start + offset, length, name);
      return length === entry.size ? this.#checked(name, entry, bytes) : bytes;
    }
    const compressed = await this.#bytes(start, entry.compressed, name);
    try {
      const bytes = await inflateAsync(compressed, { maxOutputLength: Math.max(1, entry.size) });
      return this.#checked(name, entry, bytes).subarray(offset, offset + length);
    } catch (error) {
      throw error instanceof DdscError ? error : this.#corrupt(`holds ${name}, which cannot be decompressed`);
    }
  }

  #checked(name: string, entry: ZipEntry, bytes: Buffer): Buffer {
    if (bytes.length === entry.size && crc32(bytes) === entry.crc) return bytes;
    throw this.#corrupt(`holds ${name}, whose bytes are not those that were written`);
  }

  /** Closes the archive. */
  close(): void {
    void this.#file.close().catch(() => undefined);
  }

  async #readDirectory(): Promise<void> {
    const tailBytes = Math.min(this.#size, END_BYTES + MAX_COMMENT);
    const tail = await this.#bytes(this.#size - tailBytes, tailBytes, "the end");
    let at = tail.length - END_BYTES;
    while (at >= 0 && tail.readUInt32LE(at) !== END_RECORD) at--;
    if (at < 0) {
      throw new DdscError(
        "DATA_TRUNCATED",
        `${this.path}: the zip archive ends before its list of files (an interrupted copy or download?); fetch it again`,
        { file: this.path },
      );
    }
    let count = tail.readUInt16LE(at + 10);
    let bytes = tail.readUInt32LE(at + 12);
    let start = tail.readUInt32LE(at + 16);
    if (count === MAX_16 || bytes === MAX_32 || start === MAX_32) {
      const large = await this.#readLargeEnd(this.#size - tail.length + at);
      if (large !== undefined) ({ count, bytes, start } = large);
    }
    if (bytes > MAX_DIRECTORY_BYTES) throw this.#corrupt(`claims a list of files of ${bytes} bytes`);
    const directory = await this.#bytes(start, bytes, "the list of files");
    let next = 0;
    for (let i = 0; i < count; i++) next = this.#readEntry(directory, next);
  }

  /** The end record of archives that are too large for the usual one; undefined if there is none. */
  async #readLargeEnd(end: number): Promise<{ count: number; bytes: number; start: number } | undefined> {
    if (end < LOCATOR_BYTES) return undefined;
    const locator = await this.#bytes(end - LOCATOR_BYTES, LOCATOR_BYTES, "the end");
    if (locator.readUInt32LE(0) !== LOCATOR_64) return undefined;
    const record = await this.#bytes(Number(locator.readBigUInt64LE(8)), END_64_BYTES, "the end");
    if (record.readUInt32LE(0) !== END_64) throw this.#corrupt("has no end record where it says");
    return {
      count: Number(record.readBigUInt64LE(32)),
      bytes: Number(record.readBigUInt64LE(40)),
      start: Number(record.readBigUInt64LE(48)),
    };
  }

  /** Reads the entry at `at` of the list; gives where the next one is. */
  #readEntry(directory: Buffer, at: number): number {
    if (at + ENTRY_BYTES > directory.length || directory.readUInt32LE(at) !== ENTRY) {
      throw this.#corrupt("has a damaged list of files");
    }
    const nameEnd = at + ENTRY_BYTES + directory.readUInt16LE(at + 28);
    const extraEnd = nameEnd + directory.readUInt16LE(at + 30);
    const next = extraEnd + directory.readUInt16LE(at + 32);
    if (next > directory.length) throw this.#corrupt("has a damaged list of files");
    const name = directory.toString("utf8", at + ENTRY_BYTES, nameEnd);
    const method = directory.readUInt16LE(at + 10);
    if ((directory.readUInt16LE(at + 8) & ENCRYPTED) !== 0 || (method !== STORED && method !== DEFLATED)) {
      throw new DdscError(
        "DATA_FORMAT",
        `${this.path}: ${name} is encrypted or compressed in an unknown way; unpack the archive and pass the folder`,
        { file: this.path },
      );
    }
    const large = new LargeFields(directory.subarray(nameEnd, extraEnd));
    const size = large.take(directory.readUInt32LE(at + 24));
    const compressed = large.take(directory.readUInt32LE(at + 20));
    const header = large.take(directory.readUInt32LE(at + 42));
    if (method === STORED && size !== compressed) throw this.#corrupt(`${name} has two different sizes`);
    this.#entries.set(name, { header, method, compressed, size, crc: directory.readUInt32LE(at + 16) });
    return next;
  }

  async #bytes(offset: number, length: number, what: string): Promise<Buffer> {
    const good = Number.isSafeInteger(offset) && offset >= 0 && offset + length <= this.#size;
    if (!good)
      throw this.#corrupt(`${what} would be at ${offset} to ${offset + length}, past the end of the file`);
    const bytes = Buffer.alloc(length);
    for (let done = 0; done < length; ) {
      const { bytesRead } = await this.#file.read(bytes, done, length - done, offset + done);
      if (bytesRead === 0) throw this.#corrupt("became shorter while it was read");
      done += bytesRead;
    }
    return bytes;
  }

  #corrupt(what: string): DdscError {
    return new DdscError("DATA_CORRUPT", `${this.path}: the zip archive ${what}; fetch or write it again`, {
      file: this.path,
    });
  }
}

/** The 64-bit numbers of an entry that stand for those that do not fit, in order. */
class LargeFields {
  #rest: Buffer = Buffer.alloc(0);

  constructor(extra: Buffer) {
    for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
      if (extra.readUInt16LE(at) === 1)
        this.#rest = extra.subarray(at + 4, at + 4 + extra.readUInt16LE(at + 2));
    }
  }

  take(small: number): number {
    if (small !== MAX_32 || this.#rest.length < 8) return small;
    const large = Number(this.#rest.readBigUInt64LE(0));
    this.#rest = this.#rest.subarray(8);
    return large;
  }
}
