import { crc32 } from "node:zlib";
import { type Entry, fromRandomAccessReaderPromise, RandomAccessReader, type ZipFile } from "yauzl";
import { DdscError } from "../../base/errors.js";
import { inflate } from "./inflate.js";
import { corrupt, type RandomAccess } from "./random_access.js";
import { LocalFile } from "./random_access_local.js";

const STORED = 0;
const DEFLATED = 8;
/** yauzl asks for the list of files in small pieces: so much of it is read at once. */
const LIST_BYTES = 1 << 20;

/** What is kept of an entry, whose names and comments would take ten times as much memory. */
interface Kept
  extends Pick<
    Entry,
    "compressionMethod" | "compressedSize" | "uncompressedSize" | "crc32" | "relativeOffsetOfLocalHeader"
  > {
  /** Where its bytes begin, once that is known. */
  start?: number;
}

/**
 * A zip archive, read where needed: the list of its files is kept in memory, their bytes are not. Archives of more than
 * 4 GiB or 65,535 files (zip64) are read. Of entries with the same name the last counts, as appending tools mean it.
 */
export class ZipArchive {
  readonly path: string;
  readonly #zip: ZipFile;
  readonly #file: RandomAccess;
  readonly #entries: ReadonlyMap<string, Kept>;

  private constructor(path: string, zip: ZipFile, file: RandomAccess, entries: ReadonlyMap<string, Kept>) {
    this.path = path;
    this.#zip = zip;
    this.#file = file;
    this.#entries = entries;
  }

  /**
   * Opens an archive and reads its list of files. Throws `DATA_TRUNCATED` if the list is missing, `DATA_CORRUPT`,
   * `DATA_FORMAT` for encrypted files and unknown compressions, `DATA_TOO_LARGE` for more than `mostFiles`.
   *
   * @param mostFiles files that it may list
   */
  static async open(path: string, mostFiles = Number.POSITIVE_INFINITY): Promise<ZipArchive> {
    const file = await LocalFile.open(path);
    try {
      const reader = new Reader(file);
      // Names are no paths here, so none is unsafe; they are read as UTF-8 whatever the archive says.
      const options = { autoClose: false, decodeStrings: false };
      const zip = await fromRandomAccessReaderPromise(reader, file.size, options);
      const entries = new Map<string, Kept>();
      for await (const entry of zip.eachEntry()) {
        const name = entry.fileNameRaw.toString("utf8");
        checkReadable(path, name, entry);
        if (entries.size === mostFiles) throw tooManyFiles(path, mostFiles);
        const { compressionMethod, compressedSize, uncompressedSize, relativeOffsetOfLocalHeader } = entry;
        entries.set(name, {
          compressionMethod,
          compressedSize,
          uncompressedSize,
          crc32: entry.crc32,
          relativeOffsetOfLocalHeader,
        });
      }
      reader.endList();
      return new ZipArchive(path, zip, file, entries);
    } catch (error) {
      file.close();
      throw damaged(path, error);
    }
  }

  /** Names of the files, in no order. */
  names(): IterableIterator<string> {
    return this.#entries.keys();
  }

  /** Size of a file once decompressed; undefined if there is none. */
  size(name: string): number | undefined {
    return this.#entries.get(name)?.uncompressedSize;
  }

  /** Whether a file is kept as it is, not compressed. */
  isStored(name: string): boolean {
    return this.#entries.get(name)?.compressionMethod === STORED;
  }

  /**
   * Bytes [offset, offset + length) of a file, which must lie within it. A compressed file is decompressed whole for that.
   * What is read whole is compared with its checksum. Throws `DATA_CORRUPT`.
   */
  async read(name: string, offset: number, length: number): Promise<Uint8Array> {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw corruptZip(this.path, `has no file ${name}`);
    const size = entry.uncompressedSize;
    if (offset < 0 || offset + length > size)
      throw corruptZip(this.path, `holds only ${size} bytes of ${name}`);
    const start = await this.#start(entry);
    if (entry.compressionMethod === STORED) {
      const bytes = await this.#file.read(start + offset, length);
      return length === size ? this.#checked(name, entry, bytes) : bytes;
    }
    const compressed = await this.#file.read(start, entry.compressedSize);
    const bytes = await inflate("deflate", compressed, size).catch((error: unknown) => {
      throw corruptZip(this.path, `holds ${name}, which cannot be decompressed`, error);
    });
    return this.#checked(name, entry, bytes).subarray(offset, offset + length);
  }

  /** Closes the archive. */
  close(): void {
    this.#zip.close();
  }

  /** Where the bytes of a file begin: its own header says. */
  async #start(entry: Kept): Promise<number> {
    if (entry.start !== undefined) return entry.start;
    try {
      // Of an entry yauzl looks at what is kept.
      const header = await this.#zip.readLocalFileHeaderPromise(entry as Entry, { minimal: true });
      entry.start = header.fileDataStart;
      return entry.start;
    } catch (error) {
      throw damaged(this.path, error);
    }
  }

  #checked(name: string, entry: Kept, bytes: Uint8Array): Uint8Array {
    if (crc32(bytes) === entry.crc32) return bytes;
    throw corruptZip(this.path, `holds ${name}, whose bytes are not those that were written`);
  }
}

/** Gives yauzl the bytes of a file. */
class Reader extends RandomAccessReader {
  readonly #file: RandomAccess;
  /** What was read last of the list of files; undefined once that has been read. */
  #list: { readonly offset: number; readonly bytes: Uint8Array } | undefined = {
    offset: 0,
    bytes: new Uint8Array(0),
  };

  constructor(file: RandomAccess) {
    super();
    this.#file = file;
  }

  endList(): void {
    this.#list = undefined;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    this.#bytes(position, length).then((bytes) => {
      buffer.set(bytes, offset);
      callback(null);
    }, callback);
  }

  override close(callback: (error: Error | null) => void): void {
    this.#file.close();
    callback(null);
  }

  async #bytes(position: number, length: number): Promise<Uint8Array> {
    if (this.#list === undefined) return this.#file.read(position, length);
    let at = position - this.#list.offset;
    if (at < 0 || at + length > this.#list.bytes.length) {
      const ahead = Math.max(length, Math.min(LIST_BYTES, this.#file.size - position));
      this.#list = { offset: position, bytes: await this.#file.read(position, ahead) };
      at = 0;
    }
    return this.#list.bytes.subarray(at, at + length);
  }
}

function checkReadable(path: string, name: string, entry: Entry): void {
  const known = entry.compressionMethod === STORED || entry.compressionMethod === DEFLATED;
  if (known && !entry.isEncrypted()) return;
  throw new DdscError(
    "DATA_FORMAT",
    `${path}: ${name} is encrypted or compressed in an unknown way; unpack the archive and pass the folder`,
    { file: path },
  );
}

function tooManyFiles(path: string, most: number): DdscError {
  return new DdscError(
    "DATA_TOO_LARGE",
    `${path}: the zip archive lists more than ${most} files; unpack it, and name what is meant`,
    { file: path },
  );
}

/** What an error of yauzl means; a DdscError is passed through. */
function damaged(path: string, error: unknown): DdscError {
  if (error instanceof DdscError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (message.startsWith("End of central directory record signature not found"))
    return new DdscError(
      "DATA_TRUNCATED",
      `${path}: the zip archive ends before its list of files (an interrupted copy or download?); fetch it again`,
      { file: path },
    );
  return corruptZip(path, `is damaged (${message})`, error);
}

function corruptZip(path: string, what: string, cause?: unknown): DdscError {
  return corrupt(path, `the zip archive ${what}`, cause);
}
