import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { StoredFrame } from "../../../lib/data/anndata/frame.js";
import { writeAnnData } from "../../../lib/data/anndata/write.js";
import { Hdf5File } from "../../../lib/data/hdf5/file.js";
import type { Hierarchy } from "../../../lib/data/hierarchy.js";
import { bytesOf } from "../../../lib/data/hierarchy_writer.js";
import { openCells } from "../../../lib/data/open/open_cells.js";
import { convertCells } from "../../../lib/data/report/convert.js";
import { readBlocks } from "../../../lib/data/sources/blocks.js";
import { heldFrame, ROWS_AT_ONCE } from "../../../lib/data/sources/cell_frame.js";
import { ConcatenatedSource } from "../../../lib/data/sources/concatenate.js";
import type { Column, Frame } from "../../../lib/data/sources/frame.js";
import { framesOf, tablesOf } from "../../../lib/data/sources/frames.js";
import { SimulatedSource } from "../../../lib/data/sources/simulated_source.js";
import type { CellSource } from "../../../lib/data/sources/source.js";
import { subsetSource } from "../../../lib/data/sources/subset.js";
import { ZarrFile } from "../../../lib/data/zarr/file.js";
import { failure, fixture, tahoeFolder, temporaryFolder, zarrFixture } from "../support.js";

const ATTRIBUTES = ["encoding-type", "encoding-version", "_index", "column-order", "ordered", "shape"];

/** All that a file or store holds, by path; of values a digest. */
async function everything(path: string): Promise<Map<string, unknown>> {
  using file: Hierarchy = await (path.endsWith(".zarr") ? ZarrFile : Hdf5File).open(path);
  const found = new Map<string, unknown>();
  const look = async (at: string): Promise<void> => {
    const attributes = await Promise.all(ATTRIBUTES.map((name) => file.attribute(at, name)));
    if ((await file.kind(at)) === "group") {
      const members = await file.members(at);
      found.set(at, { attributes, members });
      for (const name of members) await look(`${at === "/" ? "" : at}/${name}`);
      return;
    }
    const array = await file.array(at);
    const { shape, kind, elementBytes } = array;
    const [length] = shape;
    const values =
      length === undefined
        ? []
        : await (kind === "string" ? array.strings(0, length) : array.numbers(0, length));
    const bytes = ArrayBuffer.isView(values) ? bytesOf(values) : JSON.stringify(values);
    const digest = createHash("sha256").update(bytes).digest("hex");
    found.set(at, { attributes, shape, kind, elementBytes, type: values.constructor.name, digest });
  };
  await look("/");
  return found;
}

/** Writes the cells with the table of cells whole, each column at once. */
async function writeWhole(source: CellSource, path: string): Promise<void> {
  async function* rows() {
    for await (const { offsets, columns, counts } of readBlocks(source))
      yield { X: { offsets, columns, values: counts } };
  }
  const matrices = { X: { kind: "csr", type: "float32" } } as const;
  await writeAnnData(path, { ...(await framesOf(source)), matrices, rows: rows() });
}

/** Expects that a conversion has just what is written with the whole table. */
async function expectSame(source: CellSource, ending: string): Promise<string> {
  const folder = temporaryFolder();
  const [streamed, whole] = [join(folder, `streamed.${ending}`), join(folder, `whole.${ending}`)];
  await convertCells(source, streamed);
  await writeWhole(source, whole);
  const [found, expected] = [await everything(streamed), await everything(whole)];
  expect(found).toEqual(expected);
  if (ending !== "zarr") return streamed;
  for (const name of readdirSync(whole, { recursive: true, encoding: "utf8" })) {
    const [a, b] = await Promise.all(
      [streamed, whole].map((store) => readFile(join(store, name)).catch(() => Buffer.of())),
    );
    expect([name, a?.equals(b ?? Buffer.of())]).toEqual([name, true]);
  }
  return streamed;
}

/** Columns of every kind. */
function everyKind(cells: number): Frame["columns"] {
  const of = <T>(value: (row: number) => T): T[] => Array.from({ length: cells }, (_, row) => value(row));
  const some = Uint8Array.from(of((row) => Number(row % 7 === 3)));
  const texts = (values: string[]) => ({ kind: "strings", values }) as const;
  const codes = (count: number) => Int32Array.from(of((row) => (row % (count + 1)) - 1));
  const numbers = [
    Int8Array.from(of((row) => row % 100)),
    Uint8Array.from(of((row) => row % 200)),
    Int16Array.from(of((row) => row % 30_000)),
    Uint16Array.from(of((row) => row % 60_000)),
    Int32Array.from(of((row) => -row)),
    Uint32Array.from(of((row) => row + 2 ** 31)),
    BigInt64Array.from(of((row) => -(BigInt(row) << 40n))),
    BigUint64Array.from(of((row) => BigInt(row) << 44n)),
    Float32Array.from(of((row) => row / 3)),
    Float64Array.from(of((row) => (row % 5 === 0 ? Number.NaN : row / 3))),
  ];
  return new Map<string, Column>([
    ...numbers.map((values) => [values.constructor.name, { kind: "numbers", values }] as const),
    ["nullable integer", { kind: "numbers", values: Int32Array.from(of((row) => row)), missing: some }],
    [
      "none missing",
      { kind: "numbers", values: Float64Array.from(of((row) => row)), missing: new Uint8Array(cells) },
    ],
    ["boolean", { kind: "booleans", values: Uint8Array.from(of((row) => row % 2)) }],
    ["nullable boolean", { kind: "booleans", values: Uint8Array.from(of((row) => row % 2)), missing: some }],
    ["text", texts(of((row) => (row % 3 === 0 ? "" : `é ${row}`)))],
    ["missing text", { ...texts(of((row) => `t${row % 300}`)), missing: some }],
    ["text, none missing", { ...texts(of((row) => `t${row % 300}`)), missing: new Uint8Array(cells) }],
    [
      "ordered",
      { kind: "categories", codes: codes(3), categories: texts(["c", "a", "unused"]), ordered: true },
    ],
    [
      "many",
      {
        kind: "categories",
        codes: codes(200),
        categories: texts(of((row) => `l${row}`).slice(0, 200)),
        ordered: false,
      },
    ],
    [
      "numbered",
      {
        kind: "categories",
        codes: codes(2),
        categories: { kind: "numbers", values: Float64Array.of(0.5, 2) },
        ordered: false,
      },
    ],
    [
      "switched",
      {
        kind: "categories",
        codes: codes(2),
        categories: { kind: "booleans", values: Uint8Array.of(0, 1) },
        ordered: true,
      },
    ],
    ["old/nested", { kind: "numbers", values: Int32Array.from(of((row) => row)) }],
  ]);
}

/** Cells with this table of cells. */
function withTable(source: CellSource, columns: Frame["columns"]): CellSource {
  const index = Array.from({ length: source.cellCount }, (_, row) => `cell ${row}`);
  const obs = heldFrame({ index, indexName: "barcode", columns });
  const genes = { index: source.genes.map(({ id }) => id), indexName: "_index", columns: new Map() };
  return Object.assign(
    subsetSource(
      source,
      Int32Array.from(index, (_, row) => row),
    ),
    {
      tables: async () => ({ obs, var: genes }),
    },
  );
}

const MANY = ROWS_AT_ONCE + 700;

describe.each(["h5ad", "zarr"])(
  "a conversion to .%s has the table of cells as it is, types and all,",
  (ending) => {
    it("of columns of every kind, and again of the file", async () => {
      using cells = new SimulatedSource({ cells: MANY, genes: 8, seed: 1 });
      const path = await expectSame(withTable(cells, everyKind(MANY)), ending);
      using copy = await openCells(path);
      await expectSame(copy, ending);
      // Any rows in any order.
      await expectSame(
        subsetSource(
          copy,
          Int32Array.from({ length: 100 }, (_, i) => (i * 9973) % MANY),
        ),
        ending,
      );
    });

    it("of files of any format", async () => {
      const names = ["csr", "dense", "layout_07", "nullable_strings", "duplicated_names", "unannotated"];
      const paths = [
        ...names.map(fixture),
        zarrFixture("v2_csr.zarr"),
        zarrFixture("v3_sharded.zarr"),
        ...["delta.parquet", "wide.parquet", "coded.arrow", "stream.arrow"].map((name) =>
          join(tahoeFolder, name),
        ),
      ];
      for (const path of paths) {
        using source = await openCells(path, path === fixture("csr") ? { layer: "counts" } : {});
        await expectSame(source, ending);
      }
    });

    it("of several sources together, of which some have a column", async () => {
      const sources = [
        await openCells(fixture("csr"), { layer: "counts" }),
        new SimulatedSource({ cells: MANY, genes: 8 }),
      ];
      using source = new ConcatenatedSource(sources, "both");
      await expectSame(source, ending);
    });
  },
);

describe("a conversion never asks for all rows of the table of cells at once,", () => {
  it.each(["h5ad", "zarr"])("of a file %s", async (ending) => {
    const folder = temporaryFolder();
    const path = join(folder, `cells.${ending}`);
    using cells = new SimulatedSource({ cells: 3 * ROWS_AT_ONCE, genes: 8, seed: 1 });
    const { cellCount } = cells;
    const codes = new Int32Array(cellCount);
    const columns = new Map<string, Column>([
      ["n", { kind: "numbers", values: new Float64Array(cellCount) }],
      ["type", { kind: "categories", codes, categories: { kind: "strings", values: ["a"] }, ordered: false }],
    ]);
    await writeWhole(withTable(cells, columns), path);
    using source = await openCells(path);
    const ids = vi.spyOn(StoredFrame.prototype, "ids");
    const read = vi.spyOn(StoredFrame.prototype, "read");
    onTestFinished(() => [ids, read].forEach((spy) => void spy.mockRestore()));
    await convertCells(source, join(folder, `copy.${ending}`));
    const asked = [...ids.mock.calls.map(([rows]) => rows), ...read.mock.calls.map(([, rows]) => rows)];
    // Names and columns of each span, and what the columns are.
    expect(asked).toHaveLength(7);
    for (const rows of asked) expect(rows?.length ?? cellCount).toBeLessThanOrEqual(ROWS_AT_ONCE);
  });

  it("of a source of metadata", async () => {
    using source = new SimulatedSource({ cells: 2 * ROWS_AT_ONCE + 1, genes: 8, seed: 1 });
    const ids = vi.spyOn(source, "cellIds");
    const metadata = vi.spyOn(source, "metadata");
    await convertCells(source, join(temporaryFolder(), "copy.h5ad"));
    const asked = [
      ...ids.mock.calls.map(([rows]) => rows),
      ...metadata.mock.calls.map(([options]) => options?.rows),
    ];
    expect(asked.length).toBeGreaterThan(8);
    for (const rows of asked) expect(rows?.length ?? source.cellCount).toBeLessThanOrEqual(ROWS_AT_ONCE);
  });
});

it("a conversion of a table that is damaged ends in its error, and shows nothing", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "cells.h5ad");
  using cells = new SimulatedSource({ cells: MANY, genes: 8, seed: 1 });
  const codes = new Int32Array(MANY);
  codes[MANY - 2] = 2;
  const categories = { kind: "strings", values: ["a", "b"] } as const;
  const table = new Map<string, Column>([
    ["type", { kind: "categories", codes, categories, ordered: false }],
  ]);
  await writeWhole(withTable(cells, table), path);
  using source = await openCells(path);
  expect((await tablesOf(source)).obs.length).toBe(MANY);
  const error = await failure(() => convertCells(source, join(folder, "copy.h5ad")));
  expect(error.code).toBe("DATA_CORRUPT");
  expect(error.message).toContain(`row ${MANY - 2} has code 2 but there are 2 categories`);
  expect(readdirSync(folder)).toEqual(["cells.h5ad"]);
});
