import { on } from "node:events";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Script } from "node:vm";
import { Worker } from "node:worker_threads";
import { takeTurnFor } from "../../base/turns.js";
import type { H5Module } from "./types.js";

/** Milliseconds that each piece of making an instance takes at least, which nothing can interrupt. */
const PIECE_MS = 5;

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
  /** Awaited between the library's instantiation and its start, where its program is apart. */
  readonly beforeStart: () => Promise<void>;
  instantiateWasm(imports: object, done: (instance: Compiled, program: object) => void): object;
}) => Promise<H5Module>;

/** An instance of h5wasm and the memory that it takes. */
export interface Hdf5Instance {
  readonly module: H5Module;
  readonly memory: WebAssemblyMemory;
  /** Whether the library's JavaScript was parsed here without the program that it holds as text, which takes a fifth of the time. */
  readonly isProgramApart: boolean;
}

/** What the thread posts: the library's JavaScript without the program that it holds as text, with what V8 has compiled of it. */
interface Prepared {
  readonly program: object;
  readonly code: string;
  readonly compiled: Uint8Array;
}

/**
 * A thread that takes the program, which the library holds as text, out of its JavaScript, makes an instance of its own and posts what
 * `Prepared` says; the program alone where the library does not look as it is known to. The library gives the compiled program to nobody:
 * in that thread `WebAssembly.instantiate` is another one. Starting the instance has those functions compiled that a start needs; V8
 * shares those of the program among the threads of a process, and takes those of JavaScript from what is posted. As text, since a file of
 * its own would have to be found wherever this one runs from.
 */
const PREPARE = `
  import { readFileSync } from "node:fs";
  import { runInThisContext, Script } from "node:vm";
  import { parentPort, workerData } from "node:worker_threads";
  const { instantiate } = WebAssembly;
  let program;
  WebAssembly.instantiate = async (bytes, imports) => {
    const made = await instantiate(bytes, imports);
    program = made.module;
    return made;
  };
  parentPort.ref();
  const text = readFileSync(new URL(workerData), "utf8");
  const start = text.indexOf("binaryDecode('") + 13;
  const end = text.lastIndexOf("')}function ") + 1;
  const exported = "export default Module;";
  const body = (text.slice(0, start) + "moduleArg.programText" + text.slice(end))
    .replaceAll("import.meta.url", JSON.stringify(workerData))
    .replace('import("module")', 'process.getBuiltinModule("module")')
    .replace("wasmExports=await (createWasm());", "$&await moduleArg.beforeStart?.();")
    .replace(exported, "return Module");
  if (start >= 13 && end > start && body.length < 500_000 && !/import[.(]|export default/.test(body)) {
    const code = '"use strict";(()=>{' + body + "})()";
    const script = new Script(code, { filename: workerData });
    const programText = runInThisContext(text.slice(start, end));
    await script.runInThisContext()({ noInitialRun: true, programText });
    parentPort.postMessage({ program, code, compiled: script.createCachedData() });
  } else {
    const { default: make } = await import(workerData);
    await make({ noInitialRun: true });
    parentPort.postMessage({ program });
  }
`;

/**
 * An instance that nobody else in the process gets, so that what is done to it changes no other reader of HDF5. Imported at
 * first use: it is megabytes that many commands never need. They are read, parsed, decoded and compiled in a thread: all of it would
 * stop the event loop for some 80 ms.
 *
 * The library complains on stderr about memory and text that it cannot decode, which are errors of their own here: that is dropped.
 */
export async function makeInstance(): Promise<Hdf5Instance> {
  const { program, make, isProgramApart } = await prepareInThread(programUrl());
  await takeTurnFor(PIECE_MS);
  return new Promise((resolve, reject) => {
    let memory: WebAssemblyMemory | undefined;
    make({
      noInitialRun: true,
      printErr: () => undefined,
      beforeStart: () => takeTurnFor(PIECE_MS),
      instantiateWasm(imports, done) {
        takeTurnFor(PIECE_MS)
          .then(() => WebAssembly.instantiate(program, imports))
          .then(async (instance) => {
            await takeTurnFor(PIECE_MS);
            ({ memory } = instance.exports);
            done(instance, program);
          })
          .catch(reject);
        return {};
      },
    }).then(async (module) => {
      if (memory === undefined) throw new Error("h5wasm did not ask to be instantiated");
      await takeTurnFor(PIECE_MS);
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
  try {
    const { done, value } = await posted.next();
    if (done === true) throw new Error("the thread that prepares h5wasm has ended");
    const [{ program, code, compiled }] = value as [Pick<Prepared, "program"> & Partial<Prepared>];
    if (code === undefined || compiled === undefined) {
      const { default: make } = (await import(url)) as { default: MakeInstance };
      return { program, make, isProgramApart: false };
    }
    await takeTurnFor(PIECE_MS);
    const script = new Script(code, { filename: url, cachedData: compiled });
    return { program, make: script.runInThisContext() as MakeInstance, isProgramApart: true };
  } finally {
    await worker.terminate();
  }
}
