import { withoutSecrets } from "../../../base/secrets.js";
import { mapFewAtOnce } from "../few_at_once.js";
import { checkRange, closedError, type FileIdentity, type RandomAccess } from "../random_access.js";
import { BLOCK_BYTES, type BlockCache } from "./block_cache.js";

/** A file that says which version of it this is. */
export interface VersionedFile extends RandomAccess {
  readonly version: string | undefined;
  /** Bytes at its beginning that are given without asking. */
  readonly atHand: number;
}

/** Puts the part of a block, which begins so far into the file, that was asked for where it belongs. */
type Placing = (start: number, block: Uint8Array) => void;

/** Parameters of signed addresses, which are others each time. */
const SIGNED = /^(?:x-amz-|x-goog-|awsaccesskeyid=|expires=)|=\*{3}$/i;

/**
 * A file behind an address of which blocks are kept in a cache. Blocks are counted from the end, so that the last, which
 * holds the footer, is whole. The key of a block has the address without what lets one in, length, ETag and date.
 */
export class CachedFile implements RandomAccess {
  readonly name: string;
  readonly size: number;
  readonly remote = true;
  readonly #file: VersionedFile;
  readonly #cache: BlockCache;
  readonly #key: string;
  /** Bytes of the first block, 1 to `BLOCK_BYTES`. */
  readonly #first: number;
  #closed = false;

  /** Reads `file`, which has a version, and closes it. */
  constructor(file: VersionedFile, cache: BlockCache) {
    this.#file = file;
    this.#cache = cache;
    this.name = file.name;
    this.size = file.size;
    this.#key = `${unsigned(file.name)}\n${file.version}`;
    this.#first = file.size % BLOCK_BYTES || BLOCK_BYTES;
  }

  get identity(): FileIdentity {
    return this.#file.identity;
  }

  get notes(): readonly string[] {
    return this.#file.notes ?? [];
  }

  onNote(tell: (note: string) => void): void {
    this.#cache.onTrouble(tell);
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    checkRange(this.name, this.size, offset, length);
    if (this.#closed) throw closedError(this.name);
    if (offset + length <= this.#file.atHand) return this.#file.read(offset, length, signal);
    if (length === 0) return new Uint8Array(0);
    const bytes = new Uint8Array(length);
    const place: Placing = (start, block) => {
      const from = Math.max(offset, start);
      const to = Math.min(offset + length, start + block.length);
      bytes.set(block.subarray(from - start, to - start), from - offset);
    };
    const first = this.#blockOf(offset);
    const blocks = Array.from(
      { length: this.#blockOf(offset + length - 1) - first + 1 },
      (_, i) => first + i,
    );
    for (const run of runs(await this.#take(blocks, place))) {
      const claim = await this.#cache.claim(this.#keyOf(run.first), signal);
      try {
        // Another process may have fetched them meanwhile.
        const own = blocks.filter((block) => block >= run.first && block <= run.last);
        const left = claim.waited ? runs(await this.#take(own, place)) : [run];
        for (const { first, last } of left) await this.#fetch(first, last, place, signal);
      } finally {
        await claim.release();
      }
    }
    return bytes;
  }

  /** Takes blocks from the cache; gives those that are not in it. */
  async #take(blocks: readonly number[], place: Placing): Promise<number[]> {
    const isThere = await mapFewAtOnce(blocks, async (block) => {
      const { start, end } = this.#bounds(block);
      const found = await this.#cache.get(this.#keyOf(block), end - start);
      if (found !== undefined) place(start, found);
      return found !== undefined;
    });
    return blocks.filter((_, i) => isThere[i] !== true);
  }

  /** Reads blocks that follow each other from the file, and keeps them. */
  async #fetch(first: number, last: number, place: Placing, signal: AbortSignal | undefined): Promise<void> {
    const { start } = this.#bounds(first);
    const read = await this.#file.read(start, this.#bounds(last).end - start, signal);
    place(start, read);
    for (let block = first; block <= last; block++) {
      const own = this.#bounds(block);
      await this.#cache.put(this.#keyOf(block), read.subarray(own.start - start, own.end - start));
    }
  }

  close(): void {
    this.#closed = true;
    this.#file.close();
  }

  #keyOf(block: number): string {
    return `${this.#key}\n${this.#bounds(block).start}`;
  }

  #blockOf(place: number): number {
    return place < this.#first ? 0 : 1 + Math.floor((place - this.#first) / BLOCK_BYTES);
  }

  #bounds(block: number): { readonly start: number; readonly end: number } {
    const end = this.#first + block * BLOCK_BYTES;
    return { start: block === 0 ? 0 : end - BLOCK_BYTES, end };
  }
}

/** A name without what is different in each signature for the same file. */
function unsigned(name: string): string {
  const [path = "", ...queries] = withoutSecrets(name).split("?");
  const parameters = queries.join("?").split("&");
  return [path, ...parameters.filter((parameter) => !SIGNED.test(parameter))].join("&");
}

/** Runs of numbers that follow each other. */
function runs(ascending: readonly number[]): { readonly first: number; readonly last: number }[] {
  const found: { first: number; last: number }[] = [];
  for (const number of ascending) {
    const run = found.at(-1);
    if (run !== undefined && run.last === number - 1) run.last = number;
    else found.push({ first: number, last: number });
  }
  return found;
}
