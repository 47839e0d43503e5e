import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openCells, openSource } from "../../../lib/data/open/open_cells.js";
import type { OpenOptions } from "../../../lib/data/sources/cells.js";
import {
  allIds,
  CELLS,
  COUNTS,
  columnValues,
  denseAll,
  denseRows,
  failure,
  fixture,
  SYMBOLS,
  zarrFixture,
} from "../support.js";

/** One data set in all the ways in which AnnData may lie in a file; where X holds no counts, in the layer that does. */
interface Layout {
  readonly name: string;
  readonly path: string;
  readonly options: OpenOptions;
}

const COUNTS_LAYER = { layer: "counts" };
const h5ad = (name: string, options: OpenOptions = {}): Layout => ({
  name: `${name}.h5ad`,
  path: fixture(name),
  options,
});
const zarr = (name: string): Layout => ({ name, path: zarrFixture(name), options: COUNTS_LAYER });

const STORES = [
  "v2_csr.zarr",
  "v2_csr.zarr.zip",
  "v2_csc.zarr.zip",
  "v2_dense.zarr.zip",
  "v3_sharded.zarr",
  "v3_sharded.zarr.zip",
  "v3.zarr.zip",
  "v3_gzip.zarr.zip",
  "v3_blosc.zarr.zip",
].map(zarr);
const LAYOUTS = [
  h5ad("csr", COUNTS_LAYER),
  h5ad("csc", COUNTS_LAYER),
  h5ad("dense", COUNTS_LAYER),
  h5ad("dense_compressed"),
  h5ad("layout_07"),
  h5ad("unannotated"),
  h5ad("nullable_strings"),
  ...STORES,
];
/** Those whose tables have columns of every kind, and identifiers beside the genes' symbols. */
const DESCRIBED = [h5ad("csr", COUNTS_LAYER), ...STORES];

describe.each(LAYOUTS)("$name", ({ path, options }) => {
  it("gives every count, cell name and gene", async () => {
    using source = await openCells(path, options);
    expect(await denseAll(source)).toEqual(COUNTS);
    expect(await allIds(source)).toEqual(CELLS);
    expect(source.genes.map(({ id }) => id)).toEqual(SYMBOLS);
    expect(source.notes).toEqual([]);
  });

  it("gives any rows in any order, repeats included, and again from its description", async () => {
    using first = await openCells(path, options);
    using source = await openSource(structuredClone(first.descriptor()));
    expect(await denseAll(source)).toEqual(COUNTS);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 5 }), { maxLength: 12 }), async (rows) => {
        expect(await denseRows(source, rows)).toEqual(rows.map((row) => COUNTS[row]));
        expect(await source.cellIds(Int32Array.from(rows))).toEqual(rows.map((row) => CELLS[row]));
      }),
      { numRuns: 60 },
    );
  });

  it("gives the columns of some rows, in any order, as it gives them whole", async () => {
    using source = await openCells(path, options);
    const whole = (await source.metadata()).toArray().map((row) => row.toJSON());
    for (const rows of [[5, 0, 0, 3], [2], [], [4, 5]]) {
      const some = await source.metadata({ rows: Int32Array.from(rows) });
      const expected = whole.length === 0 ? [] : rows.map((row) => whole[row]);
      expect(some.toArray().map((row) => row.toJSON())).toEqual(expected);
    }
  });
});

describe.each(DESCRIBED)("$name", ({ path, options }) => {
  it("gives typed columns of cells with missing values, all rows or some", async () => {
    using source = await openCells(path, options);
    expect(source.genes[1]?.aliases).toEqual(["ENSMUSG00000000001"]);
    const types = ["neuron", "glia", "neuron", "neuron", "glia", "neuron"];
    expect(await columnValues(source, "cell_type")).toEqual(types);
    expect(await columnValues(source, "doublet")).toEqual([true, false, false, false, true, false]);
    expect((await columnValues(source, "genes")).map(Number)).toEqual([0, 10, 20, 30, 40, 50]);
    expect(await columnValues(source, "passes")).toEqual([1, 2, null, 4, 5, 6]);
    expect(await columnValues(source, "note")).toEqual(["first", "zweite Zelle", "", "ünïcode", "e", "f"]);
    const rows = Int32Array.of(5, 2, 2, 0);
    const some = await source.metadata({ columns: ["passes", "cell_type", "note"], rows });
    expect([...some.getChild("passes")!]).toEqual([6, null, null, 1]);
    expect([...some.getChild("cell_type")!]).toEqual(["neuron", "neuron", "neuron", "neuron"]);
    expect([...some.getChild("note")!]).toEqual(["f", "", "", "first"]);
    const kinds = new Map(source.metadataColumns.map((column) => [column.name, column.kind]));
    expect(kinds.get("cell_type")).toBe("text");
    expect(kinds.get("doublet")).toBe("boolean");
    expect(kinds.get("score")).toBe("number");
  });
});

describe.each([
  { ...h5ad("scaled"), layer: "raw_counts" },
  ...STORES.map((store) => ({ ...store, layer: "counts" })),
])("$name", ({ path, layer }) => {
  it("gives the layer of counts where X holds none, and says so, unless a matrix was chosen", async () => {
    using source = await openCells(path);
    expect(await denseAll(source)).toEqual(COUNTS);
    expect(source.notes).toEqual([`X holds no counts: the layer "${layer}" was taken; choose with --layer`]);
    using again = await openSource(structuredClone(source.descriptor()));
    expect(await denseAll(again)).toEqual(COUNTS);
    expect(again.notes).toEqual(source.notes);
    using chosen = await openCells(path, { layer });
    expect(chosen.notes).toEqual([]);
  });
});

it.each([h5ad("csr"), zarr("v2_csr.zarr")])("$name: layer and raw exclude each other", async ({ path }) => {
  const error = await failure(() => openCells(path, { layer: "counts", raw: true }));
  expect(error.code).toBe("ARGUMENT_CONFLICT");
});
