import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { errorCode, makeFolders } from "../../../base/files.js";
import { removeLeftovers, temporaryName } from "../../../base/temporary.js";

/** Bytes of a file that are kept together. */
export const BLOCK_BYTES = 2 ** 18;
/** What a block takes at most on a disk, whose files fill whole pages. */
export const SLOT_BYTES = BLOCK_BYTES + 4096;
/** Blocks of a set, of which the one used last makes room for a new one. */
const MOST_WAYS = 16;
const MAGIC = Buffer.from("DDSCBLK1", "latin1");
/** Magic, length and checksum. */
const HEADER_BYTES = MAGIC.length + 8;
/** Begins the name of a file that says that a block is being fetched. */
const CLAIM = ".fetching-";
/** Fetching that takes longer is not waited for, ms. */
const LONGEST_CLAIM = 30_000;
const CLAIM_PAUSE = 20;
/** A folder of sets, by their number and that of their blocks. */
const LAYOUT = /^blocks-\d+x\d+$/;

/** Leave to fetch a block. */
export interface Claim {
  /** Whether another process had it before, which may have fetched the block. */
  readonly waited: boolean;
  /** To be called when the block is there, or will not be. */
  release(): Promise<void>;
}

/**
 * Blocks of files in a folder, of bounded size, which processes share without locks. A block belongs to one of many sets by a hash of its key;
 * a set has at most 16 blocks, and a new one takes the place of the one in it that was used longest ago. So the bound holds
 * without anyone knowing what is there in all: a writer may exceed it by the block it writes. Blocks appear whole, by
 * renaming, and are given out only with the right length and checksum, which is also of their key. Nothing here throws: what
 * cannot be kept is not kept, and who listens is told why, once.
 */
export class BlockCache {
  readonly #folder: string;
  readonly #sets: number;
  readonly #ways: number;
  /** Whether blocks are written. */
  #writes = true;
  /** Why not, until somebody has been told. */
  #trouble: string | undefined;
  #tell: ((trouble: string) => void) | undefined;
  /** One block is written after the other, for the bound. */
  #turn: Promise<void> = Promise.resolve();

  private constructor(folder: string, bytes: number) {
    const blocks = Math.floor(bytes / SLOT_BYTES);
    this.#ways = Math.min(MOST_WAYS, blocks);
    this.#sets = Math.floor(blocks / this.#ways);
    this.#folder = join(folder, `blocks-${this.#sets}x${this.#ways}`);
  }

  /** A cache of at most so many bytes, `SLOT_BYTES` or more; blocks of another bound in the folder are removed. */
  static async open(folder: string, bytes: number): Promise<BlockCache> {
    const cache = new BlockCache(folder, bytes);
    try {
      await makeFolders(cache.#folder);
      await removeOtherLayouts(folder, cache.#folder);
      await removeLeftovers(cache.#folder, () => true);
      for (const name of await readdir(cache.#folder)) {
        const path = join(cache.#folder, name);
        if (name.startsWith(CLAIM) && (await isOld(path))) await rm(path, { force: true });
      }
    } catch (error) {
      cache.#giveUp(error);
    }
    return cache;
  }

  /** Who is told, once in all, why blocks are not kept any more: the one who asked last. */
  onTrouble(tell: (trouble: string) => void): void {
    this.#tell = tell;
    this.#tellTrouble();
  }

  /** A block of this key and length; undefined where it is not there whole. */
  async get(key: string, length: number): Promise<Uint8Array | undefined> {
    const path = this.#path(key);
    let bytes: Buffer;
    try {
      bytes = await readFile(path);
    } catch {
      return undefined;
    }
    const block = bytes.subarray(HEADER_BYTES);
    if (block.length !== length || !bytes.subarray(0, HEADER_BYTES).equals(header(key, block))) {
      await rm(path, { force: true }).catch(() => undefined);
      return undefined;
    }
    // Its time says when it was used last.
    const now = Date.now() / 1000;
    await utimes(path, now, now).catch(() => undefined);
    return block;
  }

  /**
   * Says that a block is being fetched, so that other processes wait for it in place of fetching it, too; waits itself where another
   * process does. Rejects only with the signal's reason.
   */
  async claim(key: string, signal?: AbortSignal): Promise<Claim> {
    const path = join(this.#folder, `${CLAIM}${hashOf(key).toString("hex", 0, 20)}`);
    let waited = false;
    while (this.#writes) {
      try {
        await writeFile(path, "", { flag: "wx" });
        return { waited, release: () => rm(path, { force: true }).catch(() => undefined) };
      } catch (error) {
        // Other troubles are those of writing the block, too.
        if (errorCode(error) !== "EEXIST") break;
      }
      if (await isOld(path)) await rm(path, { force: true }).catch(() => undefined);
      else await wait(CLAIM_PAUSE, undefined, signal === undefined ? {} : { signal });
      waited = true;
    }
    return { waited, release: () => Promise.resolve() };
  }

  /** Keeps a block of at most `BLOCK_BYTES`. */
  put(key: string, block: Uint8Array): Promise<void> {
    this.#turn = this.#turn.then(() => this.#write(key, block));
    return this.#turn;
  }

  async #write(key: string, block: Uint8Array): Promise<void> {
    if (!this.#writes) return;
    const path = this.#path(key);
    const set = dirname(path);
    // Beside the sets, so that leftovers are found at once.
    const temporary = await temporaryName(join(this.#folder, "block"));
    try {
      await mkdir(set).catch((error: unknown) => {
        if (errorCode(error) !== "EEXIST") throw error;
      });
      await this.#shrink(set, this.#ways - 1);
      await writeFile(temporary, Buffer.concat([header(key, block), block]), { flag: "wx", mode: 0o600 });
      await rename(temporary, path);
      // Another process may have written into the set, too.
      await this.#shrink(set, this.#ways);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      this.#giveUp(error);
    }
  }

  /** Removes the blocks of a set that were used longest ago, until it has at most so many. */
  async #shrink(set: string, most: number): Promise<void> {
    const names = await readdir(set);
    if (names.length <= most) return;
    const blocks = await Promise.all(
      names.map(async (name) => {
        const path = join(set, name);
        const found = await stat(path).catch(() => undefined);
        return { path, used: found?.mtimeMs ?? 0 };
      }),
    );
    blocks.sort((a, b) => a.used - b.used);
    for (const { path } of blocks.slice(0, names.length - most)) await rm(path, { force: true });
  }

  #path(key: string): string {
    const hash = hashOf(key);
    const set = hash.readUInt32LE(0) % this.#sets;
    return join(this.#folder, String(set), hash.toString("hex", 4, 24));
  }

  #giveUp(error: unknown): void {
    if (!this.#writes) return;
    this.#writes = false;
    const code = errorCode(error);
    const why =
      code === "ENOSPC" || code === "EDQUOT"
        ? "the disk is full"
        : code === "EROFS"
          ? "the file system is read-only"
          : code === "ENOENT"
            ? "the folder was removed, as a process with another DDSC_CACHE_BYTES does"
            : (code ?? String(error));
    this.#trouble = `nothing more is kept in the cache ${this.#folder} (DDSC_CACHE_DIR): ${why}; what is not in it is read from its address each time`;
    this.#tellTrouble();
  }

  #tellTrouble(): void {
    if (this.#tell === undefined || this.#trouble === undefined) return;
    this.#tell(this.#trouble);
    this.#trouble = undefined;
  }
}

function hashOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

/** Whether a claim stands for longer than fetching takes, as that of a process that was killed; or has gone. */
async function isOld(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined || Date.now() - found.mtimeMs > LONGEST_CLAIM;
}

/** What stands before a block in its file. */
function header(key: string, block: Uint8Array): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(block.length, MAGIC.length);
  bytes.writeUInt32LE(crc32(block, crc32(key)), MAGIC.length + 4);
  return bytes;
}

async function removeOtherLayouts(folder: string, own: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (LAYOUT.test(name) && path !== own) await rm(path, { recursive: true, force: true });
  }
}
