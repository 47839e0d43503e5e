import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DdscError } from "../../lib/base/errors.js";
import { workerUrl } from "../../lib/base/worker_url.js";
import {
  BatchLoader,
  type BatchLoaderOptions,
  concatenateBatches,
  FIRST_POSITION,
  type LoadedBatch,
  streamCells,
  streamRows,
  tokenizeRows,
  validateBatch,
} from "../../lib/batching/index.js";
import type { LoaderReply, LoaderSetup } from "../../lib/batching/loader_messages.js";
import { WHOLE } from "../../lib/batching/share.js";
import { ConcatenatedSource } from "../../lib/data/sources/concatenate.js";
import { MemorySource } from "../../lib/data/sources/memory.js";
import { CellTokenizer, CountTokens, GeneVocabulary } from "../../lib/tokenizer/index.js";
import { smallCells, variedSource } from "./small_source.js";

const source = variedSource(100);
const usable = Array.from({ length: 100 }, (_, cell) => cell).filter((cell) => (cell * 7) % 30 > 0);
const tokenizer = new CellTokenizer({ vocabulary: GeneVocabulary.from(source), maxLength: 12, seed: 4 });

const inline: BatchLoaderOptions = { limit: { kind: "cells", cells: 9 }, seed: 2, worker: false };

async function collect(
  options: BatchLoaderOptions,
  count = Number.POSITIVE_INFINITY,
): Promise<LoadedBatch[]> {
  const batches: LoadedBatch[] = [];
  await using loader = new BatchLoader(source, tokenizer, options);
  for await (const loaded of loader) {
    batches.push(loaded);
    if (batches.length === count) break;
  }
  return batches;
}

const rowsOf = (batches: readonly LoadedBatch[]) => batches.flatMap(({ batch }) => [...batch.cells]);

describe("the batch loader", () => {
  it("gives every usable cell once an epoch, in another order each epoch", async () => {
    const batches = await collect({ ...inline, epochs: 3 });
    const epochs = [0, 1, 2].map((epoch) => rowsOf(batches.filter((loaded) => loaded.epoch === epoch)));
    for (const rows of epochs) expect([...rows].sort((a, b) => a - b)).toEqual(usable);
    expect(epochs[1]).not.toEqual(epochs[0]);
    for (const { batch } of batches) {
      validateBatch(batch, { geneVocabularySize: tokenizer.vocabulary.size, tokenCount: 54 });
    }
  });

  it("carries exact counts and every cell's panel, from a worker too", async () => {
    const renamed = smallCells(
      Array.from({ length: 40 }, (_, cell) => [[cell % 7, cell + 1]] as const),
      7,
    );
    const genes = renamed.genes.map((gene, i) => (i < 3 ? gene : { ...gene, id: `other${i}` }));
    const both = new ConcatenatedSource([source, new MemorySource({ ...renamed, genes })], "both");
    const counting = new CellTokenizer({
      vocabulary: GeneVocabulary.from(both),
      strategy: new CountTokens(),
    });
    const load = async (worker: boolean) => {
      const batches: LoadedBatch[] = [];
      const options = { limit: { kind: "tokens", tokens: 200 }, seed: 2, worker, epochs: 1 } as const;
      await using loader = new BatchLoader(both, counting, options);
      for await (const loaded of loader) batches.push(loaded);
      return batches;
    };
    const batches = await load(true);
    expect(batches.map(({ batch }) => batch)).toEqual((await load(false)).map(({ batch }) => batch));
    const rows = Int32Array.from(rowsOf(batches));
    expect([...rows].sort((a, b) => a - b)).toEqual([
      ...usable,
      ...Array.from({ length: 40 }, (_, i) => 100 + i),
    ]);
    const { batch } = await tokenizeRows(both, counting, rows);
    expect(concatenateBatches(batches.map((loaded) => loaded.batch))).toEqual(batch);
    expect([...batch.panels!]).toEqual([...rows].map((row) => Number(row >= 100)));
  });

  it("gives the rows asked for and no others", async () => {
    const rows = Int32Array.of(17, 3, 41, 90, 5);
    expect(rowsOf(await collect({ ...inline, rows, epochs: 1 })).sort((a, b) => a - b)).toEqual([
      3, 5, 17, 41,
    ]);
  });

  it("keeps batches within so many tokens, and samples genes anew each epoch", async () => {
    const batches = await collect({ ...inline, limit: { kind: "tokens", tokens: 40 }, epochs: 2 });
    for (const { batch } of batches) expect(batch.tokens.length).toBeLessThanOrEqual(40);
    expect(Math.max(...batches.map(({ batch }) => batch.tokens.length))).toBeGreaterThan(30);
    const genesOf = (epoch: number, row: number) => {
      const { batch } = batches.find((loaded) => loaded.epoch === epoch && loaded.batch.cells.includes(row))!;
      const cell = batch.cells.indexOf(row);
      return [...batch.genes.subarray(batch.offsets[cell], batch.offsets[cell + 1])];
    };
    expect(genesOf(0, 4).length).toBe(12);
    expect(genesOf(0, 4)).not.toEqual(genesOf(1, 4));
  });

  it("goes on exactly where another stopped, wherever that was", async () => {
    const variants: Partial<BatchLoaderOptions>[] = [
      {},
      { limit: { kind: "tokens", tokens: 50 } },
      { lengthBuckets: true },
      { windowCells: 24 },
      { windowCells: 24, limit: { kind: "tokens", tokens: 50 }, lengthBuckets: true },
    ];
    for (const variant of variants) {
      const options = { ...inline, ...variant, epochs: 3 };
      const whole = await collect(options);
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 0, max: whole.length }), async (stop) => {
          const first = new BatchLoader(source, tokenizer, options);
          for (let i = 0; i < stop; i++) await first.next();
          await first.close();
          const rest = await collect({ ...options, start: first.position });
          expect(rest.map(({ batch, epoch, next }) => ({ batch, epoch, next }))).toEqual(
            whole.slice(stop).map(({ batch, epoch, next }) => ({ batch, epoch, next })),
          );
        }),
        { numRuns: 12 },
      );
    }
  });

  it("counts what was left out, once an epoch and to the last cell", async () => {
    for (const windowCells of [1000, 20]) {
      const loader = new BatchLoader(source, tokenizer, { ...inline, windowCells, epochs: 2 });
      for await (const _ of loader);
      expect(loader.report).toMatchObject({
        cells: 2 * usable.length,
        emptyCells: 2 * (100 - usable.length),
      });
    }
    const measured = new BatchLoader(source, tokenizer, {
      ...inline,
      limit: { kind: "tokens", tokens: 99 },
      epochs: 2,
    });
    for await (const _ of measured);
    expect(measured.report).toMatchObject({
      cells: 2 * usable.length,
      emptyCells: 2 * (100 - usable.length),
    });
  });

  it("passes over a batch whose cells were all skipped", async () => {
    const batches = await collect({ ...inline, limit: { kind: "cells", cells: 1 }, epochs: 1 });
    expect(batches.length).toBe(usable.length);
    expect(rowsOf(batches).sort((a, b) => a - b)).toEqual(usable);
  });

  it("reads small data once for all epochs", async () => {
    const counted = variedSource(50);
    const read = counted.read.bind(counted);
    let reads = 0;
    counted.read = async (rows) => {
      reads++;
      return read(rows);
    };
    const loader = new BatchLoader(counted, tokenizer, {
      ...inline,
      limit: { kind: "tokens", tokens: 60 },
      epochs: 4,
    });
    for await (const _ of loader);
    expect(reads).toBe(1);
  });

  it("lets the event loop run between the pieces of its work", async () => {
    const large = variedSource(5000, 10);
    const loader = new BatchLoader(large, tokenizer, inline);
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    const immediate = () => {
      turns++;
      if (turns < 100) setImmediate(immediate);
    };
    setImmediate(immediate);
    await loader.next();
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
    await loader.close();
  });

  it("refuses rows outside the source or given twice, and none at all", () => {
    const open = (rows: number[]) => () =>
      new BatchLoader(source, tokenizer, { ...inline, rows: Int32Array.from(rows) });
    expect(open([1, 100])).toThrow(/ARGUMENT_RANGE: small cells: row 100 is outside 0\.\.99/);
    expect(open([-1])).toThrow("row -1");
    expect(open([4, 2, 4])).toThrow("row 4 is given twice");
    expect(open([])).toThrow("DATA_NO_CELLS");
    expect(() => new BatchLoader(source, tokenizer, { ...inline, prefetch: 0 })).toThrow("prefetch");
    expect(
      () => new BatchLoader(source, tokenizer, { ...inline, start: { epoch: -1, window: 0, batch: 0 } }),
    ).toThrow("start.epoch");
  });

  it("ends in DATA_NO_CELLS where every cell is skipped, instead of turning for ever", async () => {
    const rows = Int32Array.of(0, 30, 60);
    await expect(collect({ ...inline, rows })).rejects.toMatchObject({ code: "DATA_NO_CELLS" });
  });

  it("gives the end after close and after return", async () => {
    const loader = new BatchLoader(source, tokenizer, inline);
    await loader.next();
    await loader.return();
    expect(await loader.next()).toEqual({ done: true, value: undefined });
    const unused = new BatchLoader(source, tokenizer, inline);
    await unused.close();
    expect((await unused.next()).done).toBe(true);
  });

  it("answers overlapping calls in order", async () => {
    const options = { ...inline, epochs: 1 };
    const loader = new BatchLoader(source, tokenizer, options);
    const results = await Promise.all(Array.from({ length: 15 }, () => loader.next()));
    const batches = results.flatMap((result) => (result.done === true ? [] : [result.value]));
    expect(batches).toEqual(await collect(options));
    expect(results.at(-1)!.done).toBe(true);
  });
});

describe.each([true, false])("the batch loader, worker %s, ends", (worker) => {
  it("with the signal's reason, told once", async () => {
    const stop = new AbortController();
    const loader = new BatchLoader(source, tokenizer, { ...inline, worker, signal: stop.signal });
    await loader.next();
    const waiting = loader.next();
    stop.abort(new Error("enough"));
    // A batch that was ready may still come out before the reason.
    await expect(waiting.then(() => loader.next())).rejects.toThrow("enough");
    expect((await loader.next()).done).toBe(true);
    const late = new BatchLoader(source, tokenizer, { ...inline, worker, signal: stop.signal });
    await expect(late.next()).rejects.toThrow("enough");
  });

  it("with the error of a bad count, its code and place whole", async () => {
    const bad = new MemorySource(
      smallCells(
        [
          [[0, 1]],
          [[1, 2]],
          [
            [0, 3],
            [2, -4],
          ],
        ],
        3,
      ),
    );
    const loader = new BatchLoader(bad, tokenizer, { ...inline, worker });
    const failure: unknown = await loader.next().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DdscError);
    const direct: unknown = await bad.read(Int32Array.of(2)).catch((error: unknown) => error);
    if (!(direct instanceof DdscError)) throw new Error("the source did not fail");
    expect(failure).toMatchObject({ code: direct.code, place: direct.place, message: direct.message });
    expect((await loader.next()).done).toBe(true);
  });
});

describe("the batch loader's worker", () => {
  const options: BatchLoaderOptions = { ...inline, worker: true, epochs: 2, windowCells: 40 };

  it("gives what the calling thread would, the report included", async () => {
    expect(await collect(options)).toEqual(await collect({ ...options, worker: false }));
  });

  it("goes on where another stopped", async () => {
    const whole = await collect(options);
    const rest = await collect({ ...options, start: whole[15]!.next });
    expect(rest.map(({ batch }) => batch)).toEqual(whole.slice(16).map(({ batch }) => batch));
  });

  it("tells of a file that has gone since it was opened", async () => {
    const gone = variedSource(3);
    gone.descriptor = () => ({ kind: "file", path: "/nowhere/gone.h5ad", options: {} });
    const loader = new BatchLoader(gone, tokenizer, { ...options });
    await expect(loader.next()).rejects.toMatchObject({
      code: "DATA_NOT_FOUND",
      place: { file: "/nowhere/gone.h5ad" },
    });
  });

  it("gives way to the calling thread for a source that cannot be opened a second time", async () => {
    const own = variedSource(100);
    own.descriptor = () => {
      throw new DdscError("SOURCE_NOT_SHAREABLE", "this source lives in this thread alone");
    };
    const loader = new BatchLoader(own, tokenizer, options);
    const batches: LoadedBatch[] = [];
    for await (const loaded of loader) batches.push(loaded);
    expect(batches).toEqual(await collect(options));
    own.descriptor = () => {
      throw new Error("broken");
    };
    await expect(new BatchLoader(own, tokenizer, options).next()).rejects.toThrow("broken");
  });

  it("makes no more items than were asked for", async () => {
    const setup: LoaderSetup = {
      source: source.descriptor(),
      tokenizer: tokenizer.toJSON(),
      options: {
        limit: { kind: "cells", cells: 5 },
        seed: 1,
        lengthBuckets: false,
        lanes: 1,
        windowCells: 1000,
        windowCounts: 1e6,
        shard: { index: 0, count: 1 },
        selection: { rows: Int32Array.from(usable) },
        start: FIRST_POSITION,
        share: WHOLE,
        epochs: 5,
      },
    };
    const worker = new Worker(
      workerUrl("./loader_worker.js", new URL("../../lib/batching/loader.ts", import.meta.url).href),
      {
        workerData: setup,
      },
    );
    const replies: LoaderReply[] = [];
    worker.on("message", (reply: LoaderReply) => replies.push(reply));
    worker.postMessage({ items: 3 });
    while (replies.length < 3) await once(worker, "message");
    await setTimeout(100);
    expect(replies.length).toBe(3);
    worker.postMessage({ items: 1 });
    await once(worker, "message");
    await setTimeout(20);
    expect(replies.map(({ kind }) => kind)).toEqual(["batch", "batch", "batch", "batch"]);
    await worker.terminate();
  });

  it("does not keep the process alive for a loader that was left open or closed", async () => {
    const module = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
    const program = `
      const { BatchLoader } = await import(${module("../../lib/batching/index.ts")});
      const { CellTokenizer, GeneVocabulary } = await import(${module("../../lib/tokenizer/index.ts")});
      const { variedSource } = await import(${module("./small_source.ts")});
      const source = variedSource(50);
      const tokenizer = new CellTokenizer({ vocabulary: GeneVocabulary.from(source) });
      const open = () => new BatchLoader(source, tokenizer, { limit: { kind: "cells", cells: 4 }, seed: 1 });
      const left = open();
      console.log((await left.next()).value.batch.cells.length);
      const closed = open();
      await closed.next();
      await closed.close();
      console.log("done");`;
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program], {
      cwd: fileURLToPath(new URL("../..", import.meta.url)),
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (text) => {
      output += text;
    });
    const [code] = await once(child, "close");
    expect(output).toBe("3\ndone\n");
    expect(code).toBe(0);
  });
});

describe("the cells of a selection, streamed", () => {
  it("are those of its rows, in order, in parts of any size", async () => {
    const selection = { where: "depth > 20", rows: Int32Array.of(3, 8, 40, 41, 77, 99) };
    using cells = new MemorySource({
      ...smallCells(
        Array.from({ length: 100 }, (_, cell) => (cell % 9 === 0 ? [] : [[cell % 30, 1] as const])),
        30,
      ),
      metadata: { depth: Float64Array.from({ length: 100 }, (_, cell) => cell) },
    });
    for (const size of [1, 2, 100]) {
      const found: number[] = [];
      let empty = 0;
      for await (const { batch, report } of streamCells(cells, tokenizer, { selection, cells: size })) {
        found.push(...batch.cells);
        empty += report.emptyCells;
      }
      expect(found).toEqual([40, 41, 77]);
      expect(empty).toBe(1);
    }
  });
});

describe("rows tokenized in process", () => {
  it("come in the order asked for, skipped ones left out, all at once or in parts", async () => {
    const rows = Int32Array.of(50, 3, 30, 8, 7, 99);
    const whole = await tokenizeRows(source, tokenizer, rows, 2);
    expect([...whole.batch.cells]).toEqual([50, 3, 8, 7, 99]);
    expect(whole.report.emptyCells).toBe(1);
    const cells: number[] = [];
    const tokens: number[] = [];
    for await (const { batch } of streamRows(source, tokenizer, rows, { epoch: 2, cells: 2 })) {
      cells.push(...batch.cells);
      tokens.push(...batch.tokens);
    }
    expect(cells).toEqual([...whole.batch.cells]);
    expect(tokens).toEqual([...whole.batch.tokens]);
  });

  it("end with the signal's reason", async () => {
    const parts = streamRows(source, tokenizer, Int32Array.of(1, 2, 3), {
      signal: AbortSignal.abort(new Error("enough")),
    });
    await expect(parts.next()).rejects.toThrow("enough");
  });
});
