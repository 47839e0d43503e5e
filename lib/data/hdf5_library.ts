/** The functions of h5wasm's WebAssembly module. */
export type H5Module = Awaited<typeof import("h5wasm/node")["ready"]>;

/** The HDF5 library (compiled to WebAssembly by h5wasm) and what it last said about an error. */
export interface Hdf5Library {
  readonly module: H5Module;
  /** The library's own account of what went wrong since the last call, innermost cause last; "" if nothing. */
  takeDiagnostics(): string;
}

/** The part of Emscripten's stream for file descriptor 2 that is replaced. */
interface ErrorStream {
  node: { mode: number };
  stream_ops: { write(stream: unknown, bytes: Uint8Array, offset: number, length: number): number };
}

const MAX_DIAGNOSTICS = 16_384;
const CHARACTER_DEVICE = 0o020000;

let library: Promise<Hdf5Library> | undefined;

/**
 * Loads the library once. It prints a page of its own source locations to stderr at each error; that text is
 * kept for `takeDiagnostics` instead.
 */
export function loadHdf5(): Promise<Hdf5Library> {
  library ??= loadModule().then((module) => {
    let text = "";
    const { FS } = module as unknown as { FS: { getStream(descriptor: number): ErrorStream } };
    const stream = FS.getStream(2);
    stream.node = { mode: CHARACTER_DEVICE };
    stream.stream_ops = {
      write(_stream, bytes, offset, length) {
        const part = new Uint8Array(bytes.buffer, bytes.byteOffset + offset, length);
        if (text.length < MAX_DIAGNOSTICS) text += Buffer.from(part).toString("utf8");
        return length;
      },
    };
    return {
      module,
      takeDiagnostics() {
        const taken = text;
        text = "";
        return taken;
      },
    };
  });
  return library;
}

/** Imported at first use: the module is megabytes of code that many commands never need. */
async function loadModule(): Promise<H5Module> {
  const { ready } = await import("h5wasm/node");
  return ready;
}

/** The innermost cause in the library's error text, without source locations. */
export function innermostCause(diagnostics: string): string {
  const frames = diagnostics.split("\n").filter((line) => /^\s*#\d+:/.test(line));
  const last = frames.at(-1) ?? "";
  return last.replace(/^.*? line \d+ in \w+\(\): /, "").trim();
}
