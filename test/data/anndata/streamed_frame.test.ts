import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type AnnDataStream, writeAnnData } from "../../../lib/data/anndata/write.js";
import { openCells } from "../../../lib/data/open/open_cells.js";
import type { StreamedFrame } from "../../../lib/data/sources/cell_frame.js";
import type { Column, FrameRows } from "../../../lib/data/sources/frame.js";
import { framesOf } from "../../../lib/data/sources/frames.js";
import { python, runPython } from "../../imputation/python.js";
import { nodeProgram } from "../../node_program.js";
import { columnValues, denseAll, failure, temporaryFolder } from "../support.js";

const GENES = ["Sox2", "Pax6", "Actb"];
const LABELS = ["A", "B"];
const nameOf = (row: number) => `cell ${"é".repeat(row % 3)}${row}`;
const depthOf = (row: number) => 1000 + row;
const labelOf = (row: number) => (row % 3) - 1;

const range = (first: number, end: number) => Array.from({ length: end - first }, (_, i) => first + i);
/** The columns of these rows. */
const columnsOf = (rows: readonly number[]) =>
  new Map<string, Column>([
    ["depth", { kind: "numbers", values: Int32Array.from(rows, depthOf) }],
    [
      "type",
      {
        kind: "categories",
        codes: Int32Array.from(rows, labelOf),
        categories: { kind: "strings", values: LABELS },
        ordered: false,
      },
    ],
  ]);

/** A table of so many cells, made some at a time. */
function table(length: number): StreamedFrame {
  return {
    length,
    indexName: "barcode",
    columns: columnsOf([]),
    rows: (first, end) => ({
      index: range(first, end).map(nameOf),
      columns: columnsOf(range(first, end)),
    }),
  };
}

/** Rows of X in blocks: gene row % 3 has the count row % 5 + 1. */
function* blocks(cells: number, atOnce: number) {
  for (let first = 0; first < cells; first += atOnce) {
    const count = Math.min(atOnce, cells - first);
    yield {
      X: {
        offsets: Int32Array.from({ length: count + 1 }, (_, i) => i),
        columns: Int32Array.from({ length: count }, (_, i) => (first + i) % 3),
        values: Float32Array.from({ length: count }, (_, i) => ((first + i) % 5) + 1),
      },
    };
  }
}

function contents(cells: number, atOnce: number, obs: StreamedFrame = table(cells)): AnnDataStream {
  return {
    obs,
    var: { index: GENES, indexName: "_index", columns: new Map() },
    matrices: { X: { kind: "csr", type: "float32" } },
    rows: blocks(cells, atOnce),
  };
}

describe.each(["h5ad", "zarr"])("a table of cells that is made while .%s is written", (ending) => {
  it.each([
    [0, 4],
    [1, 4],
    [7, 3],
    [70_000, 66_000],
    [140_000, 30_000],
  ])("has the rows that were given (%i cells, %i at a time)", async (cells, atOnce) => {
    const path = join(temporaryFolder(), `cells.${ending}`);
    await writeAnnData(path, contents(cells, atOnce));
    using source = await openCells(path);
    const { obs } = await framesOf(source);
    const rows = Array.from({ length: cells }, (_, row) => row);
    expect(obs.indexName).toBe("barcode");
    expect(obs.index).toEqual(rows.map(nameOf));
    const type = obs.columns.get("type");
    expect(await columnValues(source, "depth")).toEqual(rows.map(depthOf));
    expect(type?.kind === "categories" && [...type.codes]).toEqual(rows.map(labelOf));
    expect(type).toMatchObject({ categories: { values: LABELS } });
    if (cells > 100) return;
    expect(await denseAll(source)).toEqual(
      rows.map((row) => GENES.map((_, gene) => (gene === row % 3 ? (row % 5) + 1 : 0))),
    );
  });

  it("is refused where its rows do not fit the cells", async () => {
    const path = join(temporaryFolder(), `cells.${ending}`);
    const good = table(6);
    for (const rows of [
      () => ({ index: ["a"], columns: new Map() }),
      (first: number, end: number) => ({ ...good.rows(first, end), columns: new Map() }),
    ]) {
      const error = await failure(() => writeAnnData(path, contents(6, 2, { ...good, rows })));
      expect(error.code).toBe("DATA_SHAPE");
    }
    const depths = (column: Column) => (first: number, end: number) => {
      const { index, columns } = good.rows(first, end) as FrameRows;
      return { index, columns: new Map([...columns, ["depth", column]]) };
    };
    for (const column of [
      { kind: "numbers", values: new Float32Array(6) },
      { kind: "booleans", values: new Uint8Array(6) },
      { kind: "numbers", values: new Int32Array(6), missing: Uint8Array.of(0, 0, 1, 0, 0, 0) },
    ] as const) {
      const error = await failure(() =>
        writeAnnData(path, contents(6, 2, { ...good, rows: depths(column) })),
      );
      expect(error.message).toContain('"depth" has rows of another type');
      expect(error.code).toBe("DATA_SHAPE");
    }
    const added = { ...contents(6, 2), addedObs: () => new Map() };
    expect((await failure(() => writeAnnData(path, added))).code).toBe("ARGUMENT_CONFLICT");
    const columns = new Map<string, Column>([["_index", { kind: "numbers", values: new Int32Array(0) }]]);
    const untyped = { ...good, columns: new Map([["depth", { kind: "numbers", type: "int32" }]]) } as never;
    expect((await failure(() => writeAnnData(path, contents(6, 2, untyped)))).code).toBe("ARGUMENT_TYPE");
    const named = await failure(() => writeAnnData(path, contents(6, 2, { ...good, columns })));
    expect(named.code).toBe("ARGUMENT_NAME");
  });
});

it.skipIf(python === undefined)("h5py reads names that were streamed", async () => {
  const path = join(temporaryFolder(), "cells.h5ad");
  await writeAnnData(path, contents(40_000, 7000));
  const program =
    "import h5py, json, sys; o = h5py.File(sys.argv[1])['obs']; print(json.dumps([o['barcode'].asstr()[[0, 1, 2, 39999]].tolist(), int(o['depth'][39999]), o.attrs['_index']]))";
  expect(runPython(program, path)).toEqual([[0, 1, 2, 39_999].map(nameOf), depthOf(39_999), "barcode"]);
});

it("memory does not grow with the number of cells", async () => {
  const child = await nodeProgram(new URL("streamed_memory.ts", import.meta.url));
  const grown = [200_000, 2_000_000].map((cells) => {
    const path = join(temporaryFolder(), "cells.h5ad");
    const words = ["--expose-gc", "--max-old-space-size=100", ...child];
    const { status, stdout, stderr } = spawnSync(process.execPath, [...words, path, String(cells)], {
      encoding: "utf8",
    });
    expect(`${status} ${stderr}`).toBe("0 ");
    return Number(stdout);
  });
  // Held at once, the names alone of the further cells would take 90 MB.
  expect((grown[1] ?? 0) - (grown[0] ?? 0)).toBeLessThan(20e6);
});
