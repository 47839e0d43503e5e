import { Worker } from "node:worker_threads";
import { DdscError } from "../base/errors.js";
import { unpackError } from "../base/posted_error.js";
import { workerUrl } from "../base/worker_url.js";
import type { LoaderReply, LoaderRequest, LoaderSetup } from "./loader_messages.js";
import type { BatchStream, StreamItem } from "./stream.js";

/** Milliseconds that the thread has to stop by itself. */
const LONGEST_STOP = 5000;

/** Somebody who waits for a batch. */
interface Waiting {
  resolve(item: StreamItem | undefined): void;
  reject(error: DdscError): void;
}

/**
 * Makes batches in a worker thread, up to `prefetch` of them ahead of the consumer. The process stays alive for
 * the worker only while somebody waits for a batch.
 */
export class WorkerStream implements BatchStream {
  readonly #worker: Worker;
  readonly #ready: StreamItem[] = [];
  readonly #exited: Promise<void>;
  #failure: DdscError | undefined;
  #waiting: Waiting | undefined;

  constructor(setup: LoaderSetup, prefetch: number) {
    this.#worker = new Worker(workerUrl("./loader_worker.js", import.meta.url), { workerData: setup });
    this.#worker.unref();
    this.#worker.on("message", (reply: LoaderReply) => this.#receive(reply));
    this.#worker.on("error", (cause) => this.#fail(failed(cause.message, cause)));
    this.#exited = new Promise((resolve) => {
      this.#worker.on("exit", (code) => {
        this.#fail(failed(`it ended by itself with code ${code}`));
        resolve();
      });
    });
    this.#ask(prefetch);
  }

  next(): Promise<StreamItem | undefined> {
    const item = this.#ready.shift();
    if (item !== undefined) {
      this.#ask(1);
      return Promise.resolve(item);
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.#worker.ref();
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  async close(): Promise<void> {
    this.#ready.length = 0;
    this.#stopWaiting()?.resolve(undefined);
    // Somebody may wait for the end.
    this.#worker.ref();
    this.#worker.postMessage("stop" satisfies LoaderRequest);
    // A thread that is ended from outside would leave what it is doing half done; one that hangs is, all the same.
    const hanging = setTimeout(() => void this.#worker.terminate(), LONGEST_STOP);
    await this.#exited;
    clearTimeout(hanging);
  }

  #receive(reply: LoaderReply): void {
    if (reply.kind === "error") {
      this.#fail(unpackError(reply.error, { code: "LOADER_FAILED", what: "the loader's worker failed: " }));
      return;
    }
    const waiting = this.#stopWaiting();
    if (waiting === undefined) {
      this.#ready.push(reply);
      return;
    }
    this.#ask(1);
    waiting.resolve(reply);
  }

  /** Keeps the first failure, which is given out after the batches that came before it. */
  #fail(failure: DdscError): void {
    this.#failure ??= failure;
    this.#stopWaiting()?.reject(this.#failure);
  }

  #stopWaiting(): Waiting | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#worker.unref();
    return waiting;
  }

  #ask(items: number): void {
    this.#worker.postMessage({ items } satisfies LoaderRequest);
  }
}

function failed(reason: string, cause?: Error): DdscError {
  return new DdscError(
    "LOADER_FAILED",
    `the thread that reads the data failed: ${reason}; a smaller windowCells needs less memory`,
    {},
    cause === undefined ? {} : { cause },
  );
}
