import type { MappedFile } from "../io/mapped_arrays.js";
import type { SourceDescriptor } from "../sources/descriptor.js";
import { type CellSource, handoverOf } from "../sources/source.js";
import type { FilePool } from "./file_pool.js";
import { OutlineCollector, type Outlines } from "./outlines.js";
import { arraysOf } from "./pool_arrays.js";

/** Sources that are read as one, whether they are open or not. */
export interface Members extends Disposable {
  readonly outlines: Outlines;
  /** What their readers noticed, with their names. */
  readonly notes: readonly string[];
  nameOf(member: number): string;
  /** Gives what `work` does with one of them, open meanwhile. */
  use<T>(member: number, work: (source: CellSource) => Promise<T>): Promise<T>;
  /** See `CellSource`. */
  storedCounts(member: number, rows: Int32Array): Int32Array | undefined;
  /** Of all of them as one source of this name. */
  descriptor(name: string): SourceDescriptor;
  handover(name: string): SourceDescriptor;
}

/** Sources that are all open. */
export class OpenMembers implements Members {
  readonly outlines: Outlines;
  readonly #sources: readonly CellSource[];

  constructor(sources: readonly CellSource[]) {
    this.#sources = sources;
    const collector = new OutlineCollector();
    for (const source of sources) {
      collector.addTraits(source, source);
      collector.add(source, source.partBounds.subarray(1));
    }
    this.outlines = collector.outlines();
  }

  get notes(): readonly string[] {
    return this.#sources.flatMap((source) => source.notes.map((note) => `${source.name}: ${note}`));
  }

  nameOf(member: number): string {
    return this.#at(member).name;
  }

  use<T>(member: number, work: (source: CellSource) => Promise<T>): Promise<T> {
    return work(this.#at(member));
  }

  storedCounts(member: number, rows: Int32Array): Int32Array | undefined {
    return this.#at(member).storedCounts?.(rows);
  }

  descriptor(name: string): SourceDescriptor {
    return { kind: "concatenated", name, sources: this.#sources.map((source) => source.descriptor()) };
  }

  handover(name: string): SourceDescriptor {
    return { kind: "concatenated", name, sources: this.#sources.map(handoverOf) };
  }

  [Symbol.dispose](): void {
    for (const source of this.#sources) source[Symbol.dispose]();
  }

  #at(member: number): CellSource {
    const source = this.#sources[member];
    if (source === undefined) throw new RangeError(`there is no source ${member}`);
    return source;
  }
}

/** Files of which those are open that were used last. */
export class PooledMembers implements Members {
  readonly outlines: Outlines;
  readonly #pool: FilePool;
  readonly #mapped: (MappedFile & Disposable) | undefined;

  /**
   * The pool belongs to them.
   *
   * @param mapped where what is known of the files lies, which belongs to them, too; left out where it lies in memory
   */
  constructor(pool: FilePool, outlines: Outlines, mapped?: MappedFile & Disposable) {
    this.#pool = pool;
    this.outlines = outlines;
    this.#mapped = mapped;
  }

  get notes(): readonly string[] {
    return this.#pool.notes;
  }

  nameOf(member: number): string {
    return this.#pool.nameOf(member);
  }

  use<T>(member: number, work: (source: CellSource) => Promise<T>): Promise<T> {
    return this.#pool.use(member, work);
  }

  /** Undefined: a file tells only while it is open. */
  storedCounts(): undefined {
    return undefined;
  }

  descriptor(name: string): SourceDescriptor {
    return { kind: "files", name, paths: this.#pool.paths(), options: this.#pool.options };
  }

  handover(name: string): SourceDescriptor {
    const { options } = this.#pool;
    const { traits } = this.outlines;
    // A file has addresses as they are said.
    if (this.#mapped !== undefined && !this.#pool.hasSecrets()) {
      const { descriptor, layout } = this.#mapped;
      return { kind: "pool", name, options, traits, arrays: { descriptor, layout } };
    }
    return { kind: "pool", name, options, traits, arrays: arraysOf(this.#pool.list(), this.outlines) };
  }

  [Symbol.dispose](): void {
    this.#pool[Symbol.dispose]();
    this.#mapped?.[Symbol.dispose]();
  }
}
