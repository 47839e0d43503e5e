import { on } from "node:events";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { takeTurn } from "../../base/turns.js";
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
  /** Whether the library's JavaScript was parsed here without the program that it holds as text, which takes a fifth of the time. */
  readonly isProgramApart: boolean;
}

/**
 * A thread that posts the library's JavaScript without the program that it holds as text, undefined where it does not look as it is
 * known to; then makes an instance of its own and posts the compiled program, which the library gives to nobody: in that thread
 * `WebAssembly.instantiate` is another one. Starting the instance has those functions compiled that a start needs; V8 shares them
 * among the threads of a process. As text, since a file of its own would have to be found wherever this one runs from.
 */
const PREPARE = `
  import { readFileSync } from "node:fs";
  import { parentPort, workerData } from "node:worker_threads";
  const text = readFileSync(new URL(workerData), "utf8");
  const start = text.indexOf("binaryDecode('") + 14;
  const end = text.lastIndexOf("')}function ");
  const isKnown = start >= 14 && end > start && text.length - (end - start) < 500_000;
  parentPort.postMessage(
    isKnown
      ? (text.slice(0, start) + text.slice(end)).replaceAll("import.meta.url", JSON.stringify(workerData))
      : undefined,
  );
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
 * first use: it is megabytes that many commands never need. They are read, parsed, decoded and compiled in a thread; here only the
 * library's JavaScript is, for all of it would stop the event loop for some 80 ms.
 *
 * The library complains on stderr about memory and text that it cannot decode, which are errors of their own here: that is dropped.
 */
export async function makeInstance(): Promise<Hdf5Instance> {
  const { program, make, isProgramApart } = await prepareInThread(programUrl());
  await takeTurn();
  await takeTurn();
  return new Promise((resolve, reject) => {
    let memory: WebAssemblyMemory | undefined;
    make({
      noInitialRun: true,
      printErr: () => undefined,
      instantiateWasm(imports, done) {
        takeTurn()
          .then(() => WebAssembly.instantiate(program, imports))
          .then((instance) => {
            ({ memory } = instance.exports);
            done(instance, program);
          })
          .catch(reject);
        return {};
      },
    }).then(async (module) => {
      if (memory === undefined) throw new Error("h5wasm did not ask to be instantiated");
      await takeTurn();
      resolve({ module, memory, isProgramApart });
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

/** `WebAssembly.Module` of the library at this address, and what makes an instance of it. */
async function prepareInThread(
  url: string,
): Promise<{ program: object; make: MakeInstance; isProgramApart: boolean }> {
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(PREPARE)}`), {
    workerData: url,
    execArgv: [],
  });
  const posted = on(worker, "message", { close: ["exit"] });
  const next = async <T>(): Promise<T> => {
    const { done, value } = await posted.next();
    if (done === true) throw new Error("the thread that prepares h5wasm has ended");
    return value[0] as T;
  };
  try {
    const code = await next<string | undefined>();
    const isProgramApart = code !== undefined;
    const address = isProgramApart ? `data:text/javascript,${encodeURIComponent(code)}` : url;
    const [{ default: make }, program] = await Promise.all([
      import(address) as Promise<{ default: MakeInstance }>,
      next<object>(),
    ]);
    return { program, make, isProgramApart };
  } finally {
    await worker.terminate();
  }
}
