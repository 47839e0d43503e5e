/** The thread of `Hdf5Thread`: opens HDF5 files and answers calls about them, one after the other. */
import { type MessagePort, parentPort } from "node:worker_threads";
import { packError } from "../../../base/posted_error.js";
import type { Reply, Request, ThreadCalls } from "../messages.js";
import { Hdf5Contents } from "./contents.js";

const files = new Map<number, Hdf5Contents>();
let opened = 0;

const calls: { [Name in keyof ThreadCalls]: (...words: Parameters<ThreadCalls[Name]>) => unknown } = {
  async open(path) {
    const contents = await Hdf5Contents.open(path);
    files.set(++opened, contents);
    return opened;
  },
  close(file) {
    files.get(file)?.close();
    files.delete(file);
  },
  ask(file, name, words) {
    const contents = files.get(file) as Record<typeof name, (...words: readonly unknown[]) => unknown>;
    return contents[name](...words);
  },
};

async function answer(port: MessagePort, { id, name, words }: Request): Promise<void> {
  try {
    const value = await (calls[name] as (...words: readonly unknown[]) => unknown)(...words);
    // Numbers are handed over instead of copied.
    port.postMessage(
      { id, value } satisfies Reply,
      ArrayBuffer.isView(value) ? [value.buffer as ArrayBuffer] : [],
    );
  } catch (error) {
    port.postMessage({ id, error: packError(error) } satisfies Reply);
  }
}

if (parentPort !== null) {
  const port = parentPort;
  port.on("message", (request: Request) => void answer(port, request));
}
