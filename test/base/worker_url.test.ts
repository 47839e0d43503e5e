import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { workerUrl } from "../../lib/base/worker_url.js";

describe("workerUrl", () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "ddsc-worker-"));
  });

  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  it("names the JavaScript file beside a built module", () => {
    const url = workerUrl("./prefetch_worker.js", "file:///package/dist/batching/prefetch.js");
    expect(url.href).toBe("file:///package/dist/batching/prefetch_worker.js");
  });

  it("starts a TypeScript source that imports another by its .js name", async () => {
    writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
    writeFileSync(join(directory, "answer.ts"), "export const answer: number = 42;\n");
    writeFileSync(
      join(directory, "worker.ts"),
      'import { parentPort } from "node:worker_threads";\n' +
        'import { answer } from "./answer.js";\n' +
        "enum Kind { reply = 1 }\n" +
        "parentPort?.postMessage(answer * Kind.reply);\n",
    );
    const specifier = pathToFileURL(join(directory, "worker.js")).href;
    const worker = new Worker(workerUrl(specifier, import.meta.url));
    const reply = await new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    await worker.terminate();
    expect(reply).toBe(42);
  });
});
