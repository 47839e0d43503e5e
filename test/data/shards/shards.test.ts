import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findParts } from "../../../lib/data/shards/find_parts.js";
import { withRecord } from "../../../lib/data/shards/part_record.js";
import { parseShard, partPath, shardBounds } from "../../../lib/data/shards/shard.js";
import {
  type AnnDataStream,
  type Column,
  convertCells,
  type Frame,
  framesOf,
  joinParts,
  openCells,
  SimulatedSource,
  subsetSource,
  writeAnnData,
} from "../../../lib/index.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-shards-"));
});
afterAll(() => rm(folder, { recursive: true }));

const code = (expected: string) => expect.objectContaining({ code: expected });

describe("shards", () => {
  it("share out every cell once, in order, as equally as can be", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10_000 }),
        fc.integer({ min: 1, max: 99_999 }),
        (cells, count) => {
          let next = 0;
          const sizes = new Set<number>();
          for (let index = 1; index <= Math.min(count, 300); index++) {
            const { first, end } = shardBounds(cells, { index, count });
            expect(first).toBe(next);
            sizes.add(end - first);
            next = end;
          }
          if (count <= 300) expect(next).toBe(cells);
          expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 50 },
    );
  });

  it("are read as K/N, and from the variables of an array job", () => {
    expect(parseShard("3/100", {})).toEqual({ index: 3, count: 100 });
    for (const text of ["", "3", "0/4", "5/4", "a/4", "3/", "-1/4", "1/100000", "3/4/5"])
      expect(parseShard(text, {})).toBeUndefined();
    const slurm = {
      SLURM_ARRAY_TASK_ID: "12",
      SLURM_ARRAY_TASK_MIN: "10",
      SLURM_ARRAY_TASK_MAX: "13",
      SLURM_ARRAY_TASK_COUNT: "4",
    };
    expect(parseShard("auto", slurm)).toEqual({ index: 3, count: 4 });
    expect(parseShard("auto/8", { JOB_COMPLETION_INDEX: "7" })).toEqual({ index: 8, count: 8 });
  });

  it.each([
    ["auto", {}],
    ["auto", { JOB_COMPLETION_INDEX: "0" }],
    ["auto/4", { JOB_COMPLETION_INDEX: "4" }],
    ["auto", { SLURM_ARRAY_TASK_ID: "1" }],
    [
      "auto",
      {
        SLURM_ARRAY_TASK_ID: "x",
        SLURM_ARRAY_TASK_MIN: "1",
        SLURM_ARRAY_TASK_MAX: "2",
        SLURM_ARRAY_TASK_COUNT: "2",
      },
    ],
    [
      "auto",
      {
        SLURM_ARRAY_TASK_ID: "3",
        SLURM_ARRAY_TASK_MIN: "1",
        SLURM_ARRAY_TASK_MAX: "5",
        SLURM_ARRAY_TASK_COUNT: "3",
      },
    ],
    ["auto/2", { JOB_COMPLETION_INDEX: "0", SLURM_ARRAY_TASK_ID: "1" }],
  ])("of %s with variables %o that do not say are refused", (text, variables) => {
    expect(() => parseShard(text, variables)).toThrow(code("SHARD_UNKNOWN"));
  });

  it("have parts beside the whole, which sort by number", () => {
    expect(partPath("a/out.h5ad", { index: 3, count: 100 })).toBe("a/out.part-003-of-100.h5ad");
    expect(partPath("out.zarr", { index: 12, count: 4000 })).toBe("out.part-0012-of-4000.zarr");
    expect(partPath("shards", { index: 1, count: 2 })).toBe("shards.part-001-of-002");
  });
});

describe("parts", () => {
  it.each(["h5ad", "zarr"])("of a conversion to %s join to the cells of the source", async (ending) => {
    using source = new SimulatedSource({ cells: 250, genes: 30, seed: 1 });
    const out = join(folder, `whole.${ending}`);
    const whole = join(folder, `at-once.${ending}`);
    await convertCells(source, whole);
    // Names that are no part's.
    for (const name of ["part-009-of-002", "part-000-of-003", "part-1-of-3"])
      await writeFile(join(folder, `whole.${name}.${ending}`), "");
    for (const index of [3, 1, 2]) await convertCells(source, out, { shard: { index, count: 3 } });
    const parts = await findParts(out);
    expect(await joinParts([...parts].reverse(), out)).toMatchObject({
      out,
      parts: 3,
      cells: 250,
      genes: 30,
    });
    using joined = await openCells(out);
    using expected = await openCells(whole);
    const rows = Int32Array.from({ length: 250 }, (_, row) => row);
    expect(await joined.read(rows)).toEqual(await expected.read(rows));
    expect(await joined.cellIds(rows)).toEqual(await expected.cellIds(rows));
    expect(await framesOf(joined)).toEqual(await framesOf(expected));
    await expect(joinParts(parts, out)).rejects.toThrow(code("FILE_EXISTS"));
  });

  it("that are there are kept, and others of that name are not replaced", async () => {
    using source = new SimulatedSource({ cells: 40, genes: 10, seed: 1 });
    const out = join(folder, "kept.h5ad");
    const shard = { index: 1, count: 2 };
    expect((await convertCells(source, out, { shard })).kept).toBe(0);
    expect((await convertCells(source, out, { shard })).kept).toBe(1);
    using other = new SimulatedSource({ cells: 40, genes: 12, seed: 2 });
    await expect(convertCells(other, out, { shard })).rejects.toThrow(code("FILE_EXISTS"));
    expect((await convertCells(other, out, { shard, overwrite: true })).kept).toBe(0);
    await writeFile(partPath(out, { index: 2, count: 2 }), "cut short");
    await expect(convertCells(source, out, { shard: { index: 2, count: 2 } })).rejects.toThrow(
      code("FILE_EXISTS"),
    );
  });

  it("that are missing, repeated, of other work or no parts are named, and nothing is written", async () => {
    using source = new SimulatedSource({ cells: 40, genes: 10, seed: 1 });
    using other = subsetSource(
      source,
      Int32Array.from({ length: 39 }, (_, row) => row),
    );
    const out = join(folder, "joined.h5ad");
    const write = async (from: typeof other, name: string, index: number) =>
      (await convertCells(from, join(folder, name), { shard: { index, count: 4 } })).out;
    const [one, two, four] = [
      await write(source, "j.h5ad", 1),
      await write(source, "j.h5ad", 2),
      await write(source, "j.h5ad", 4),
    ];
    await expect(joinParts([one, two, four], out)).rejects.toThrow(/of 4 parts 3 is missing/);
    const three = await write(source, "j.h5ad", 3);
    await expect(joinParts([one, two, three, four, two], out)).rejects.toThrow(code("PARTS_REPEATED"));
    const foreign = await write(other, "o.h5ad", 3);
    await expect(joinParts([one, two, foreign, four], out)).rejects.toThrow(code("PARTS_DIFFER"));
    const plain = join(folder, "plain.h5ad");
    await convertCells(source, plain);
    await expect(joinParts([one, two, three, plain], out)).rejects.toThrow(code("PART_FORMAT"));
    await expect(joinParts([], out)).rejects.toThrow(code("PARTS_MISSING"));
    await expect(findParts(join(folder, "none.h5ad"))).rejects.toThrow(code("PARTS_MISSING"));
    await expect(openCells(out)).rejects.toThrow();
    expect((await joinParts([one, two, three, four], out)).cells).toBe(40);
  });

  it("of the same names but other counts are not taken for one another: another layer, another seed", async () => {
    const path = join(folder, "layers.h5ad");
    await writeAnnData(path, {
      obs: { index: ["a", "b"], indexName: "_index", columns: new Map() },
      var: { index: ["g"], indexName: "_index", columns: new Map() },
      matrices: {
        X: { kind: "dense", type: "int32" },
        "layers/other": { kind: "dense", type: "int32" },
      },
      rows: [{ X: Int32Array.of(1, 2), "layers/other": Int32Array.of(3, 4) }],
    });
    using x = await openCells(path);
    using other = await openCells(path, { layer: "other" });
    using seed1 = new SimulatedSource({ cells: 3, genes: 10, seed: 1 });
    using seed2 = new SimulatedSource({ cells: 3, genes: 10, seed: 2 });
    for (const [name, one, two] of [
      ["layer", x, other],
      ["seed", seed1, seed2],
    ] as const) {
      const out = join(folder, `of-another-${name}.h5ad`);
      const shard = { index: 1, count: 2 };
      await convertCells(one, out, { shard });
      expect((await convertCells(one, out, { shard })).kept).toBe(1);
      await expect(convertCells(two, out, { shard })).rejects.toThrow(code("FILE_EXISTS"));
    }
  });

  it("are refused for more shards than cells", async () => {
    using source = new SimulatedSource({ cells: 3, genes: 10, seed: 1 });
    const tooMany = convertCells(source, join(folder, "x.h5ad"), { shard: { index: 1, count: 4 } });
    await expect(tooMany).rejects.toThrow(code("ARGUMENT_RANGE"));
  });

  it("whose record claims other cells than it has are refused", async () => {
    const record = { index: 1, count: 1, first: 0, end: 5, cells: 5, job: "x", matrices: ["X"], uns: {} };
    const path = join(folder, "claims.h5ad");
    await writeAnnData(path, {
      obs: { index: ["a"], indexName: "_index", columns: new Map() },
      var: { index: ["g"], indexName: "_index", columns: new Map() },
      matrices: { X: { kind: "dense", type: "int32" } },
      rows: [{ X: Int32Array.of(1) }],
      uns: { ddsc_part: [JSON.stringify(record)] },
    });
    await expect(joinParts([path], join(folder, "no.h5ad"))).rejects.toThrow(code("DATA_SHAPE"));
  });
});

describe.each(["h5ad", "zarr"])("tables of parts (%s)", (ending) => {
  const texts = (values: string[]) => ({ kind: "strings", values }) as const;
  const numbers = (...values: number[]) => ({ kind: "numbers", values: Float64Array.from(values) }) as const;
  const categories = (values: string[], codes: number[], ordered: boolean) =>
    ({ kind: "categories", codes: Int32Array.from(codes), categories: texts(values), ordered }) as const;

  /** Writes the tables as those of parts of one work, and joins them. */
  async function joined(name: string, tables: readonly Frame["columns"][], cells: readonly number[]) {
    const out = join(folder, `${name}.${ending}`);
    const all = cells.reduce((sum, count) => sum + count, 0);
    const paths: string[] = [];
    for (const [i, columns] of tables.entries()) {
      const shard = { index: i + 1, count: tables.length };
      const { first, end } = shardBounds(all, shard);
      expect(end - first).toBe(cells[i]);
      const path = partPath(out, shard);
      const index = Array.from({ length: end - first }, (_, row) => `cell-${first + row}`);
      const contents: AnnDataStream = {
        obs: { index, indexName: "cell", columns },
        var: { index: ["g"], indexName: "_index", columns: new Map() },
        matrices: { X: { kind: "dense", type: "int32" } },
        rows: [{ X: new Int32Array(end - first) }],
      };
      await writeAnnData(path, withRecord(contents, { shard, cells: all, job: "x" }));
      paths.push(path);
    }
    await joinParts(paths, out);
    using source = await openCells(out);
    return (await framesOf(source)).obs;
  }

  it("are joined with united categories, missing values and types", async () => {
    const obs = await joined(
      "united",
      [
        new Map<string, Column>([
          ["type", categories(["T"], [0], true)],
          ["same", categories(["a", "b"], [1], true)],
          ["n", { kind: "numbers", values: Int32Array.of(1) }],
          ["whole", { kind: "numbers", values: BigInt64Array.of(2n ** 60n) }],
          ["masked", { kind: "booleans", values: Uint8Array.of(1) }],
          ["mixed", numbers(0.5)],
          ["part", categories(["x"], [-1], false)],
          ["text", texts(["s"])],
        ]),
        new Map<string, Column>([
          ["type", categories(["B", "T"], [1, -1], true)],
          ["same", categories(["a", "b"], [0, -1], true)],
          ["n", { kind: "numbers", values: Float32Array.of(0.5, 2) }],
          ["whole", { kind: "numbers", values: BigInt64Array.of(1n, -1n) }],
          ["masked", { kind: "booleans", values: Uint8Array.of(0, 1), missing: Uint8Array.of(1, 0) }],
          ["mixed", texts(["t", ""])],
          ["part", texts(["y", "x"])],
          ["text", texts(["", "u"])],
        ]),
      ],
      [1, 2],
    );
    expect(obs.index).toEqual(["cell-0", "cell-1", "cell-2"]);
    expect(obs.indexName).toBe("cell");
    expect(obs.columns).toEqual(
      new Map<string, Column>([
        ["type", categories(["T", "B"], [0, 0, -1], false)],
        ["same", categories(["a", "b"], [1, 0, -1], true)],
        ["n", numbers(1, 0.5, 2)],
        ["whole", { kind: "numbers", values: BigInt64Array.of(2n ** 60n, 1n, -1n) }],
        ["masked", { kind: "booleans", values: Uint8Array.of(1, 0, 1), missing: Uint8Array.of(0, 1, 0) }],
        ["mixed", texts(["0.5", "t", ""])],
        ["part", categories(["x", "y"], [-1, 1, 0], false)],
        ["text", texts(["s", "", "u"])],
      ]),
    );
  });

  it("have rows in order where those written at once are of several parts", async () => {
    const count = 40_000;
    const table = (first: number): Frame["columns"] => {
      const rows = Array.from({ length: count }, (_, i) => first + i);
      return new Map<string, Column>([
        ["n", { kind: "numbers", values: Int32Array.from(rows) }],
        // Other categories in other orders.
        [
          "type",
          categories(
            first === 0 ? ["a", "b", "c"] : ["c", "a"],
            rows.map((row) => row % 2),
            false,
          ),
        ],
      ]);
    };
    const obs = await joined("rows", [table(0), table(count)], [count, count]);
    const rows = Array.from({ length: 2 * count }, (_, row) => row);
    expect(obs.index.join()).toBe(rows.map((row) => `cell-${row}`).join());
    expect(obs.columns.get("n")).toEqual({ kind: "numbers", values: Int32Array.from(rows) });
    const codes = rows.map((row) => (row < count ? row % 2 : [2, 0][row % 2]!));
    expect(obs.columns.get("type")).toEqual(categories(["a", "b", "c"], codes, false));
  });

  it("with other columns are refused", async () => {
    const one = (name: string): Frame["columns"] => new Map<string, Column>([[name, numbers(1)]]);
    await expect(joined("differ", [one("a"), one("b")], [1, 1])).rejects.toThrow(code("PARTS_DIFFER"));
  });
});
