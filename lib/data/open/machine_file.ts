import { randomBytes } from "node:crypto";
import { closeSync, openSync, readFileSync, readSync, unlinkSync, writeSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { fileWriteError } from "../../base/files.js";
import { type Layout, type MappedFile, mapArrays, type Numbers, writeArrays } from "../io/mapped_arrays.js";
import { type Peers, workOfAll } from "./share_out.js";

/** Bytes that tell one file from another. */
const TOKEN_BYTES = 16;

/** A file that a rank has made. */
interface Made {
  readonly path: string;
  readonly token: string;
  readonly machine: string;
}

/**
 * A temporary file of the ranks of one machine, for what each of them would else hold by itself. It has no name by the time it is made: nothing
 * is left behind, however the processes end.
 */
export class MachineFile implements MappedFile, Disposable {
  /** The file that this rank reads. */
  readonly descriptor: number;
  /** Whether this rank writes what the ranks of its machine are to share. */
  readonly isWriter: boolean;
  readonly #peers: Peers;
  readonly #path: string;
  /** The file that this rank writes to. */
  readonly #own: number;
  readonly #writer: number;
  readonly #writers: readonly number[];
  #layout: Layout = { places: [], bytes: 0, token: "" };
  #isOpen = true;

  private constructor(peers: Peers, path: string, own: number, read: number, writers: readonly number[]) {
    this.#peers = peers;
    this.#path = path;
    this.#own = own;
    this.descriptor = read;
    this.#writers = writers;
    this.#writer = writers[peers.rank] ?? peers.rank;
    this.isWriter = writers.includes(peers.rank);
  }

  /**
   * Makes a file on each machine: where processes run the same kernel and see the same temporary folder. Every rank calls this. Throws
   * `FILE_WRITE` on all where one cannot.
   */
  static async make(peers: Peers): Promise<MachineFile> {
    const path = join(tmpdir(), `ddsc-${process.pid}-${randomBytes(6).toString("hex")}.tmp`);
    const token = randomBytes(TOKEN_BYTES).toString("hex");
    let own = -1;
    let read = -1;
    try {
      const made = await workOfAll(peers, async (): Promise<Made> => {
        own = create(path, token);
        return { path, token, machine: machine() };
      });
      let writer = peers.rank;
      for (let rank = 0; read < 0 && rank <= peers.rank; rank++) {
        read = openMade(made[rank]);
        writer = rank;
      }
      const writers = await workOfAll(peers, async () => {
        if (read < 0) throw fileWriteError(path, new Error("it cannot be opened again"));
        return writer;
      });
      return new MachineFile(peers, path, own, read, writers);
    } catch (error) {
      for (const descriptor of [own, read]) if (descriptor >= 0) closeSync(descriptor);
      throw error;
    } finally {
      if (own >= 0) unlinkSync(path);
    }
  }

  /**
   * Shares arrays: gives those of the rank that writes for the machine. Every rank calls this, once. Throws `FILE_WRITE` and
   * `DATA_UNREADABLE` on all where one cannot write, or map what was written.
   *
   * @param arrays what a writer shares; not asked of others
   */
  async share<T extends Readonly<Record<string, Numbers>>>(arrays: () => T): Promise<T> {
    const layouts = await workOfAll(this.#peers, async (): Promise<Layout> => {
      if (!this.isWriter) return this.#layout;
      try {
        return writeArrays(this.#own, arrays());
      } catch (error) {
        throw fileWriteError(this.#path, error);
      }
    });
    this.#layout = layouts[this.#writer] ?? this.#layout;
    let mapped: T | undefined;
    await workOfAll(this.#peers, async () => {
      mapped = mapArrays(this) as T;
      return 0;
    });
    return mapped as T;
  }

  /** Whether a rank is of the same machine: reads what the same rank writes. */
  hasRank(rank: number): boolean {
    return this.#writers[rank] === this.#writer;
  }

  /** Where what was shared lies. */
  get layout(): Layout {
    return this.#layout;
  }

  /** Closes the files; what was mapped stays. */
  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#own);
    closeSync(this.descriptor);
  }
}

function create(path: string, token: string): number {
  let descriptor = -1;
  try {
    descriptor = openSync(path, "wx+", 0o600);
    writeSync(descriptor, token, 0);
    return descriptor;
  } catch (error) {
    if (descriptor >= 0) {
      closeSync(descriptor);
      unlinkSync(path);
    }
    throw fileWriteError(path, error);
  }
}

/** The file of another rank, where it is of this machine and is found; else -1. */
function openMade(made: Made | undefined): number {
  if (made === undefined || made.machine !== machine()) return -1;
  let descriptor = -1;
  try {
    descriptor = openSync(made.path, "r");
    const found = Buffer.alloc(made.token.length);
    readSync(descriptor, found, 0, found.length, 0);
    if (found.toString() === made.token) return descriptor;
  } catch {
    // In a container, say: its folder is another.
  }
  if (descriptor >= 0) closeSync(descriptor);
  return -1;
}

/** What tells machines apart that see the same folder over a network. */
function machine(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return hostname();
  }
}
