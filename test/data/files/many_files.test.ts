import { readFileSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BatchLoader } from "../../../lib/batching/index.js";
import { FilePool } from "../../../lib/data/files/file_pool.js";
import { openChecked } from "../../../lib/data/io/random_access_open.js";
import { openCells, openSource } from "../../../lib/data/open/open_cells.js";
import { openPaths } from "../../../lib/data/open/open_files.js";
import { type Peers, workOfAll } from "../../../lib/data/open/share_out.js";
import { openParquet } from "../../../lib/data/parquet/parquet.js";
import { convertCells } from "../../../lib/data/report/convert.js";
import { MemorySource } from "../../../lib/data/sources/memory.js";
import { PackedStrings } from "../../../lib/data/sources/packed_strings.js";
import { SimulatedSource } from "../../../lib/data/sources/simulated_source.js";
import { type CellSource, handoverOf } from "../../../lib/data/sources/source.js";
import { CellTokenizer, GeneVocabulary } from "../../../lib/tokenizer/index.js";
import { together } from "../../cluster/in_process.js";
import { RangeServer } from "../io/http_server.js";
import { allIds, denseAll, denseRows, failure, tahoeFolder, temporaryFolder } from "../support.js";

/** A folder of 13 files of 10 cells each. */
async function shards(cells = 130): Promise<{ folder: string; paths: string[] }> {
  const folder = join(temporaryFolder(), "shards");
  using source = new SimulatedSource({ cells, genes: 30, seed: 4 });
  await convertCells(source, folder, { cellsPerFile: 10 });
  const names = (await readdir(folder)).filter((name) => name.startsWith("train")).sort();
  return { folder, paths: names.map((name) => join(folder, name)) };
}

/** Files of other genes and columns among them, of another format, too. */
async function mixed(): Promise<string[]> {
  const { paths } = await shards();
  return [
    ...paths.slice(0, 4),
    `${tahoeFolder}snappy.parquet`,
    ...paths.slice(4),
    `${tahoeFolder}stream.arrow`,
  ];
}

async function everything(source: CellSource) {
  const { genes, panels, metadataColumns, contents, notes } = source;
  return {
    ...{ genes, panels, metadataColumns, contents, notes },
    parts: source.partBounds,
    counts: await denseAll(source),
    ids: await allIds(source),
    metadata: (await source.metadata()).toArray().map(String),
  };
}

describe("many files of which a few are open", () => {
  it("give the cells that they give when all are open, in any order, at the same time", async () => {
    const paths = await mixed();
    using all = await openPaths(paths, {});
    using few = await openPaths(paths, {}, { mostOpen: 2 });
    expect(await everything(few)).toEqual(await everything(all));
    const rows = fc.array(fc.nat({ max: all.cellCount - 1 }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(fc.array(rows, { minLength: 1, maxLength: 4 }), async (reads) => {
        const read = (source: CellSource) =>
          Promise.all(
            reads.map(async (each) => {
              const own = Int32Array.from(each);
              const [counts, ids, table] = await Promise.all([
                denseRows(source, each),
                source.cellIds(own),
                source.metadata({ rows: own }),
              ]);
              return { counts, ids, table: table.toArray().map(String) };
            }),
          );
        expect(await read(few)).toEqual(await read(all));
      }),
      { numRuns: 40 },
    );
  });

  it("are never more than the limit and those that are read", async () => {
    const { paths } = await shards();
    const packed = new PackedStrings();
    for (const path of paths) packed.push(Buffer.from(path));
    let [open, most, opened] = [0, 0, 0];
    const list = { paths: packed.packed(), formats: new Uint8Array(paths.length), options: {} };
    using pool = new FilePool(
      list,
      async (path, _, options, check) => {
        const source = await openParquet(await openChecked(path, check), options);
        most = Math.max(most, ++open);
        opened++;
        const close = source[Symbol.dispose].bind(source);
        source[Symbol.dispose] = () => {
          open--;
          close();
        };
        return source;
      },
      3,
    );
    for (const file of [0, 1, 2, 0, 3, 4, 0, 5, 0])
      expect(await pool.use(file, (source) => source.cellIds(Int32Array.of(0)))).toHaveLength(1);
    expect(opened).toBe(6);
    expect(most).toBeLessThanOrEqual(4);
    await Promise.all(paths.map((_, file) => pool.use(file, (source) => source.read(Int32Array.of(1)))));
    pool[Symbol.dispose]();
    await new Promise(setImmediate);
    expect(open).toBe(0);
    expect((await failure(() => pool.use(0, async () => 0))).code).toBe("DATA_CLOSED");
  });

  it("end in an error that names the file where one was changed or is gone, and go on where it is back", async () => {
    const { paths } = await shards();
    using source = await openPaths(paths, {}, { mostOpen: 1 });
    const [first = "", second = ""] = paths;
    utimesSync(first, 1, 1);
    const changed = await failure(() => source.read(Int32Array.of(12, 3)));
    expect(changed).toMatchObject({ code: "DATA_CHANGED", place: { file: first } });
    expect(changed.message).toContain(`${first}: was changed after it was opened first`);
    truncateSync(second, 100);
    expect(await failure(() => source.cellIds(Int32Array.of(12)))).toMatchObject({
      code: "DATA_CHANGED",
      place: { file: second },
    });
    const [third = ""] = paths.slice(2);
    renameSync(third, `${third}.away`);
    expect(await failure(() => source.metadata({ rows: Int32Array.of(25) }))).toMatchObject({
      code: "DATA_NOT_FOUND",
      place: { file: third },
    });
    renameSync(`${third}.away`, third);
    expect(await source.cellIds(Int32Array.of(25))).toHaveLength(1);
  });

  it("keep what was noticed of a file that is closed", async () => {
    const folder = temporaryFolder();
    const genes = ["A", "B"].map((id) => ({ id, aliases: [] }));
    for (const name of ["a", "b", "c", "d", "e"]) {
      using cells = new MemorySource({
        ...{ name, genes, ids: [`${name}0`], metadata: {}, notes: [] },
        offsets: Int32Array.of(0, 2),
        geneColumns: Int32Array.of(0, 1),
        counts: Float32Array.of(1, 1.5),
      });
      await convertCells(cells, join(folder, name), { cellsPerFile: 10 });
    }
    using source = await openPaths([folder], {}, { mostOpen: 1 });
    expect(source.notes).toEqual([]);
    for (const _ of [1, 2]) {
      await denseAll(source);
      expect(source.notes).toHaveLength(5);
      expect(source.notes[0]).toContain(`counts are not whole numbers, e.g. 1.500 in cell "a0"`);
    }
  });

  it("are opened again from what a run records, in the words of today and of before", async () => {
    const paths = await mixed();
    using all = await openCells(paths);
    // Names are compared where files are named.
    const { notes, ...expected } = await everything(all);
    const descriptor = JSON.parse(JSON.stringify(all.descriptor()));
    expect(descriptor).toEqual({ kind: "files", name: all.name, paths, options: {} });
    using again = await openSource(descriptor);
    expect(await everything(again)).toEqual({ ...expected, notes: notes.slice(1) });
    const sources = paths.map((path) => ({ kind: "file", path, options: {} }) as const);
    using before = await openSource({ kind: "concatenated", name: all.name, sources });
    expect(await everything(before)).toEqual({ ...expected, notes: notes.slice(1) });
  });

  it("give a thread of their own the batches that they give without", async () => {
    using source = await openPaths(await mixed(), {}, { mostOpen: 2 });
    const tokenizer = new CellTokenizer({ vocabulary: GeneVocabulary.from(source), maxLength: 20 });
    const batches = async (worker: boolean) => {
      const found: unknown[] = [];
      for await (const { batch } of new BatchLoader(source, tokenizer, {
        limit: { kind: "cells", cells: 32 },
        seed: 3,
        epochs: 1,
        worker,
      }))
        found.push(batch);
      return found;
    };
    expect(await batches(true)).toEqual(await batches(false));
  });
});

describe("many files at addresses", () => {
  let server: RangeServer;
  beforeAll(async () => {
    server = await RangeServer.start(readFileSync(`${tahoeFolder}snappy.parquet`));
  });
  afterAll(() => server.stop());
  const options = { geneTable: `${tahoeFolder}gene_metadata.parquet` };
  const addresses = () => Array.from({ length: 7 }, (_, i) => server.url(`${i}.parquet`));

  it("are opened once by several ranks together", async () => {
    server.requests.length = 0;
    const sources = await together(3, (peers) => openPaths(addresses(), options, { peers }));
    expect(server.requests).toHaveLength(14);
    using one = await openPaths(addresses(), options);
    const expected = await everything(one);
    for (const source of sources) {
      expect(await everything(source)).toEqual(expected);
      source[Symbol.dispose]();
    }
  });

  it("are handed to other threads with what is secret of their addresses, which no file holds", async () => {
    const signed = addresses().map((address) => `${address}?X-Amz-Signature=tiger`);
    await together(2, async (peers) => {
      using source = await openPaths(signed, options, { peers, sharedFrom: 2 });
      const handed = handoverOf(source) as { arrays: { pathBytes: Uint8Array } };
      expect(Buffer.from(handed.arrays.pathBytes).toString()).toContain("tiger");
      expect(source.descriptor()).toMatchObject({ paths: signed });
    });
  });

  it("are not opened by another thread before they are read, and then as they were", async () => {
    using source = await openPaths(addresses(), options);
    const handed = structuredClone(handoverOf(source));
    server.requests.length = 0;
    using other = await openSource(handed);
    expect(other.cellCount).toBe(source.cellCount);
    expect(server.requests).toHaveLength(0);
    await other.cellIds(Int32Array.of(0));
    expect(new Set(server.requests.map((request) => request.split(" ")[0]))).toEqual(new Set(["/0.parquet"]));
    server.etag = '"two"';
    expect(await failure(() => other.cellIds(Int32Array.of(other.cellCount - 1)))).toMatchObject({
      code: "DATA_CHANGED",
      place: { file: server.url("6.parquet") },
    });
    server.etag = '"one"';
  });
});

describe("several ranks", () => {
  /** What each rank opens, or fails with. */
  const open = (paths: (rank: number) => string[], world: number) =>
    together(world, async (peers: Peers) => {
      const source = await openCells(paths(peers.rank), {}, peers).catch((error: Error) => error);
      if (source instanceof Error) return source;
      using _ = source;
      return await everything(source);
    });

  it.each([2, 3, 20])(
    "of %d know what one process knows, of files with different genes too",
    async (world) => {
      const paths = await mixed();
      using one = await openCells(paths);
      const expected = await everything(one);
      for (const source of await open(() => paths, world)) expect(source).toEqual(expected);
    },
  );

  it("of a machine hold what is known of the files once, in a file, and so do their threads", async () => {
    const paths = await mixed();
    using one = await openPaths(paths, {});
    const expected = await everything(one);
    await together(3, async (peers) => {
      using source = await openPaths(paths, {}, { peers, sharedFrom: paths.length, mostOpen: 2 });
      expect(await everything(source)).toEqual(expected);
      const handed = structuredClone(handoverOf(source));
      expect(handed).toMatchObject({ kind: "pool", arrays: { descriptor: expect.any(Number) } });
      using other = await openSource(handed);
      expect(await everything(other)).toEqual({ ...expected, notes: other.notes });
      const again = structuredClone(handoverOf(other));
      using third = await openSource(again);
      expect(await allIds(third)).toEqual(expected.ids);
      await peers.gather(0);
    });
    // So is one that is replaced by one of equal length, by their threads, too, whoever looked at it.
    const own = await shards();
    await together(2, async (peers) => {
      using source = await openPaths(own.paths, {}, { peers, sharedFrom: 2, mostOpen: 1 });
      const handed = structuredClone(handoverOf(source));
      await peers.gather(0);
      if (peers.rank === 0) for (const path of [own.paths[0]!, own.paths.at(-1)!]) utimesSync(path, 1, 1);
      await peers.gather(0);
      using other = await openSource(handed);
      for (const row of [0, source.cellCount - 1])
        expect(await failure(() => other.read(Int32Array.of(row)))).toMatchObject({ code: "DATA_CHANGED" });
    });
    // A file that changes is seen by who had not looked at it, too.
    await together(3, async (peers) => {
      using source = await openPaths(paths, {}, { peers, sharedFrom: 2, mostOpen: 1 });
      await peers.gather(0);
      if (peers.rank === 0) truncateSync(paths[1]!, 100);
      await peers.gather(0);
      const rows = Int32Array.of(source.partBounds[1] ?? 0);
      expect(await failure(() => source.read(rows))).toMatchObject({ code: "DATA_CHANGED" });
    });
  });

  it("find the files of a folder together", async () => {
    const { folder } = await shards();
    writeFileSync(join(folder, "train.txt"), "a,b\n1,2\n");
    using one = await openCells(folder);
    expect(one.cellCount).toBe(130);
    const expected = await everything(one);
    for (const source of await open(() => [folder], 3)) expect(source).toEqual(expected);
  });

  it("fail with the same error, which names the first file in order", async () => {
    const { paths } = await shards();
    for (const file of [10, 4, 6]) writeFileSync(paths[file]!, "PAR1 and no more");
    const [first, ...others] = await open(() => paths, 4);
    expect(first).toMatchObject({ code: "DATA_TRUNCATED", place: { file: paths[4] } });
    for (const other of others) expect((other as Error).message).toBe((first as Error).message);
    rmSync(paths[2]!);
    for (const error of await open(() => paths, 4))
      expect(error).toMatchObject({ code: "DATA_NOT_FOUND", place: { file: paths[2] } });
  });

  it("fail alike with an error that has no code: a defect of one is one of all", async () => {
    const errors = await together(3, async (peers) => {
      const work = workOfAll(peers, async () => {
        if (peers.rank === 1) throw new RangeError("no such place");
        return 0;
      });
      return work.catch((error: Error) => error);
    });
    expect(errors[1]).toBeInstanceOf(RangeError);
    for (const rank of [0, 2])
      expect(errors[rank]).toMatchObject({ code: "INTERNAL", message: "INTERNAL: no such place" });
  });

  it("are told what peers are", async () => {
    const wrong = await failure(() => openCells("cells.h5ad", {}, 3 as unknown as Peers));
    expect(wrong.message).toContain(
      "expected processes that work together, such as await joinCluster(), for peers",
    );
  });

  it("refuse to go on where they see different files", async () => {
    const { paths } = await shards();
    for (const error of await open((rank) => (rank === 2 ? paths.slice(1) : paths), 3))
      expect(error).toMatchObject({ code: "CLUSTER_MISMATCH" });
  });
});
