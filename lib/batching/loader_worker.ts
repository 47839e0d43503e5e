/** The worker of `BatchLoader`: opens the source again and posts batches, as many as were asked for. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { packError } from "../base/posted_error.js";
import { openSource } from "../data/open/open_cells.js";
import type { CellSource } from "../data/sources/source.js";
import { CellTokenizer } from "../tokenizer/cell_tokenizer.js";
import { emptyReport } from "../tokenizer/report.js";
import type { LoaderReply, LoaderRequest, LoaderSetup } from "./loader_messages.js";
import { type LoadedBatch, produceBatches } from "./producer.js";

/** What the worker has open. */
interface Opened {
  readonly source: CellSource;
  readonly batches: ReturnType<typeof produceBatches>;
}

async function open(setup: LoaderSetup, wanted: () => number): Promise<Opened> {
  const source = await openSource(setup.source);
  const tokenizer = CellTokenizer.fromJSON(setup.tokenizer);
  return { source, batches: produceBatches(source, tokenizer, setup.options, wanted) };
}

/** Ends the work under way and closes the source. */
async function close({ source, batches }: Opened): Promise<void> {
  await batches.return(emptyReport());
  source[Symbol.dispose]();
}

/** The memory of a batch, handed over instead of copied. */
function memoryOf({ batch }: LoadedBatch): ArrayBuffer[] {
  const { offsets, genes, tokens, cells, counts, panels } = batch;
  return [offsets, genes, tokens, cells, counts, panels].flatMap((array) =>
    array === undefined ? [] : [array.buffer as ArrayBuffer],
  );
}

function serve(port: MessagePort, setup: LoaderSetup): void {
  const post = (reply: LoaderReply, memory: ArrayBuffer[] = []) => port.postMessage(reply, memory);
  let opened: ReturnType<typeof open> | undefined;
  let ended = false;
  /** Batches that were asked for and not posted. */
  let wanted = 0;
  let turn = Promise.resolve();

  async function makeOne(): Promise<void> {
    if (ended) return;
    opened ??= open(setup, () => wanted);
    const { batches } = await opened;
    const item = await batches.next();
    if (ended) return;
    wanted--;
    if (item.done === true) {
      ended = true;
      post({ kind: "end", report: item.value });
    } else post({ kind: "batch", loaded: item.value }, memoryOf(item.value));
  }

  port.on("message", (request: LoaderRequest) => {
    if (request === "stop") {
      ended = true;
      // Ended from outside, the thread might be in native code.
      turn = turn.then(() => opened?.then(close)).catch(() => undefined);
      // Deno's ports cannot be closed; there, as in Node, this ends the thread alone.
      void turn.then(() => (typeof port.close === "function" ? port.close() : process.exit()));
      return;
    }
    wanted += request.items;
    for (let item = 0; item < request.items; item++) turn = turn.then(makeOne).catch(fail);
  });

  function fail(error: unknown): void {
    if (!ended) post({ kind: "error", error: packError(error) });
    ended = true;
  }
}

if (parentPort !== null) serve(parentPort, workerData as LoaderSetup);
