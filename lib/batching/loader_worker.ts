/** The worker of `BatchLoader`: opens the source again and posts batches, as many as were asked for. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { openSource } from "../data/index.js";
import { CellTokenizer } from "../tokenizer/cell_tokenizer.js";
import { type LoaderReply, type LoaderRequest, type LoaderSetup, packError } from "./loader_messages.js";
import { type LoadedBatch, produceBatches } from "./producer.js";

async function open(setup: LoaderSetup): Promise<ReturnType<typeof produceBatches>> {
  const source = await openSource(setup.source);
  return produceBatches(source, CellTokenizer.fromJSON(setup.tokenizer), setup.options);
}

/** The memory of a batch, handed over instead of copied. */
function memoryOf({ batch }: LoadedBatch): ArrayBuffer[] {
  return [batch.offsets, batch.genes, batch.tokens, batch.cells].map((array) => array.buffer as ArrayBuffer);
}

function serve(port: MessagePort, setup: LoaderSetup): void {
  const post = (reply: LoaderReply, memory: ArrayBuffer[] = []) => port.postMessage(reply, memory);
  let opened: ReturnType<typeof open> | undefined;
  let ended = false;
  let turn = Promise.resolve();
  port.on("message", ({ items }: LoaderRequest) => {
    turn = turn.then(async () => {
      opened ??= open(setup);
      const batches = await opened;
      for (let made = 0; made < items && !ended; ) {
        const item = await batches.next();
        if (item.done === true) {
          ended = true;
          post({ kind: "end", report: item.value });
        } else {
          post({ kind: "batch", loaded: item.value }, memoryOf(item.value));
          made++;
        }
      }
    });
    turn = turn.catch((error: unknown) => {
      if (!ended) post({ kind: "error", error: packError(error) });
      ended = true;
    });
  });
}

if (parentPort !== null) serve(parentPort, workerData as LoaderSetup);
