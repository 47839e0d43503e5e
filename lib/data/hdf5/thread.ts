import { Worker } from "node:worker_threads";
import { DdscError } from "../../base/errors.js";
import { unpackError } from "../../base/posted_error.js";
import { workerUrl } from "../../base/worker_url.js";
import { requireAddressSpace } from "./address_space.js";
import type { Reply, Request, ThreadCalls } from "./messages.js";

/** Somebody who waits for a reply. */
interface Waiting {
  resolve(value: unknown): void;
  reject(error: DdscError): void;
}

let running: Hdf5Thread | undefined;

/**
 * The thread that reads all HDF5 files of this one: the library's calls, decompression among them, take milliseconds each, and tens of
 * them as long as their code is cold. The process stays alive for it only while somebody waits for a reply.
 */
export class Hdf5Thread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #failure: DdscError | undefined;
  #asked = 0;

  private constructor() {
    this.#worker = new Worker(workerUrl("./worker/hdf5_worker.js", import.meta.url, false), { execArgv: [] });
    this.#worker.unref();
    this.#worker.on("message", (reply: Reply) => this.#receive(reply));
    this.#worker.on("error", (cause) => this.#fail(cause.message, cause));
    this.#worker.on("exit", (code) => this.#fail(`it ended by itself with code ${code}`));
  }

  /** The thread, started at first use and again after it has failed. Throws `ADDRESS_SPACE_LIMIT`. */
  static get(): Hdf5Thread {
    if (running === undefined) {
      requireAddressSpace();
      running = new Hdf5Thread();
    }
    return running;
  }

  /** Has the thread do something. Throws what that throws, and `DATA_UNREADABLE` where the thread has ended. */
  ask<Name extends keyof ThreadCalls>(
    name: Name,
    ...words: Parameters<ThreadCalls[Name]>
  ): Promise<ReturnType<ThreadCalls[Name]>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = this.#asked++;
    this.#worker.ref();
    this.#worker.postMessage({ id, name, words } as Request);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as Waiting["resolve"], reject });
    });
  }

  #receive(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if ("error" in reply) waiting?.reject(unpackError(reply.error));
    else waiting?.resolve(reply.value);
  }

  #fail(reason: string, cause?: Error): void {
    this.#failure ??= new DdscError(
      "DATA_UNREADABLE",
      `the thread that reads HDF5 files failed: ${reason}; open them again, with more memory if it ran out`,
      {},
      cause === undefined ? {} : { cause },
    );
    if (running === this) running = undefined;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}
