import type { H5Module } from "./types.js";

/** What of WebAssembly is used here, of which Node's types know nothing. */
interface Compiled {
  readonly instance: { readonly exports: { readonly memory: WebAssemblyMemory } };
}
declare const WebAssembly: { instantiate(program: object, imports: object): Promise<Compiled> };

/** `WebAssembly.Memory`. */
export interface WebAssemblyMemory {
  readonly buffer: ArrayBuffer;
  /** By pages of 64 KiB; gives how many there were. */
  grow(pages: number): number;
}

/** What h5wasm's own module, beneath its classes, makes an instance with: Emscripten's options. */
type MakeInstance = (options: {
  readonly noInitialRun: boolean;
  readonly printErr: () => void;
}) => Promise<H5Module>;

/** An instance of h5wasm and the memory that it takes. */
export interface Hdf5Instance {
  readonly module: H5Module;
  readonly memory: WebAssemblyMemory;
}

/**
 * An instance of h5wasm that nobody else in the process gets. Its memory is given to nobody: `WebAssembly.instantiate`, of this thread
 * alone, is another one meanwhile.
 *
 * The library complains on stderr about memory and text that it cannot decode, which are errors of their own here: that is dropped.
 */
export async function makeInstance(): Promise<Hdf5Instance> {
  // Beneath h5wasm's classes; its package does not export it by name.
  const url = new URL("hdf5_util.js", import.meta.resolve("h5wasm/node"));
  const { default: make } = (await import(url.href)) as { default: MakeInstance };
  const { instantiate } = WebAssembly;
  let memory: WebAssemblyMemory | undefined;
  WebAssembly.instantiate = async (program, imports) => {
    const made = await instantiate(program, imports);
    ({ memory } = made.instance.exports);
    return made;
  };
  try {
    const module = await make({ noInitialRun: true, printErr: () => undefined });
    if (memory === undefined) throw new Error("h5wasm did not ask to be instantiated");
    return { module, memory };
  } finally {
    WebAssembly.instantiate = instantiate;
  }
}
