import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { Hdf5Writer } from "../../../lib/data/hdf5/writer/writer.js";
import { openCells } from "../../../lib/data/open/open_cells.js";
import { allIds, CELLS, failure, fixture, temporaryFolder } from "../support.js";

/** A folder with a.h5ad and, as b.csv, the cells of the names given. */
function folderOf(names: readonly string[]): string {
  const folder = temporaryFolder();
  copyFileSync(fixture("dense_compressed"), join(folder, "a.h5ad"));
  const lines = names.map((name) => `${name},1,2\n`).join("");
  writeFileSync(join(folder, "b.csv"), `cell,Xkr4,Sox17\n${lines}`);
  return folder;
}

const both = (folder: string): string[] => [join(folder, "a.h5ad"), join(folder, "b.csv")];

describe("what is named twice is read once, with a note", () => {
  it.each([
    ["a path twice", (folder: string) => [join(folder, "a.h5ad"), join(folder, "a.h5ad")]],
    ["another spelling of it", (folder: string) => [join(folder, "a.h5ad"), `${folder}/./a.h5ad`]],
    ["patterns that overlap", (folder: string) => [join(folder, "*.h5ad"), join(folder, "a*")]],
    ["a folder and a file in it", (folder: string) => [folder, join(folder, "a.h5ad")]],
    ["a link", (folder: string) => [join(folder, "a.h5ad"), join(folder, "link")]],
  ])("%s", async (_, paths) => {
    const folder = temporaryFolder();
    copyFileSync(fixture("dense_compressed"), join(folder, "a.h5ad"));
    if (_ === "a link") symlinkSync("a.h5ad", join(folder, "link"));
    using source = await openCells(paths(folder));
    expect(await allIds(source)).toEqual(CELLS);
    expect(source.notes[0]).toMatch(/^named more than once, read once: /);
  });

  it("a folder of a matrix and the matrix in it", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "s1");
    cpSync(fileURLToPath(new URL("../../fixtures/matrix_market/v3", import.meta.url)), path, {
      recursive: true,
    });
    using source = await openCells([join(path, "matrix.mtx.gz"), path]);
    expect(source.cellCount).toBe(6);
    expect(source.notes[0]).toContain(`read once: ${join(path, "matrix.mtx.gz")}`);
  });

  it("and among others", async () => {
    const folder = folderOf(["x", "y"]);
    using source = await openCells([...both(folder), join(folder, "a.h5ad")]);
    expect(await allIds(source)).toEqual([...CELLS, "x", "y"]);
    expect(source.notes[0]).toContain(`read once: ${join(folder, "a.h5ad")}`);
  });
});

describe("an option that no format takes", () => {
  const unused = (notes: readonly string[]) => notes.filter((note) => note.includes("is not used"));

  it("is noted, and one that some format takes is not", async () => {
    const folder = folderOf(["x", "y"]);
    const [h5ad = "", csv = ""] = both(folder);
    const options = { transpose: true, geneTable: "none.parquet", metadataColumns: [], raw: false };
    using one = await openCells(h5ad, options);
    expect(unused(one.notes)).toEqual([
      'the option "transpose" is not for AnnData (.h5ad), and is not used',
      'the option "gene table" is not for AnnData (.h5ad), and is not used',
    ]);
    using table = await openCells(csv, { transpose: false, genome: "hg19" });
    expect(unused(table.notes)).toEqual([
      'the option "genome" is not for tables of text (CSV, TSV), and is not used',
    ]);
    using several = await openCells([h5ad, csv], { transpose: false, genome: "hg19" });
    expect(unused(several.notes)).toEqual([
      'the option "genome" is not for AnnData (.h5ad), tables of text (CSV, TSV), and is not used',
    ]);
  });
});

describe("cell names that occur in several files", () => {
  it("are counted and noted, with the files that agree", async () => {
    const folder = folderOf(["c1", "c4", "x", "y"]);
    using source = await openCells(both(folder));
    expect(source.cellCount).toBe(10);
    const [a, b] = both(folder);
    expect(source.notes[0]).toContain(`2 cell names occur in more than one file: 2 in both ${a} and ${b};`);
    expect(source.notes[0]).toContain("held-out cells may then be trained on");
    expect(source.notes[0]).not.toContain("same cells");
  });

  it("look like the same cells where all of one file are in the other", async () => {
    const folder = folderOf(["c1", "c4"]);
    using source = await openCells(both(folder));
    const [a, b] = both(folder);
    expect(source.notes[0]).toContain(`all cells of ${b} are in ${a} (2): they look like the same cells`);
  });

  it("are not noted where they differ, or are no more than numbers of rows", async () => {
    using other = await openCells(both(folderOf(["x", "y"])));
    expect(other.notes.join()).not.toContain("more than one file");
    const folder = temporaryFolder();
    for (const name of ["a", "b"])
      writeFileSync(join(folder, `${name}.csv`), ",Xkr4,Sox17\n0,1,2\n1,3,4\n2,0,1\n");
    using numbered = await openCells(folder);
    expect(numbered.cellCount).toBe(6);
    expect(numbered.notes.join()).not.toContain("more than one file");
  });

  it("are looked for among the first cells of each where there are many", async () => {
    const folder = temporaryFolder();
    const many = Array.from({ length: 131_072 }, (_, i) => `cell-${i},1,2\n`).join("");
    writeFileSync(join(folder, "a.csv"), `cell,Xkr4,Sox17\n${many}`);
    writeFileSync(join(folder, "b.csv"), "cell,Xkr4,Sox17\ncell-5,1,2\ncell-65535,1,2\ncell-65536,1,2\n");
    using source = await openCells(folder);
    expect(source.notes[0]).toContain("2 cell names occur in more than one file (of the first 65536 cells");
  });
});

describe("files that go with others and hold no cells", () => {
  it("are passed over where a pattern fits them, and refused where they are named", async () => {
    const folder = temporaryFolder();
    copyFileSync(fixture("dense_compressed"), join(folder, "cells.h5ad"));
    writeFileSync(join(folder, "barcodes.tsv"), "c0\nc1\n");
    using source = await openCells(join(folder, "*"));
    expect(await allIds(source)).toEqual(CELLS);
    expect((await failure(() => openCells(join(folder, "barcodes.tsv")))).code).toBe("DATA_FORMAT");
    expect((await failure(() => openCells(join(folder, "bar*.tsv")))).code).toBe("DATA_FORMAT");
  });
});

describe("what is no file of cells", () => {
  it("is left out of a folder where it is another kind of HDF5, and refused where it is named", async () => {
    const folder = temporaryFolder();
    copyFileSync(fixture("dense_compressed"), join(folder, "cells.h5ad"));
    const other = join(folder, "molecule_info.h5");
    const writer = await Hdf5Writer.create(other);
    await writer.dataset("/barcode_idx", "int32", [2], Int32Array.of(0, 1));
    await writer.close();
    using source = await openCells(folder);
    expect(await allIds(source)).toEqual(CELLS);
    expect((await failure(() => openCells(other))).message).toContain("an HDF5 file but not AnnData");
  });

  it("is refused with the formats that files may have", async () => {
    const path = join(temporaryFolder(), "model.bin");
    writeFileSync(path, "\x00\x01");
    const { message } = await failure(() => openCells(path));
    expect(message).toContain("supported are Parquet, Arrow IPC, 10x HDF5");
    expect(message).not.toContain("address");
  });

  it("a pipe is refused with the advice to save it", async () => {
    const path = join(temporaryFolder(), "pipe");
    execFileSync("mkfifo", [path]);
    const error = await failure(() => openCells(path));
    expect(error.code).toBe("DATA_UNREADABLE");
    expect(error.message).toContain("it is a pipe, and only files can be read; save what it gives to a file");
  });
});
