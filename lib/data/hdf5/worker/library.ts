import { resolve } from "node:path";
import { isDamagedLocalHeap, spoilDamagedHeaps } from "./heaps.js";
import { makeInstance } from "./instance.js";
import { Hdf5MemoryBound } from "./memory.js";
import type { H5Module } from "./types.js";

/** The HDF5 library (compiled to WebAssembly by h5wasm) and what it last said about an error. */
export interface Hdf5Library {
  readonly module: H5Module;
  /** Bounds what the library allocates by the files it is given. */
  readonly memory: Hdf5MemoryBound;
  /** Which files the library opens. */
  readonly opens: GuardedOpens;
  /** The library's own account of what went wrong since the last call, innermost cause last; "" if nothing. */
  takeDiagnostics(): string;
}

/** The parts of Emscripten's file system that are watched or replaced. */
interface ModuleFileSystem {
  getStream(descriptor: number): Stream;
  open(path: string, flags: number, mode?: number): Stream;
  read(stream: Stream, memory: Int8Array, offset: number, length: number, position?: number): number;
}
interface Stream {
  readonly nfd: number;
  readonly position: number;
  node: { mode: number };
  stream_ops: { write(stream: unknown, bytes: Uint8Array, offset: number, length: number): number };
}

const MAX_DIAGNOSTICS = 16_384;
const CHARACTER_DEVICE = 0o020000;
/** WASI's numbers for an input/output error, and for permission denied. */
const WASI_EIO = 29;
const WASI_EACCES = 2;

let library: Promise<Hdf5Library> | undefined;

/**
 * Loads the library once. It prints a page of its own source locations to stderr at each error; that text is
 * kept for `takeDiagnostics` instead. What it reads is looked at first: see heaps.ts, and ../README.md for why.
 */
export function loadHdf5(): Promise<Hdf5Library> {
  library ??= makeInstance().then(({ module, memory }) => {
    const { FS } = module as unknown as { FS: ModuleFileSystem };
    watchReads(FS);
    return {
      module,
      memory: new Hdf5MemoryBound(memory),
      opens: new GuardedOpens(FS),
      takeDiagnostics: captureDiagnostics(FS),
    };
  });
  return library;
}

/**
 * Lets the library open the file that it is given and no other: external links, external storage and virtual datasets would have it
 * read any file that the user may read, and give its bytes as counts.
 */
export class GuardedOpens {
  #allowed: string | undefined;
  #refused: string | undefined;

  constructor(files: ModuleFileSystem) {
    const open = files.open.bind(files);
    files.open = (path, flags, mode) => {
      if (resolve(path) === this.#allowed) return open(path, flags, mode);
      this.#refused ??= path;
      throw systemError(WASI_EACCES);
    };
  }

  /** Runs a call that may open `path`. */
  during<T>(path: string, call: () => T): T {
    this.#allowed = resolve(path);
    try {
      return call();
    } finally {
      this.#allowed = undefined;
    }
  }

  /** The first other file that was asked for since the last call; undefined if none was. */
  takeRefused(): string | undefined {
    const refused = this.#refused;
    this.#refused = undefined;
    return refused;
  }
}

function watchReads(files: ModuleFileSystem): void {
  const read = files.read.bind(files);
  files.read = (stream, memory, offset, length, position) => {
    const start = position ?? stream.position;
    const count = read(stream, memory, offset, length, position);
    if (count <= 0) return count;
    const bytes = new Uint8Array(memory.buffer, memory.byteOffset + offset, count);
    spoilDamagedHeaps(bytes, start, stream.nfd);
    if (isDamagedLocalHeap(bytes, stream.nfd)) throw systemError(WASI_EIO);
    return count;
  };
}

/** What Emscripten's file system throws for a system call that fails; the library reports it as an error of its own. */
function systemError(errno: number): Error {
  return Object.assign(new Error("refused"), { name: "ErrnoError", errno });
}

function captureDiagnostics(files: ModuleFileSystem): () => string {
  let text = "";
  const stream = files.getStream(2);
  stream.node = { mode: CHARACTER_DEVICE };
  stream.stream_ops = {
    write(_stream, bytes, offset, length) {
      const part = new Uint8Array(bytes.buffer, bytes.byteOffset + offset, length);
      if (text.length < MAX_DIAGNOSTICS) text += Buffer.from(part).toString("utf8");
      return length;
    },
  };
  return () => {
    const taken = text;
    text = "";
    return taken;
  };
}

/** The innermost cause in the library's error text, without source locations. */
export function innermostCause(diagnostics: string): string {
  const frames = diagnostics.split("\n").filter((line) => /^\s*#\d+:/.test(line));
  const last = frames.at(-1) ?? "";
  return last.replace(/^.*? line \d+ in \w+\(\): |: time = .*$/g, "").trim();
}
