import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { openColumns } from "../../../lib/data/anndata/sparse.js";
import { Hdf5Array } from "../../../lib/data/hdf5/array.js";
import { Hdf5File } from "../../../lib/data/hdf5/file.js";
import { openCells } from "../../../lib/data/open/open_cells.js";
import { columnText, type Frame } from "../../../lib/data/sources/frame.js";
import { framesOf } from "../../../lib/data/sources/frames.js";
import { COUNTS, denseAll, denseRows, failure, fixture, SYMBOLS, temporaryFolder } from "../support.js";

function texts(frame: Frame, name: string): (string | undefined)[] {
  const column = frame.columns.get(name)!;
  return frame.index.map((_, row) => columnText(column, row));
}

it.each(["csr", "layout_07", "nullable_strings"])(
  "names of cells of %s.h5ad are not looked at beyond the rows asked for",
  async (name) => {
    using source = await openCells(fixture(name), { layer: "counts" }).catch(() => openCells(fixture(name)));
    const strings = vi.spyOn(Hdf5Array.prototype, "strings");
    try {
      await source.cellIds(Int32Array.of(4));
      expect(strings.mock.calls).toEqual([[4, 5]]);
    } finally {
      vi.restoreAllMocks();
    }
  },
);

it("raw has its own genes, with one more than X", async () => {
  using source = await openCells(fixture("csr"), { raw: true });
  expect(source.genes.map((gene) => gene.id)).toEqual([...SYMBOLS, "Extra"]);
  expect(await denseAll(source)).toEqual(COUNTS.map((row) => [...row, 1]));
});

it("values that are not whole numbers are read as they are and noted, with where the counts are", async () => {
  using source = await openCells(fixture("csr"));
  expect((await denseRows(source, [0]))[0]![0]).toBeCloseTo(Math.log(2), 6);
  expect(source.notes).toHaveLength(1);
  expect(source.notes[0]).toContain('0.6931 in cell "c0" (row 0), gene "Xkr4"');
  expect(source.notes[0]).toContain("Pass --layer counts");
});

it("columns of cells keep their types and missing values", async () => {
  using source = await openCells(fixture("csr"), { layer: "counts" });
  const { obs } = await framesOf(source);
  expect(texts(obs, "cell_type")).toEqual(["neuron", "glia", "neuron", "neuron", "glia", "neuron"]);
  expect(texts(obs, "stage")).toEqual(["late", "early", undefined, "late", "early", "late"]);
  expect(obs.columns.get("stage")).toMatchObject({ kind: "categories", ordered: true });
  expect(obs.columns.get("cell_type")).toMatchObject({ kind: "categories", ordered: false });
  expect(obs.columns.get("doublet")).toEqual({ kind: "booleans", values: Uint8Array.of(1, 0, 0, 0, 1, 0) });
  expect(obs.columns.get("genes")).toEqual({
    kind: "numbers",
    values: BigInt64Array.of(0n, 10n, 20n, 30n, 40n, 50n),
  });
  expect(obs.columns.get("score")).toEqual({
    kind: "numbers",
    values: Float64Array.of(0.5, 1.5, NaN, 3.5, 4.5, 5.5),
  });
  expect(texts(obs, "passes")).toEqual(["1", "2", undefined, "4", "5", "6"]);
  expect(texts(obs, "checked")).toEqual(["true", undefined, "false", "true", "true", "false"]);
  expect(texts(obs, "note")).toEqual(["first", "zweite Zelle", "", "ünïcode", "e", "f"]);
});

it("metadata is an Arrow table with categories as dictionaries", async () => {
  using source = await openCells(fixture("csr"), { layer: "counts" });
  const table = await source.metadata();
  expect(table.numRows).toBe(6);
  expect(table.getChild("stage")!.toJSON()).toEqual(["late", "early", null, "late", "early", "late"]);
  expect(String(table.getChild("cell_type")!.type)).toContain("Dictionary");
  expect(table.getChild("doublet")!.toJSON()).toEqual([true, false, false, false, true, false]);
  expect(table.getChild("passes")!.toJSON()).toEqual([1, 2, null, 4, 5, 6]);
  expect(table.getChild("genes")!.toJSON()).toEqual([0n, 10n, 20n, 30n, 40n, 50n]);
});

it("categories of AnnData 0.7 are found beside their column", async () => {
  using source = await openCells(fixture("layout_07"));
  const { obs } = await framesOf(source);
  expect(texts(obs, "cell_type")).toEqual(["neuron", "glia", "neuron", "neuron", "glia", "neuron"]);
  expect([...obs.columns.keys()]).toEqual(["cell_type", "genes"]);
});

it("missing text of AnnData 0.11 is missing", async () => {
  using source = await openCells(fixture("nullable_strings"));
  expect(texts((await framesOf(source)).obs, "donor")).toEqual(["d1", undefined, "d2", "d1", "d2", "d2"]);
});

it("identifiers beside the index become aliases, and can take its place", async () => {
  using source = await openCells(fixture("csr"), { layer: "counts" });
  expect(source.genes[1]).toEqual({ id: "Sox17", aliases: ["ENSMUSG00000000001"] });
  using other = await openCells(fixture("csr"), { layer: "counts", geneColumn: "gene_ids" });
  expect(other.genes[1]).toEqual({ id: "ENSMUSG00000000001", aliases: ["Sox17"] });
});

it("duplicated genes get AnnData's suffixes and a note, duplicated cells a note", async () => {
  using source = await openCells(fixture("duplicated_names"));
  // AnnData's var_names_make_unique on the same names.
  expect(source.genes.map((gene) => gene.id)).toEqual(["Rp1", "Sox17", "Rp1-2", "Rp1-1", "Rp1-3"]);
  expect(source.notes.join("\n")).toContain("Rp1 (now Rp1-2), Rp1 (now Rp1-3)");
  expect(source.notes.join("\n")).toContain("one cell name occurs more than once: c0");
  expect(await denseAll(source)).toEqual(COUNTS);
});

it("a gene stored twice in a cell is added up and noted; explicit zeros and disorder do not matter", async () => {
  using source = await openCells(fixture("bad_repeated_entries"));
  expect(await denseRows(source, [0, 1])).toEqual([
    [1, 0, 6, 0, 0],
    [0, 0, 0, 0, 7],
  ]);
  expect(source.notes).toEqual([
    'a gene is stored more than once in one cell, e.g. cell "c0" (row 0), gene "Rp1": its counts were added',
  ]);
});

it("a compressed-column matrix with more entries than are kept in memory gives the same rows", async () => {
  using file = await Hdf5File.open(fixture("csc"));
  const matrix = await openColumns(file, "/layers/counts", { rows: 6, columns: 5 }, 4);
  using compact = matrix.compact!;
  expect(compact.onDisk).toBe(true);
  for (const rows of [[5, 0, 3], [4], [2, 2, 1], [0, 1, 2, 3, 4, 5]]) {
    const raw = await matrix.read(Int32Array.from(rows));
    const found = rows.map((_, i) => {
      const dense = new Array<number>(5).fill(0);
      for (let at = raw.offsets[i]!; at < raw.offsets[i + 1]!; at++)
        dense[raw.columns[at]!] = raw.values[at]!;
      return dense;
    });
    expect(found).toEqual(rows.map((row) => COUNTS[row]));
  }
});

it("a file is known by its content, not by its name", async () => {
  const folder = temporaryFolder();
  copyFileSync(fixture("layout_07"), join(folder, "cells.csv"));
  using source = await openCells(join(folder, "cells.csv"));
  expect(await denseAll(source)).toEqual(COUNTS);
});

describe("what is no .h5ad", () => {
  it.each([
    ["an empty file", ""],
    ["a gzip file", "\x1f\x8brest"],
    ["a text file", "genes and cells\n1 2\n"],
    ["a binary file of an unknown kind", "\x00\x01\x02\x03\x04\x05\x06\x07\x08"],
  ])("%s is refused by what it is", async (what, content) => {
    const path = join(temporaryFolder(), "cells.h5ad");
    writeFileSync(path, Buffer.from(content, "latin1"));
    const error = await failure(() => openCells(path));
    expect(error.code).toBe("DATA_FORMAT");
    expect(error.message).toContain(`${path}: ${what}; supported are`);
  });

  it("a missing file and a folder are named", async () => {
    const folder = temporaryFolder();
    expect((await failure(() => openCells(join(folder, "none.h5ad")))).code).toBe("DATA_NOT_FOUND");
    expect((await failure(() => openCells(folder))).message).toContain("an empty folder");
  });
});

describe("wishes that a file cannot fulfil", () => {
  it("a missing layer names those there are", async () => {
    const error = await failure(() => openCells(fixture("csr"), { layer: "spliced" }));
    expect(error.code).toBe("DATA_MISSING_LAYER");
    expect(error.message).toContain('no layer "spliced"; it has counts');
  });

  it("a missing raw matrix and a missing gene column are named", async () => {
    expect((await failure(() => openCells(fixture("layout_07"), { raw: true }))).code).toBe(
      "DATA_MISSING_MATRIX",
    );
    const error = await failure(() => openCells(fixture("csr"), { geneColumn: "ensembl" }));
    expect(error.code).toBe("DATA_MISSING_COLUMN");
    expect(error.message).toContain("they have _index, gene_ids, length");
  });

  it("a row that is not there is refused", async () => {
    using source = await openCells(fixture("layout_07"));
    for (const row of [-1, 6])
      expect((await failure(() => source.read(Int32Array.of(row)))).code).toBe("ARGUMENT_RANGE");
  });

  it("a closed source says so", async () => {
    const source = await openCells(fixture("layout_07"));
    source[Symbol.dispose]();
    source[Symbol.dispose]();
    expect((await failure(() => source.read(Int32Array.of(0)))).code).toBe("DATA_CLOSED");
  });
});

it("a file with a block of the user's own before it is read as it is", async () => {
  const path = join(temporaryFolder(), "cells.h5ad");
  writeFileSync(path, Buffer.concat([Buffer.alloc(512, "x"), readFileSync(fixture("layout_07"))]));
  using source = await openCells(path);
  expect(await denseAll(source)).toEqual(COUNTS);
});
