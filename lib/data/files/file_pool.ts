import { LRUCache } from "lru-cache";
import { DdscError } from "../../base/errors.js";
import { fullAddress, publicAddress } from "../io/addresses.js";
import { isUrl } from "../io/content.js";
import { closedError, type FileIdentity } from "../io/random_access.js";
import type { CheckIdentity } from "../io/random_access_open.js";
import type { OpenOptions } from "../sources/cells.js";
import type { CountFindings } from "../sources/checked_counts.js";
import type { FileSource } from "../sources/file_source.js";
import { PackedStrings } from "../sources/packed_strings.js";
import type { FileList } from "./file_list.js";
import { Identities } from "./identities.js";

/** Files that are open at a time, at most: a process may have 1,024, often. */
const MOST_OPEN = 256;
/** Of files at addresses, which take memory alone and requests to be opened again: some 70 MB. */
const MOST_OPEN_ADDRESSES = 4096;
/** Files with the same note that each have it to themselves. */
const MOST_NAMED = 3;

/** Opens a file of the format of this number, once `check` has seen which version it is. */
export type OpenFile = (
  path: string,
  format: number,
  options: OpenOptions,
  check: CheckIdentity,
) => Promise<FileSource>;

/** A file that is open, or is being opened. */
interface Opened {
  readonly source: Promise<FileSource>;
  /** Who works with it. */
  users: number;
  /** Whether it is to be closed once nobody does. */
  left: boolean;
}

/** What is kept of a file of which its reader noticed something. */
interface Noted {
  readonly notes: readonly string[];
  readonly findings: CountFindings;
}

/**
 * Many files of which some are open: those that were used last. A file that is not takes the bytes of its path and thirty more. It is
 * opened again when it is used, and has to be as it was: `DATA_CHANGED`.
 */
export class FilePool implements Disposable {
  readonly options: OpenOptions;
  #paths: PackedStrings;
  #formats: Uint8Array;
  readonly #open: OpenFile;
  #identities: Identities;
  readonly #opened: LRUCache<number, Opened>;
  readonly #noted = new Map<number, Noted>();
  #closed = false;

  /** @param mostOpen files that stay open without being used, in place of those 256 (4,096 of addresses alone) */
  constructor({ paths, formats, options, identities }: FileList, open: OpenFile, mostOpen?: number) {
    this.options = options;
    this.#paths = PackedStrings.from(paths);
    this.#formats = formats;
    this.#open = open;
    this.#identities = identities === undefined ? Identities.unknown(this.count) : new Identities(identities);
    this.#opened = new LRUCache({
      max: Math.min(this.count, mostOpen ?? this.#mostOpen()),
      dispose: (entry) => {
        entry.left = true;
        close(entry);
      },
    });
  }

  /** Files there are. */
  get count(): number {
    return this.#formats.length;
  }

  /** Path of a file, without what is secret of an address. */
  nameOf(file: number): string {
    return publicAddress(this.#paths.at(file));
  }

  /** Gives what `work` does with a file, open meanwhile. Throws `DATA_CHANGED`, `DATA_CLOSED`, and what opening it throws. */
  async use<T>(file: number, work: (source: FileSource) => Promise<T>): Promise<T> {
    const entry = this.#entryOf(file);
    entry.users++;
    try {
      const source = await entry.source;
      const result = await work(source);
      this.note(file, source.notes, source.findings);
      return result;
    } finally {
      entry.users--;
      close(entry);
    }
  }

  /** Keeps what a reader noticed of a file, and goes on from when it is opened again. */
  note(file: number, notes: readonly string[], findings: CountFindings): void {
    if (notes.length > 0) this.#noted.set(file, { notes, findings });
  }

  /** What readers noticed, each with the name of the file, or of the first of many. */
  get notes(): readonly string[] {
    const times = new Map<string, number>();
    const told: string[] = [];
    for (const [file, { notes }] of [...this.#noted].sort(([a], [b]) => a - b)) {
      for (const note of notes) {
        const before = times.get(note) ?? 0;
        times.set(note, before + 1);
        if (before < MOST_NAMED) told.push(`${this.nameOf(file)}: ${note}`);
      }
    }
    for (const [note, count] of times)
      if (count > MOST_NAMED) told.push(`${count - MOST_NAMED} more files: ${note}`);
    return told;
  }

  /** Takes in which version of a file another process has opened; false where it is another than is known here. */
  isSame(file: number, identity: FileIdentity): boolean {
    return this.#identities.isSame(file, identity);
  }

  /** What is known of the files, where it lies. */
  get held(): Required<FileList> {
    const { options } = this;
    return {
      paths: this.#paths.held(),
      formats: this.#formats,
      options,
      identities: this.#identities.packed(),
    };
  }

  /** Has what is known of the same files lie elsewhere from here on; what is known here alone is added there. */
  moveTo({ paths, formats, identities }: Required<FileList>): void {
    const before = this.#identities;
    this.#paths = PackedStrings.from(paths);
    this.#formats = formats;
    this.#identities = new Identities(identities);
    this.#identities.add(before.packed());
  }

  /** Whether an address is not all that is needed to read it: another thread has to be told the rest. */
  hasSecrets(): boolean {
    for (let file = 0; file < this.count; file++) {
      const path = this.#paths.at(file);
      if (fullAddress(path) !== path) return true;
    }
    return false;
  }

  /** Paths, and addresses in full. */
  paths(): string[] {
    return Array.from({ length: this.count }, (_, file) => fullAddress(this.#paths.at(file)));
  }

  /** The files with what is known of them, for another thread. */
  list(): Required<FileList> {
    // Another thread, too, needs the addresses in full.
    const paths = new PackedStrings();
    for (let file = 0; file < this.count; file++) paths.push(Buffer.from(fullAddress(this.#paths.at(file))));
    return { ...this.held, paths: paths.packed() };
  }

  /** Closes those that are open. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#opened.clear();
  }

  #mostOpen(): number {
    for (let file = 0; file < this.count; file++) if (!isUrl(this.#paths.at(file))) return MOST_OPEN;
    return MOST_OPEN_ADDRESSES;
  }

  #entryOf(file: number): Opened {
    if (this.#closed) throw closedError(this.nameOf(file));
    const known = this.#opened.get(file);
    if (known !== undefined) return known;
    const entry = { source: this.#openAgain(file), users: 0, left: false };
    this.#opened.set(file, entry);
    entry.source.catch(() => {
      if (this.#opened.peek(file) === entry) this.#opened.delete(file);
    });
    return entry;
  }

  async #openAgain(file: number): Promise<FileSource> {
    const name = this.nameOf(file);
    const source = await this.#open(name, this.#formats[file] ?? 0, this.options, (identity) => {
      if (!this.#identities.isSame(file, identity)) throw changedError(name);
    });
    const findings = this.#noted.get(file)?.findings;
    if (findings !== undefined) source.findings = findings;
    return source;
  }
}

/** Closes a file that is to be closed once nobody works with it. */
function close({ source, users, left }: Opened): void {
  if (!left || users > 0) return;
  source.then(
    (opened) => opened[Symbol.dispose](),
    () => undefined, // thrown to who used it
  );
}

/** The error for a file that is another than it was. */
export function changedError(name: string): DdscError {
  return new DdscError(
    "DATA_CHANGED",
    `${name}: was changed after it was opened first; leave files alone while they are read, and begin again`,
    { file: name },
  );
}
