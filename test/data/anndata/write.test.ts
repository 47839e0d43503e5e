import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type AnnDataStream, type StreamedRows, writeAnnData } from "../../../lib/data/anndata/write.js";
import { Hdf5File } from "../../../lib/data/hdf5/file.js";
import { type Hierarchy, numbersAt, stringsAt } from "../../../lib/data/hierarchy.js";
import { openCells } from "../../../lib/data/open/open_cells.js";
import { readBlocks } from "../../../lib/data/sources/blocks.js";
import type { Column, Frame } from "../../../lib/data/sources/frame.js";
import { framesOf } from "../../../lib/data/sources/frames.js";
import { SimulatedSource } from "../../../lib/data/sources/simulated_source.js";
import type { CellSource } from "../../../lib/data/sources/source.js";
import { ZarrFile } from "../../../lib/data/zarr/file.js";
import { COUNTS, columnValues, denseAll, denseRows, failure, fixture, temporaryFolder } from "../support.js";

const FORMATS = [
  { ending: "h5ad", open: Hdf5File.open as (path: string) => Promise<Hierarchy> },
  { ending: "zarr", open: ZarrFile.open as (path: string) => Promise<Hierarchy> },
] as const;

function names(prefix: string, count: number): Frame {
  return {
    index: Array.from({ length: count }, (_, i) => `${prefix}${i}`),
    indexName: "_index",
    columns: new Map(),
  };
}

async function* sparse(source: CellSource): AsyncGenerator<StreamedRows> {
  for await (const { offsets, columns, counts } of readBlocks(source))
    yield { X: { offsets, columns, values: counts } };
}

const numbersIn = async (file: Hierarchy, path: string) => [
  ...(await numbersAt(await file.array(path), undefined)),
];

describe.each(FORMATS)("AnnData written as .$ending", ({ ending, open }) => {
  const place = () => join(temporaryFolder(), `cells.${ending}`);

  it.each([6, 700, 5000])("has the cells that arrived in blocks as a sparse X (%i cells)", async (cells) => {
    const path = place();
    using source = new SimulatedSource({ cells, genes: 60, seed: 2 });
    const matrices = { X: { kind: "csr", type: "float32" } } as const;
    await writeAnnData(path, {
      ...(await framesOf(source)),
      matrices,
      rows: sparse(source),
      uns: { made: "here" },
    });
    using copy = await openCells(path);
    expect(await denseAll(copy)).toEqual(await denseAll(source));
    expect(await columnValues(copy, "library_size")).toEqual(await columnValues(source, "library_size"));
  });

  it("has every column as typed, and unstructured values", async () => {
    const path = place();
    using source = await openCells(fixture("csr"), { layer: "counts" });
    const { obs, var: genes } = await framesOf(source);
    const numbers = [
      Int8Array.of(-1, 0, 1, 2, 3, 127),
      Uint16Array.of(1, 2, 3, 4, 5, 65_535),
      Int32Array.of(1, 2, 3, 4, 5, -(2 ** 31)),
      BigInt64Array.of(1n, 2n, 3n, 4n, 5n, -(2n ** 62n)),
      BigUint64Array.of(1n, 2n, 3n, 4n, 5n, 2n ** 63n),
      Float32Array.of(1, 2, 3, 4, 5, Number.NaN),
    ];
    const columns = new Map<string, Column>([
      ...obs.columns,
      ...numbers.map((values) => [values.constructor.name, { kind: "numbers", values }] as const),
      ["ünï", { kind: "strings", values: ["", "é", "𝒳y", "d", "", "f"] }],
      ["old/nested", { kind: "booleans", values: Uint8Array.of(1, 0, 0, 1, 1, 0) }],
    ]);
    const frames = { obs: { ...obs, columns }, var: genes };
    const X = await source.read(Int32Array.of(0, 1, 2, 3, 4, 5));
    await writeAnnData(path, {
      ...frames,
      matrices: { X: { kind: "csr", type: "float32" } },
      rows: [{ X: { ...X, values: X.counts } }],
      uns: {
        text: "ünï",
        empty: "",
        whole: 7,
        half: 0.5,
        yes: true,
        nested: { list: ["a", ""] },
        none: null,
      },
    });
    using copy = await openCells(path);
    expect(await framesOf(copy)).toEqual(frames);
    expect(await denseAll(copy)).toEqual(COUNTS);
    using file = await open(path);
    expect(await file.members("/uns")).toEqual(["empty", "half", "nested", "text", "whole", "yes"]);
    expect(await stringsAt(await file.array("/uns/nested/list"), undefined)).toEqual(["a", ""]);
    expect((await file.array("/uns/yes")).kind).toBe("boolean");
    expect(await file.array("/uns/whole")).toMatchObject({ kind: "integer", shape: [] });
  });

  it("has texts and numbers of many chunks", async () => {
    const path = place();
    const cells = 70_001;
    const named = names("célula ", cells);
    const values = Float64Array.from({ length: cells }, (_, i) => (i * i) % 1009);
    const rows = function* (): Generator<StreamedRows> {
      const whole = Int32Array.from({ length: cells * 5 }, (_, i) => (i * 7) % 1013);
      for (let first = 0; first < whole.length; first += 5 * 999)
        yield { X: whole.subarray(first, first + 5 * 999) };
    };
    await writeAnnData(path, {
      obs: { ...named, columns: new Map([["n", { kind: "numbers", values }]]) },
      var: names("g", 5),
      matrices: { X: { kind: "dense", type: "int32" } },
      rows: rows(),
    });
    using copy = await openCells(path);
    const { obs } = await framesOf(copy);
    expect(obs.index.join()).toBe(named.index.join());
    const column = obs.columns.get("n");
    expect(
      column?.kind === "numbers" && Buffer.from(column.values.buffer).equals(Buffer.from(values.buffer)),
    ).toBe(true);
    const places = [0, 34_567, 52_428, 52_429, cells - 1];
    const expected = places.map((cell) =>
      Array.from({ length: 5 }, (_, gene) => ((cell * 5 + gene) * 7) % 1013),
    );
    expect(await denseRows(copy, places)).toEqual(expected);
  });

  it("has sparse and dense matrices side by side, columns added in the end, varm", async () => {
    const path = place();
    const numbers = (...values: number[]): Column => ({ kind: "numbers", values: Float64Array.from(values) });
    const given: string[] = [];
    function* rows(): Generator<StreamedRows> {
      given.push("first");
      yield {
        X: { offsets: Int32Array.of(0, 1), columns: Int32Array.of(2), values: Int32Array.of(7) },
        "layers/mean": Float32Array.of(0.5, 1.5, 2.5),
        "obsm/X_state": Float32Array.of(1, 2),
      };
      given.push("second");
      yield {
        X: {
          offsets: Int32Array.of(0, 0, 2),
          columns: Int32Array.of(0, 1),
          values: Int32Array.of(3, 2 ** 24 + 1),
        },
        "layers/mean": Float32Array.of(3.5, 4.5, 5.5, 6.5, 7.5, 8.5),
        "obsm/X_state": Float32Array.of(3, 4, 5, 6),
      };
    }
    const obs = { ...names("c", 3), columns: new Map([["depth", numbers(0, 0, 0)]]) };
    await writeAnnData(path, {
      obs,
      var: names("g", 3),
      matrices: {
        X: { kind: "csr", type: "int32" },
        "layers/mean": { kind: "dense", type: "float32" },
        "obsm/X_state": { kind: "dense", type: "float32", width: 2 },
      },
      rows: rows(),
      addedObs: () => new Map([["depth", numbers(given.length, 8, 9)]]),
      addedVar: () => new Map([["share", numbers(0.1, 0.2, 0.7)]]),
      varm: { loadings: { values: Float32Array.of(1, 2, 3, 4, 5, 6), width: 2 } },
    });
    using file = await open(path);
    expect(await file.attribute("/X", "encoding-type")).toBe("csr_matrix");
    expect(await numbersIn(file, "/X/data")).toEqual([7, 3, 2 ** 24 + 1]);
    expect(await numbersIn(file, "/X/indices")).toEqual([2, 0, 1]);
    expect(await numbersIn(file, "/X/indptr")).toEqual([0, 1, 1, 3]);
    expect(await file.array("/X/data")).toMatchObject({ kind: "integer", elementBytes: 4 });
    expect((await file.array("/X/indptr")).elementBytes).toBe(4);
    const state = await file.array("/obsm/X_state");
    expect(state.shape).toEqual([3, 2]);
    expect([...(await state.numbers(0, 3))]).toEqual([1, 2, 3, 4, 5, 6]);
    const loadings = await file.array("/varm/loadings");
    expect([...(await loadings.numbers(0, 3))]).toEqual([1, 2, 3, 4, 5, 6]);
    using layer = await openCells(path, { layer: "mean" });
    expect(await denseAll(layer)).toEqual([
      [0.5, 1.5, 2.5],
      [3.5, 4.5, 5.5],
      [6.5, 7.5, 8.5],
    ]);
    expect(await columnValues(layer, "depth")).toEqual([2, 8, 9]);
    expect((await framesOf(layer)).var.columns.get("share")).toMatchObject({
      values: Float64Array.of(0.1, 0.2, 0.7),
    });
  });

  it("numbers what may be more than 2^31 - 1 values by 64 bits", async () => {
    const path = place();
    const genes = 2 ** 16;
    const cells = 2 ** 15;
    await writeAnnData(path, {
      obs: names("c", cells),
      var: names("g", genes),
      matrices: { X: { kind: "csr", type: "float32" } },
      rows: [
        {
          X: {
            offsets: new Int32Array(cells + 1).fill(1, 1),
            columns: Int32Array.of(5),
            values: Float32Array.of(2),
          },
        },
      ],
    });
    using file = await open(path);
    for (const part of ["indices", "indptr"]) expect((await file.array(`/X/${part}`)).elementBytes).toBe(8);
    using copy = await openCells(path);
    expect(await copy.read(Int32Array.of(0, 7))).toMatchObject({
      columns: Int32Array.of(5),
      counts: Float32Array.of(2),
    });
  });

  it("may have no cells, no genes, no values", async () => {
    const folder = temporaryFolder();
    const matrices = {
      X: { kind: "csr", type: "float32" },
      "layers/a": { kind: "dense", type: "int32" },
    } as const;
    for (const [cells, genes] of [
      [0, 3],
      [2, 0],
      [2, 3],
    ] as const) {
      const path = join(folder, `${cells}-${genes}.${ending}`);
      const rows = {
        X: {
          offsets: new Int32Array(cells + 1),
          columns: new Int32Array(0),
          values: new Float32Array(0),
        },
        "layers/a": new Int32Array(cells * genes),
      };
      await writeAnnData(path, { obs: names("c", cells), var: names("g", genes), matrices, rows: [rows] });
      using file = await open(path);
      expect((await file.array("/layers/a")).shape).toEqual([cells, genes]);
      expect(await numbersIn(file, "/X/indptr")).toEqual(new Array(cells + 1).fill(0));
      expect(await stringsAt(await file.array("/obs/_index"), undefined)).toEqual(names("c", cells).index);
    }
  });

  describe("is refused, with nothing left behind,", () => {
    const row = (values: number[], columns: number[], offsets = [0, values.length]) => ({
      offsets: Int32Array.from(offsets),
      columns: Int32Array.from(columns),
      values: Float32Array.from(values),
    });
    const tables = { obs: names("c", 2), var: names("g", 3) };
    const csr = { X: { kind: "csr", type: "float32" } } as const;
    const good = [{ X: row([1, 2], [0, 2], [0, 1, 2]) }];
    const numbers: Column = { kind: "numbers", values: Float64Array.of(1) };
    const cases: Readonly<Record<string, readonly [string, Omit<AnnDataStream, "obs" | "var">]>> = {
      "with too few cells": ["DATA_SHAPE", { matrices: csr, rows: [{ X: row([1], [0]) }] }],
      "with too many cells": ["DATA_SHAPE", { matrices: csr, rows: [...good, { X: row([1], [0]) }] }],
      "with columns that do not ascend": [
        "DATA_SHAPE",
        { matrices: csr, rows: [{ X: row([1, 2], [2, 1], [0, 2, 2]) }] },
      ],
      "with a column beyond the genes": [
        "DATA_SHAPE",
        { matrices: csr, rows: [{ X: row([1], [3], [0, 1, 1]) }] },
      ],
      "with offsets that do not fit": [
        "DATA_SHAPE",
        { matrices: csr, rows: [{ X: row([1], [0], [0, 1, 2]) }] },
      ],
      "without rows of a matrix": [
        "DATA_SHAPE",
        { matrices: { ...csr, "layers/a": { kind: "dense", type: "float32" } }, rows: good },
      ],
      "with matrices of different cells": [
        "DATA_SHAPE",
        {
          matrices: { ...csr, "layers/a": { kind: "dense", type: "float32" } },
          rows: [
            { ...good[0], "layers/a": new Float32Array(3) },
            { X: row([], [], [0]), "layers/a": new Float32Array(3) },
          ],
        },
      ],
      "with rows that are cut off": [
        "DATA_SHAPE",
        { matrices: { X: { kind: "dense", type: "float32" } }, rows: [{ X: new Float32Array(4) }] },
      ],
      "with a layer that is not as wide as there are genes": [
        "DATA_SHAPE",
        { matrices: { "layers/a": { kind: "dense", type: "float32", width: 2 } }, rows: [] },
      ],
      "with values of another type": [
        "ARGUMENT_TYPE",
        { matrices: { X: { kind: "csr", type: "int32" } }, rows: good },
      ],
      "with dense rows of another type": [
        "ARGUMENT_TYPE",
        { matrices: { X: { kind: "dense", type: "float32" } }, rows: [{ X: new Int32Array(6) }] },
      ],
      "with sparse rows of a dense matrix": [
        "ARGUMENT_TYPE",
        { matrices: { X: { kind: "dense", type: "float32" } }, rows: good },
      ],
      "with a matrix that AnnData has no place for": [
        "ARGUMENT_NAME",
        { matrices: { counts: { kind: "csr", type: "float32" } }, rows: [] },
      ],
      "with varm of another length": [
        "DATA_SHAPE",
        { matrices: csr, rows: good, varm: { a: { values: new Float32Array(5), width: 2 } } },
      ],
      "with an added column of another length": [
        "DATA_SHAPE",
        { matrices: csr, rows: good, addedObs: () => new Map([["n", numbers]]) },
      ],
    };
    it.each(Object.keys(cases))("%s", async (name) => {
      const [code, contents] = cases[name]!;
      const folder = temporaryFolder();
      const path = join(folder, `bad.${ending}`);
      expect((await failure(() => writeAnnData(path, { ...tables, ...contents }))).code).toBe(code);
      expect(readdirSync(folder)).toEqual([]);
    });

    it("when the rows fail", async () => {
      const folder = temporaryFolder();
      // biome-ignore lint/correctness/useYield: fails before the first row
      function* rows(): Generator<StreamedRows> {
        throw new RangeError("no more");
      }
      const written = writeAnnData(join(folder, `bad.${ending}`), { ...tables, matrices: csr, rows: rows() });
      await expect(written).rejects.toThrow("no more");
      expect(readdirSync(folder)).toEqual([]);
    });
  });
});
