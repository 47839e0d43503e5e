/**
 * Ends in one of the ways in which a process or a thread can end that has a model: named by the argument. Run by
 * model_thread.test.ts.
 */
import { once } from "node:events";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { workerUrl } from "../../lib/base/worker_url.js";
import type { NativeBatch } from "../../lib/native/types.js";
import { smallModel } from "../training/small_run.js";

/** Calls that take a while, all but the first of them queued. */
function manyCalls(model: Awaited<ReturnType<typeof smallModel>>, count = 50) {
  const tokens = 4096;
  const batch: NativeBatch = {
    offsets: Int32Array.of(0, tokens),
    genes: new Int32Array(tokens).fill(3),
    tokens: new Int32Array(tokens).fill(model.config.vocabSize - 1),
    cells: Float64Array.of(0),
  };
  return Array.from({ length: count }, () =>
    model.native.predict(batch, { conditioning: Float32Array.of(0) }),
  );
}

const model = await smallModel();
/** Kept to the end, so that nothing is collected. */
Object.assign(globalThis, { model });

if (!isMainThread) {
  void Promise.all(manyCalls(model));
  parentPort?.postMessage("computing");
} else {
  switch (process.argv[2]) {
    case "idle":
      await model.native.read("weights", 0, 1);
      break;
    case "pending":
      void manyCalls(model, 1)[0]?.then(() => process.stdout.write("computed "));
      break;
    case "exit":
      void Promise.all(manyCalls(model));
      process.stdout.write("begun ");
      process.exit(7);
      break;
    case "terminated": {
      const worker = new Worker(workerUrl("./model_thread_child.js", import.meta.url));
      await once(worker, "message");
      process.stdout.write(`worker ${await worker.terminate()} `);
      await model.native.read("weights", 0, 1);
      process.stdout.write("computed ");
      break;
    }
    default:
      throw new Error("name one of idle, pending, exit, terminated");
  }
}
