import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import type { H5Module } from "./types.js";

/** What of WebAssembly is used here, of which Node's types know nothing. */
interface Compiled {
  readonly exports: { readonly memory: WebAssemblyMemory };
}
declare const WebAssembly: {
  instantiate(program: object, imports: object): Promise<Compiled>;
};

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
  instantiateWasm(imports: object, done: (instance: Compiled, program: object) => void): object;
}) => Promise<H5Module>;

/** An instance of h5wasm and the memory that it takes. */
export interface Hdf5Instance {
  readonly module: H5Module;
  readonly memory: WebAssemblyMemory;
}

/**
 * A thread that makes an instance of its own and posts the compiled program, which the library gives to nobody: in that thread
 * `WebAssembly.instantiate` is another one. Starting the instance has those functions compiled that a start needs; V8 shares them
 * among the threads of a process. As text, since a file of its own would have to be found wherever this one runs from.
 */
const COMPILE = `
  import { parentPort, workerData } from "node:worker_threads";
  const { instantiate } = WebAssembly;
  let program;
  WebAssembly.instantiate = async (bytes, imports) => {
    const made = await instantiate(bytes, imports);
    program = made.module;
    return made;
  };
  parentPort.ref();
  const { default: make } = await import(workerData);
  await make({ noInitialRun: true });
  parentPort.postMessage(program);
`;

/**
 * An instance that nobody else in the process gets, so that what is done to it changes no other reader of HDF5. Imported at
 * first use: it is megabytes of code that many commands never need. They are decoded and compiled in a thread, beside which they
 * are parsed here: all of it at once would stop the event loop for some 80 ms.
 *
 * The library complains on stderr about memory and text that it cannot decode, which are errors of their own here: that is dropped.
 */
export async function makeInstance(): Promise<Hdf5Instance> {
  const url = programUrl();
  const [program, { default: make }] = await Promise.all([
    compileInThread(url),
    import(url) as Promise<{ default: MakeInstance }>,
  ]);
  await setImmediate();
  return new Promise((resolve, reject) => {
    let memory: WebAssemblyMemory | undefined;
    make({
      noInitialRun: true,
      printErr: () => undefined,
      instantiateWasm(imports, done) {
        WebAssembly.instantiate(program, imports).then((instance) => {
          ({ memory } = instance.exports);
          done(instance, program);
        }, reject);
        return {};
      },
    }).then(async (module) => {
      if (memory === undefined) throw new Error("h5wasm did not ask to be instantiated");
      await setImmediate();
      resolve({ module, memory });
    }, reject);
  });
}

/** Address of the module beneath h5wasm's classes, which its package does not export by name. */
function programUrl(): string {
  const name = "hdf5_util.js";
  // Where a loader runs this as CommonJS there is no import.meta.resolve, and h5wasm is for import alone.
  if (typeof import.meta.resolve === "function")
    return new URL(name, import.meta.resolve("h5wasm/node")).href;
  const folders = createRequire(import.meta.url).resolve.paths("h5wasm") ?? [];
  const found = folders.map((folder) => join(folder, "h5wasm", "dist", "node", name)).find(existsSync);
  if (found === undefined) throw new Error("h5wasm is not installed beside ddsc");
  return pathToFileURL(found).href;
}

/** `WebAssembly.Module` of the library at this address. */
async function compileInThread(url: string): Promise<object> {
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(COMPILE)}`), {
    workerData: url,
    execArgv: [],
  });
  try {
    return await new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.once("exit", (code) => reject(new Error(`the thread that compiles h5wasm ended with ${code}`)));
    });
  } finally {
    await worker.terminate();
  }
}
