import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { writeH5ad, writeH5adStreamed } from "../../../lib/data/anndata/h5ad_write.js";
import { Hdf5File } from "../../../lib/data/hdf5/file.js";
import { stringsAt } from "../../../lib/data/hierarchy.js";
import { openCells } from "../../../lib/data/open/open_cells.js";
import type { Frame } from "../../../lib/data/sources/frame.js";
import { framesOf } from "../../../lib/data/sources/frames.js";
import { COUNTS, columnValues, denseAll, denseRows, failure, fixture, temporaryFolder } from "../support.js";

const ALL = Int32Array.of(0, 1, 2, 3, 4, 5);

function names(prefix: string, count: number): Frame {
  return {
    index: Array.from({ length: count }, (_, i) => `${prefix}${i}`),
    indexName: "_index",
    columns: new Map(),
  };
}

it("what was read is written again: counts, every column as typed, genes", async () => {
  const path = join(temporaryFolder(), "copy.h5ad");
  using source = await openCells(fixture("csr"), { layer: "counts" });
  const { offsets, columns, counts } = await source.read(ALL);
  await writeH5ad(path, {
    ...(await framesOf(source)),
    X: { kind: "csr", offsets, columns, values: counts },
  });
  using copy = await openCells(path);
  expect(await denseAll(copy)).toEqual(COUNTS);
  expect(await framesOf(copy)).toEqual(await framesOf(source));
});

it("layers hold whole and real numbers, unstructured values their types", async () => {
  const path = join(temporaryFolder(), "layers.h5ad");
  const rank = Int32Array.from({ length: 6 }, (_, i) => i);
  const uns = { ddsc: { seed: 7, share: 0.5, done: true, model: "nano", genes: ["a", "b"], empty: null } };
  await writeH5ad(path, {
    obs: names("c", 2),
    var: names("g", 3),
    X: { kind: "dense", values: Float32Array.of(1, 0, 2, 0, 0, 3) },
    layers: {
      rank: { kind: "dense", values: rank },
      probability: { kind: "dense", values: new Float32Array(6).fill(0.25) },
    },
    uns,
  });
  using ranks = await openCells(path, { layer: "rank" });
  expect(await denseAll(ranks)).toEqual([
    [0, 1, 2],
    [3, 4, 5],
  ]);
  using file = await Hdf5File.open(path);
  expect(await file.members("/uns/ddsc")).toEqual(["done", "genes", "model", "seed", "share"]);
  expect((await file.array("/uns/ddsc/done")).kind).toBe("boolean");
  expect(await file.array("/uns/ddsc/seed")).toMatchObject({ kind: "integer", elementBytes: 8, shape: [] });
  expect(await stringsAt(await file.array("/uns/ddsc/genes"), undefined)).toEqual(["a", "b"]);
});

it("the file has the structure and the encoding attributes that AnnData documents", async () => {
  const path = join(temporaryFolder(), "structure.h5ad");
  using source = await openCells(fixture("csr"), { layer: "counts" });
  const { offsets, columns, counts } = await source.read(ALL);
  await writeH5ad(path, {
    ...(await framesOf(source)),
    X: { kind: "csr", offsets, columns, values: counts },
  });
  using file = await Hdf5File.open(path);
  const encoding = async (at: string): Promise<string> =>
    `${await file.attribute(at, "encoding-type")} ${await file.attribute(at, "encoding-version")}`;
  expect((await file.members("/")).sort()).toEqual([
    "X",
    "layers",
    "obs",
    "obsm",
    "obsp",
    "uns",
    "var",
    "varm",
    "varp",
  ]);
  expect(await encoding("/")).toBe("anndata 0.1.0");
  expect(await encoding("/X")).toBe("csr_matrix 0.1.0");
  expect(await file.attribute("/X", "shape")).toEqual([6, 5]);
  expect(await encoding("/obs")).toBe("dataframe 0.2.0");
  expect(await encoding("/obs/_index")).toBe("string-array 0.2.0");
  expect(await encoding("/obs/stage")).toBe("categorical 0.2.0");
  expect(await file.attribute("/obs/stage", "ordered")).toBe(true);
  expect((await file.array("/obs/stage/codes")).elementBytes).toBe(1);
  expect(await encoding("/obs/passes")).toBe("nullable-integer 0.1.0");
  expect(await encoding("/obs/checked")).toBe("nullable-boolean 0.1.0");
  expect(await encoding("/obs/doublet")).toBe("array 0.2.0");
  expect((await file.array("/obs/doublet")).kind).toBe("boolean");
  expect(await encoding("/uns")).toBe("dict 0.1.0");
  expect(await file.attribute("/obs", "column-order")).toEqual(
    source.metadataColumns.map(({ name }) => name),
  );
});

it("text with missing values is written as categories, which every AnnData reads", async () => {
  const path = join(temporaryFolder(), "missing.h5ad");
  using source = await openCells(fixture("nullable_strings"));
  await writeH5ad(path, {
    ...(await framesOf(source)),
    X: { kind: "dense", values: new Float32Array(30) },
  });
  using copy = await openCells(path);
  expect(await columnValues(copy, "donor")).toEqual(["d1", null, "d2", "d1", "d2", "d2"]);
});

it("streamed rows of any size make the same matrices", async () => {
  const path = join(temporaryFolder(), "stream.h5ad");
  const cells = 700;
  const genes = 300;
  const value = (cell: number, gene: number): number => (cell * 31 + gene * 7) % 11;
  async function* rows() {
    let cell = 0;
    for (let size = 1; cell < cells; size = (size * 2) % 97) {
      const count = Math.min(size, cells - cell);
      const X = Float32Array.from({ length: count * genes }, (_, i) =>
        value(cell + Math.floor(i / genes), i % genes),
      );
      yield { X, rank: Uint8Array.from(X) };
      cell += count;
    }
  }
  const matrices = { X: "float32", rank: "uint8" } as const;
  await writeH5adStreamed(path, { obs: names("c", cells), var: names("g", genes), matrices, rows: rows() });
  const expected = (cell: number): number[] => Array.from({ length: genes }, (_, gene) => value(cell, gene));
  for (const options of [{}, { layer: "rank" }]) {
    using source = await openCells(path, options);
    expect(await denseRows(source, [699, 0, 350])).toEqual([expected(699), expected(0), expected(350)]);
    const all = Array.from({ length: cells }, (_, cell) => expected(cell));
    expect(JSON.stringify(await denseAll(source))).toBe(JSON.stringify(all));
  }
});

it("the same contents give the same bytes", async () => {
  const folder = temporaryFolder();
  using source = await openCells(fixture("csr"), { layer: "counts" });
  const X = { kind: "dense", values: new Float32Array(30).fill(2) } as const;
  for (const name of ["a", "b"]) await writeH5ad(join(folder, name), { ...(await framesOf(source)), X });
  expect(readFileSync(join(folder, "a"))).toEqual(readFileSync(join(folder, "b")));
});

it("lengths that disagree are refused and leave nothing behind", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "bad.h5ad");
  const tables = { obs: names("c", 2), var: names("g", 3) };
  const X = { kind: "dense", values: new Float32Array(6) } as const;
  const column = { kind: "numbers", values: Float64Array.of(1) } as const;
  const badObs = { ...tables.obs, columns: new Map([["n", column]]) };
  const failures = [
    () => writeH5ad(path, { ...tables, X: { kind: "dense", values: new Float32Array(5) } }),
    () =>
      writeH5ad(path, {
        ...tables,
        X: {
          kind: "csr",
          offsets: Int32Array.of(0, 1),
          columns: Int32Array.of(0),
          values: Float32Array.of(1),
        },
      }),
    () => writeH5ad(path, { ...tables, X, obs: badObs }),
    () =>
      writeH5adStreamed(path, {
        ...tables,
        matrices: { X: "float32" },
        rows: [{ other: new Float32Array(6) }],
      }),
    () =>
      writeH5adStreamed(path, { ...tables, matrices: { X: "float32" }, rows: [{ X: new Float32Array(7) }] }),
    () =>
      writeH5adStreamed(path, { ...tables, matrices: { X: "float32" }, rows: [{ X: new Float32Array(5) }] }),
  ];
  for (const action of failures) expect((await failure(action)).code).toBe("DATA_SHAPE");
  expect(readdirSync(folder)).toEqual([]);
});

it("names that HDF5 cannot hold are refused, nested ones of old AnnData are kept", async () => {
  const folder = temporaryFolder();
  const tables = {
    obs: names("c", 1),
    var: names("g", 1),
    X: { kind: "dense", values: new Float32Array(1) } as const,
  };
  const column = { kind: "numbers", values: Float64Array.of(4) } as const;
  const withColumns = (...keys: string[]): Frame => ({
    ...tables.obs,
    columns: new Map(keys.map((key) => [key, column])),
  });
  const path = join(folder, "names.h5ad");
  for (const obs of [withColumns("_index"), withColumns(""), withColumns("a", "a/b")]) {
    expect((await failure(() => writeH5ad(path, { ...tables, obs }))).code).toBe("ARGUMENT_NAME");
  }
  const layers = { "a/b": tables.X };
  expect((await failure(() => writeH5ad(path, { ...tables, layers }))).code).toBe("ARGUMENT_NAME");
  await writeH5ad(path, { ...tables, obs: withColumns("a/b", "a/c") });
  using copy = await openCells(path);
  expect(copy.metadataColumns.map(({ name }) => name)).toEqual(["a/b", "a/c"]);
});

it("a folder that does not exist is named", async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "taken"));
  const contents = {
    obs: names("c", 1),
    var: names("g", 1),
    X: { kind: "dense", values: new Float32Array(1) } as const,
  };
  const error = await failure(() => writeH5ad(join(folder, "none", "x.h5ad"), contents));
  expect(error.code).toBe("FILE_WRITE");
  expect(error.message).toContain("the folder does not exist");
  expect((await failure(() => writeH5ad(join(folder, "taken"), contents))).code).toBe("FILE_WRITE");
  expect(readdirSync(folder)).toEqual(["taken"]);
});
