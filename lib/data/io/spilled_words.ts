import { randomBytes } from "node:crypto";
import { writeSync } from "node:fs";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DdscError } from "../../base/errors.js";
import { fileWriteError, readFull } from "../../base/files.js";

/** Words of a block held in memory, and of a read from the file: 4 MiB. */
const BLOCK_WORDS = 1 << 20;
/** Words that all lists of a thread may hold in memory together: 128 MiB. */
const THREAD_WORDS = 1 << 25;

/** Where temporary files are, for messages. */
const TEMPORARY = `${tmpdir()} (temporary files, see TMPDIR)`;
/** Bytes that tell one temporary file from another. */
const TOKEN_BYTES = 16;

/** A list of words for another thread of this process, structured-clonable; good while the list is open. */
export type SharedWords =
  | { readonly kind: "memory"; readonly length: number; readonly blocks: readonly Int32Array[] }
  | {
      readonly kind: "file";
      readonly length: number;
      /** The number of the open file in this process. */
      readonly descriptor: number;
      /** Stands behind the words: another file may have the number by now. */
      readonly token: Uint8Array;
    };

/** Words held in memory now. */
let heldWords = 0;

/**
 * A long list of 32-bit words that is written at its end and read anywhere: in memory up to a limit (and one for all lists
 * together), beyond it in a temporary file, which has no name (nothing is left behind, however the process ends) and goes when disposed.
 */
export class SpilledWords {
  readonly #memoryWords: number;
  readonly #blocks: Int32Array[] = [];
  #length = 0;
  #file: FileHandle | undefined;
  #closed = false;
  /** Written behind the words of a file that is shared. */
  #token: Uint8Array | undefined;
  /** Blocks of the thread that shares its list. */
  #borrowed: readonly Int32Array[] | undefined;

  /** The list moves to a file when it has more than `memoryWords` words, or when all lists hold too much. */
  constructor(memoryWords: number) {
    this.#memoryWords = memoryWords;
  }

  /** The list, which nobody writes to any more, for another thread: nothing is copied. Throws `DATA_CLOSED`, `FILE_WRITE`. */
  share(): SharedWords {
    if (this.#closed) throw closedError();
    if (this.#file === undefined)
      return { kind: "memory", length: this.#length, blocks: this.#borrowed ?? [...this.#blocks] };
    const descriptor = this.#file.fd;
    if (this.#token === undefined) {
      const token = new Uint8Array(randomBytes(TOKEN_BYTES));
      try {
        writeSync(descriptor, token, 0, TOKEN_BYTES, 4 * this.#length);
      } catch (error) {
        throw fileWriteError(TEMPORARY, error);
      }
      this.#token = token;
    }
    return { kind: "file", length: this.#length, descriptor, token: this.#token };
  }

  /** The list that another thread shares, to be read; it stays whole when that one is disposed of. Throws `DATA_CLOSED`. */
  static async from(shared: SharedWords): Promise<SpilledWords> {
    const spool = new SpilledWords(0);
    spool.#length = shared.length;
    if (shared.kind === "memory") {
      spool.#borrowed = shared.blocks;
      return spool;
    }
    // A handle of its own on the file, which has no name but this.
    const file = await open(`/dev/fd/${shared.descriptor}`, "r").catch(() => undefined);
    const token = new Uint8Array(TOKEN_BYTES);
    await file?.read(token, 0, TOKEN_BYTES, 4 * shared.length).catch(() => undefined);
    if (file === undefined || !shared.token.every((byte, i) => byte === token[i])) {
      await file?.close();
      throw closedError();
    }
    spool.#file = file;
    spool.#token = shared.token;
    return spool;
  }

  /** Number of words. */
  get length(): number {
    return this.#length;
  }

  /** True once the words are in a temporary file. */
  get onDisk(): boolean {
    return this.#file !== undefined;
  }

  /** Appends words, which are copied. Throws `FILE_WRITE` if the temporary file cannot be made or grown. */
  async append(words: Int32Array): Promise<void> {
    const full = this.#length + words.length > this.#memoryWords || heldWords + words.length > THREAD_WORDS;
    if (this.#file === undefined && full) await this.#moveToFile();
    if (this.#file !== undefined) {
      await this.#write(this.#file, words, this.#length);
    } else {
      for (let done = 0; done < words.length; ) {
        const at = (this.#length + done) % BLOCK_WORDS;
        // Shared, so that another thread can read them where they are.
        if (at === 0) this.#blocks.push(new Int32Array(new SharedArrayBuffer(4 * BLOCK_WORDS)));
        const count = Math.min(words.length - done, BLOCK_WORDS - at);
        this.#blocks.at(-1)?.set(words.subarray(done, done + count), at);
        done += count;
      }
      heldWords += words.length;
    }
    this.#length += words.length;
  }

  /** Makes room for words that `writeAt` fills in, in any order, up to `length` words; the list must be empty. */
  async reserve(length: number): Promise<void> {
    await this.#moveToFile();
    this.#length = length;
  }

  /** Overwrites words from `position` on, after `reserve`. Throws `FILE_WRITE`. */
  async writeAt(words: Int32Array, position: number): Promise<void> {
    if (this.#file === undefined) throw new DdscError("INTERNAL", "words are written without room for them");
    await this.#write(this.#file, words, position);
  }

  /** A copy of the words [start, end). Throws `DATA_CLOSED` after disposal, `FILE_WRITE` if the file is unreadable. */
  async read(start: number, end: number): Promise<Int32Array> {
    if (this.#closed) throw closedError();
    const blocks = this.#borrowed ?? this.#blocks;
    const words = new Int32Array(end - start);
    if (this.#file !== undefined) {
      const bytes = Buffer.from(words.buffer);
      if ((await readFull(this.#file, bytes, 4 * start)) < bytes.length)
        throw new DdscError("INTERNAL", "a temporary file is shorter than what was written");
      return words;
    }
    for (let at = start; at < end; ) {
      const block = Math.floor(at / BLOCK_WORDS);
      const stop = Math.min(end, (block + 1) * BLOCK_WORDS);
      const from = at - block * BLOCK_WORDS;
      words.set(blocks[block]?.subarray(from, from + stop - at) ?? [], at - start);
      at = stop;
    }
    return words;
  }

  /** All words in pieces of whole records of `width` words. */
  async *pieces(width: number): AsyncGenerator<Int32Array> {
    const step = Math.floor(BLOCK_WORDS / width) * width;
    for (let at = 0; at < this.#length; at += step) yield this.read(at, Math.min(at + step, this.#length));
  }

  /** Frees memory and file. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#borrowed = undefined;
    this.#freeBlocks();
    // The file has no name any more: closing it frees its space.
    void this.#file?.close().catch(() => undefined);
    this.#file = undefined;
  }

  async #moveToFile(): Promise<void> {
    const path = join(tmpdir(), `ddsc-${process.pid}-${randomBytes(6).toString("hex")}.tmp`);
    try {
      const file = await open(path, "wx+", 0o600);
      await unlink(path);
      this.#file = file;
    } catch (error) {
      throw fileWriteError(path, error);
    }
    let position = 0;
    for (const block of this.#blocks) {
      const count = Math.min(BLOCK_WORDS, this.#length - position);
      await this.#write(this.#file, block.subarray(0, count), position);
      position += count;
    }
    this.#freeBlocks();
  }

  #freeBlocks(): void {
    if (this.#blocks.length > 0) heldWords -= this.#length;
    this.#blocks.length = 0;
  }

  async #write(file: FileHandle, words: Int32Array, position: number): Promise<void> {
    const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, done, bytes.length - done, 4 * position + done);
        done += bytesWritten;
      }
    } catch (error) {
      throw fileWriteError(TEMPORARY, error);
    }
  }
}

function closedError(): DdscError {
  return new DdscError("DATA_CLOSED", "a temporary file was read after it was disposed of");
}
