import { createHash } from "node:crypto";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DdscError } from "../../../lib/base/errors.js";
import type { Cluster } from "../../../lib/cluster/cluster.js";
import { withRecord } from "../../../lib/data/shards/part_record.js";
import { type Shard, shardBounds } from "../../../lib/data/shards/shard.js";
import { type AnnDataStream, joinParts, openCells, partPath, writeAnnData } from "../../../lib/index.js";
import { ranksInProcess, together } from "../../cluster/in_process.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-join-stores-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** A megabyte of int32 or float32, a chunk. */
const CHUNK = 2 ** 18;
const GENES = 2 ** 10;
/** Rows of a chunk of the dense matrix. */
const DENSE_ROWS = 2 ** 8;

/** Values of a cell of the sparse matrix: all genes, some, or none. */
const sizeOf = (cell: number) => [GENES, GENES, 0, GENES, 700, 1][cell % 6]!;

/** Writes a share of some cells, as tasks do: two sparse matrices and a dense one of several chunks each, and a table. */
async function writeShare(out: string, cells: number, shard?: Shard): Promise<string> {
  const { first, end } = shardBounds(cells, shard ?? { index: 1, count: 1 });
  const path = shard === undefined ? out : partPath(out, shard);
  const rows = Array.from({ length: end - first }, (_, i) => first + i);
  const sparse = (factor: number) => {
    const offsets = new Int32Array(rows.length + 1);
    rows.forEach((cell, i) => {
      offsets[i + 1] = offsets[i]! + sizeOf(cell);
    });
    const columns = Int32Array.from(
      rows.flatMap((cell) => Array.from({ length: sizeOf(cell) }, (_, gene) => gene)),
    );
    return { offsets, columns, values: Float32Array.from(columns, (gene) => factor + (gene % 7)) };
  };
  const contents: AnnDataStream = {
    obs: {
      index: rows.map((cell) => `cell-${cell}`),
      indexName: "cell",
      columns: new Map([["type", { kind: "strings", values: rows.map((cell) => `type-${cell % 3}`) }]]),
    },
    var: {
      index: Array.from({ length: GENES }, (_, gene) => `gene-${gene}`),
      indexName: "gene",
      columns: new Map(),
    },
    matrices: {
      X: { kind: "csr", type: "float32" },
      "layers/more": { kind: "csr", type: "float32" },
      "obsm/X_ddsc": { kind: "dense", type: "float32", width: GENES },
    },
    rows: [
      {
        X: sparse(1),
        "layers/more": sparse(2),
        "obsm/X_ddsc": Float32Array.from(
          { length: rows.length * GENES },
          (_, i) => (first * GENES + i) % 251,
        ),
      },
    ],
    uns: { ddsc: { command: "test" } },
  };
  await writeAnnData(path, withRecord(contents, shard && { shard, cells, job: "the same" }));
  return path;
}

const writeParts = async (out: string, cells: number, count: number) => {
  const parts: string[] = [];
  for (let index = 1; index <= count; index++) parts.push(await writeShare(out, cells, { index, count }));
  return parts;
};

/** All files of a folder and what is in them. */
async function filesIn(path: string): Promise<Map<string, string>> {
  const names = (await readdir(path, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const files = new Map<string, string>();
  for (const name of names)
    files.set(
      name.slice(path.length),
      createHash("sha256")
        .update(await readFile(name))
        .digest("hex"),
    );
  return files;
}

describe("joinParts of zarr stores", () => {
  // 3 x 512 cells: dense chunks of parts are those of the whole. 1,000 cells: only the first part's are.
  it.each([
    { cells: 1536, count: 3, ranks: 1 },
    { cells: 1000, count: 3, ranks: 2 },
    { cells: 1000, count: 4, ranks: 3 },
    { cells: 5, count: 4, ranks: 6 },
  ])(
    "makes of $count parts of $cells cells, on $ranks ranks, what one process writes, byte for byte",
    async (of) => {
      const { cells, count, ranks } = of;
      const out = join(folder, `joined-${cells}-${count}.zarr`);
      const whole = join(folder, `whole-${cells}-${count}.zarr`);
      await writeShare(whole, cells);
      const parts = await writeParts(out, cells, count);
      const joined = await together(ranks, (cluster) => joinParts(parts, out, { cluster }));
      for (const each of joined) expect(each).toEqual(joined[0]);
      expect(joined[0]).toMatchObject({ out, parts: count, cells, genes: GENES });
      const files = await filesIn(out);
      expect(files).toEqual(await filesIn(whole));
      const { linked, written } = joined[0]!.chunks!;
      const chunks = [...files.keys()].filter((name) => /^\/(X|layers|obsm).*\/\d[\d.]*$/.test(name));
      expect(linked + written).toBe(chunks.length);
      if (cells === 1536) expect(linked).toBeGreaterThanOrEqual(cells / DENSE_ROWS);
      using read = await openCells(out);
      expect(read.cellCount).toBe(cells);
      expect((await readdir(folder)).filter((name) => name.startsWith("."))).toEqual([]);
    },
    30_000,
  );

  it("takes over the first part's full chunks of every array, and writes no more than the others", async () => {
    const out = join(folder, "counted.zarr");
    const parts = await writeParts(out, 1000, 2);
    const { chunks } = await joinParts(parts, out);
    const values = (cells: number) =>
      Array.from({ length: cells }, (_, i) => sizeOf(i)).reduce((a, b) => a + b);
    const dataOfFirst = Math.floor(values(500) / CHUNK);
    const dataOfAll = Math.ceil(values(1000) / CHUNK);
    const denseOfFirst = Math.floor(500 / DENSE_ROWS);
    // Data and indices of two sparse matrices, which also have a chunk of bounds each.
    expect(chunks!.linked).toBe(4 * dataOfFirst + denseOfFirst);
    expect(chunks!.written).toBe(
      4 * (dataOfAll - dataOfFirst) + Math.ceil(1000 / DENSE_ROWS) - denseOfFirst + 2,
    );
  });

  it("shows nothing where a rank fails, whichever, and leaves the parts as they were", async () => {
    const out = join(folder, "failed.zarr");
    const parts = await writeParts(out, 600, 2);
    const before = await Promise.all(parts.map(filesIn));
    for (const failing of [0, 1]) {
      const broken = (cluster: Cluster): Cluster => {
        let calls = 0;
        // What the other rank's death does to the call that waits for it.
        const gather: Cluster["gather"] = async (value) => {
          const all = await cluster.gather(value);
          if (++calls === (failing === 0 ? 2 : 1))
            throw new DdscError("CLUSTER_PEER_LOST", `rank ${1 - failing} is gone`);
          return all;
        };
        return cluster.rank === failing ? { ...cluster, gather } : cluster;
      };
      const joins = ranksInProcess(2).map((cluster) => joinParts(parts, out, { cluster: broken(cluster) }));
      const why = await joins[failing]!.catch((error: Error) => error.message);
      expect(why).toBe(`CLUSTER_PEER_LOST: rank ${1 - failing} is gone`);
      // Rank 0, which waits for ever here, is ended by the loss of its peer.
      const there = (await readdir(folder)).filter((name) => name.includes("failed.zarr"));
      expect(there.filter((name) => failing === 0 || !name.startsWith("."))).toEqual([]);
      expect(await Promise.all(parts.map(filesIn))).toEqual(before);
    }
  });

  it("refuses parts whose arrays do not fit their cells or each other, and files that are no stores", async () => {
    const out = join(folder, "refused.zarr");
    const parts = await writeParts(out, 60, 2);
    const broken = join(folder, "broken.zarr");
    const cases: readonly [string, (text: string) => string][] = [
      ["X/indices/.zarray", (text) => text.replace(/("shape": \[\s*)\d+/, "$17")],
      ["obsm/X_ddsc/.zarray", (text) => text.replace(/("shape": \[\s*)\d+/, "$17")],
    ];
    for (const [name, change] of cases) {
      await rm(broken, { recursive: true, force: true });
      await cp(parts[1]!, broken, { recursive: true });
      const file = join(broken, name);
      await writeFile(file, change(await readFile(file, "utf8")));
      const joining = joinParts([parts[0]!, broken], out);
      await expect(joining).rejects.toMatchObject({ code: "DATA_CORRUPT" });
    }
    expect(await readdir(folder)).not.toContain("refused.zarr");
    const h5ad = await together(2, (cluster) =>
      joinParts(parts, join(folder, "refused.h5ad"), { cluster }).catch((error: Error) => error.message),
    );
    expect(h5ad[1]).toMatch(/^ARGUMENT_CONFLICT: .*ranks join zarr stores together/);
  });
});
