import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { uniteGenes } from "../../../lib/data/genes/gene_union.js";
import { openCells, openSource } from "../../../lib/data/open/open_cells.js";
import { rowsWhere } from "../../../lib/data/select/where.js";
import type { Gene } from "../../../lib/data/sources/cells.js";
import { ConcatenatedSource } from "../../../lib/data/sources/concatenate.js";
import { MemorySource } from "../../../lib/data/sources/memory.js";
import {
  allIds,
  CELLS,
  COUNTS,
  columnValues,
  denseAll,
  denseRows,
  failure,
  fixture,
  temporaryFolder,
} from "../support.js";

const gene = (id: string, ...aliases: string[]): Gene => ({ id, aliases });

function source(
  name: string,
  genes: readonly Gene[],
  rows: readonly (readonly number[])[],
  metadata: Record<string, readonly string[] | Float64Array> = {},
): MemorySource {
  const stored = rows.map((row) => row.flatMap((count, column) => (count === 0 ? [] : [{ count, column }])));
  let end = 0;
  return new MemorySource({
    name,
    ids: rows.map((_, row) => `${name}${row}`),
    genes,
    offsets: Int32Array.from([0, ...stored.map((row) => (end += row.length))]),
    geneColumns: Int32Array.from(stored.flat(), ({ column }) => column),
    counts: Float32Array.from(stored.flat(), ({ count }) => count),
    metadata,
    notes: [],
  });
}

const three = () =>
  new ConcatenatedSource(
    [
      source(
        "a",
        [gene("A"), gene("B"), gene("C")],
        [
          [1, 2, 3],
          [0, 5, 0],
        ],
        { type: ["x", "y"], depth: Float64Array.of(6, 5) },
      ),
      source("b", [gene("D"), gene("C"), gene("A")], [[4, 0, 6]], { type: ["z"] }),
      source(
        "c",
        [gene("A"), gene("B"), gene("C")],
        [
          [0, 0, 9],
          [7, 0, 0],
        ],
        { depth: Float64Array.of(9, 7), batch: ["p", "q"] },
      ),
    ],
    "three",
  );
/** Over the genes A, B, C, D. */
const DENSE = [
  [1, 2, 3, 0],
  [0, 5, 0, 0],
  [6, 0, 0, 4],
  [0, 0, 9, 0],
  [7, 0, 0, 0],
];

describe("several sources as one", () => {
  it("have the cells of all over the union of their genes", async () => {
    using all = three();
    expect(all.genes.map(({ id }) => id)).toEqual(["A", "B", "C", "D"]);
    expect(await denseAll(all)).toEqual(DENSE);
    expect(await allIds(all)).toEqual(["a0", "a1", "b0", "c0", "c1"]);
    expect([...all.partBounds]).toEqual([0, 2, 3, 5]);
  });

  it("give any rows in any order, repeats included", async () => {
    using all = three();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 4 }), { maxLength: 10 }), async (rows) => {
        expect(await denseRows(all, rows)).toEqual(rows.map((row) => DENSE[row]));
      }),
      { numRuns: 60 },
    );
  });

  it("have the metadata columns of all, without a value where a source has none", async () => {
    using all = three();
    expect(all.metadataColumns).toEqual([
      { name: "type", kind: "text" },
      { name: "depth", kind: "number" },
      { name: "batch", kind: "text" },
    ]);
    expect(await columnValues(all, "type")).toEqual(["x", "y", "z", null, null]);
    expect(await columnValues(all, "depth")).toEqual([6, 5, null, 9, 7]);
    expect([...(await rowsWhere(all, "depth > 5 or batch = 'q'"))]).toEqual([0, 3, 4]);
    expect((await failure(() => all.metadata({ columns: ["none"] }))).code).toBe("DATA_MISSING_COLUMN");
  });

  it("take a column for text that is text in one of them", async () => {
    using all = new ConcatenatedSource(
      [
        source("a", [gene("A")], [[1]], { batch: Float64Array.of(3) }),
        source("b", [gene("A")], [[1]], { batch: ["three"] }),
      ],
      "two",
    );
    expect(await columnValues(all, "batch")).toEqual(["3", "three"]);
  });

  it("are opened again from their descriptor", async () => {
    using all = three();
    using again = await openSource(structuredClone(all.descriptor()));
    expect(await denseAll(again)).toEqual(DENSE);
    expect((await failure(() => all.read(Int32Array.of(5)))).code).toBe("ARGUMENT_RANGE");
  });

  it("say what they do not have in common", () => {
    using all = three();
    expect(all.notes).toEqual([
      "4 genes together, 2 of them in all 2 lists of genes",
      "a: 1 of the genes are not in it, 1 of its genes are in no other: B",
      "b: 1 of the genes are not in it, 1 of its genes are in no other: D",
    ]);
  });
});

describe("genes of several sources", () => {
  it("are the same by identifier, without Ensembl version, and by other names", () => {
    const { genes, columns } = uniteGenes([
      { name: "a", genes: [gene("ENSG00000000003.4", "TSPAN6"), gene("Sox2")] },
      { name: "b", genes: [gene("ENSG00000000003.15"), gene("Pax6")] },
      { name: "c", genes: [gene("TSPAN6"), gene("Pax6", "ENSG00000007372")] },
    ]);
    expect(genes.map(({ id }) => id)).toEqual(["ENSG00000000003.4", "Sox2", "Pax6"]);
    expect(columns.map((own) => own && [...own])).toEqual([
      [0, 1],
      [0, 2],
      [0, 2],
    ]);
    expect(genes[2]?.aliases).toEqual(["ENSG00000007372"]);
  });

  it("that could be one or another, or are there twice, stay genes of their own", () => {
    const { genes, columns } = uniteGenes([
      { name: "a", genes: [gene("A", "Same"), gene("B", "Same")] },
      { name: "b", genes: [gene("Same"), gene("ENSG00000000003.1"), gene("ENSG00000000003.2")] },
      { name: "c", genes: [gene("ENSG00000000003.1"), gene("ENSG00000000003.2")] },
    ]);
    expect(new Set(genes.map(({ id }) => id)).size).toBe(genes.length);
    for (const [i, own] of columns.entries()) {
      expect(new Set(own).size).toBe([2, 3, 2][i]);
    }
  });

  it("of one list need no other columns", () => {
    const genes = [gene("A"), gene("B")];
    const { columns, notes } = uniteGenes([1, 2, 3].map((i) => ({ name: `${i}`, genes: [...genes] })));
    expect(columns).toEqual([undefined, undefined, undefined]);
    expect(notes).toEqual([]);
  });
});

describe("openCells", () => {
  function shards(): string {
    const folder = temporaryFolder();
    for (const name of ["s1", "s2"]) copyFileSync(fixture("dense_compressed"), join(folder, `${name}.h5ad`));
    writeFileSync(join(folder, "README.md"), "| a | table |\n|---|---|\n| 1 | 2 |\n");
    writeFileSync(join(folder, "vocab.json"), "{}");
    return folder;
  }
  const twice = [...COUNTS, ...COUNTS];

  it("opens a folder of files, a pattern and a list of paths as one source", async () => {
    const folder = shards();
    for (const path of [
      folder,
      join(folder, "s*.h5ad"),
      [join(folder, "s1.h5ad"), join(folder, "s2.h5ad")],
    ]) {
      using source = await openCells(path);
      expect(await denseAll(source)).toEqual(twice);
      expect(await allIds(source)).toEqual([...CELLS, ...CELLS]);
    }
    using one = await openCells(join(folder, "s1*"));
    expect(one.cellCount).toBe(6);
  });

  it("says what a folder holds that has no cells, and what no file fits", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "notes.bin"), "\x00\x01");
    const error = await failure(() => openCells(folder));
    expect(error.code).toBe("DATA_FORMAT");
    expect(error.message).toContain("a folder without files of cells (notes.bin)");
    expect((await failure(() => openCells(join(folder, "*.h5ad")))).message).toContain(
      "no file fits this pattern",
    );
    mkdirSync(join(folder, "empty"));
    expect((await failure(() => openCells(join(folder, "empty")))).message).toContain("an empty folder");
  });

  it("closes the files that are open where one fails", async () => {
    const folder = shards();
    writeFileSync(join(folder, "s3.h5ad"), Buffer.from("\x89HDF\r\n\x1a\nrest", "latin1"));
    expect((await failure(() => openCells(folder))).place.file).toBe(join(folder, "s3.h5ad"));
  });

  it("takes a path for itself that is there, whatever its characters", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "cells[1].h5ad");
    copyFileSync(fixture("dense_compressed"), path);
    using source = await openCells(path);
    expect(source.cellCount).toBe(6);
  });
});
