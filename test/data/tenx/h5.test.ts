import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { openCells, openSource } from "../../../lib/data/open/open_cells.js";
import { allIds, CELLS, COUNTS, denseAll, denseRows, failure, SYMBOLS, temporaryFolder } from "../support.js";

const IDS = [0, 1, 2, 3, 4].map((i) => `ENSMUSG0000000000${i}`);

function tenx(name: string): string {
  return fileURLToPath(new URL(`../../fixtures/tenx/${name}.h5`, import.meta.url));
}

describe.each(["v2", "v3", "v3_genomes"])("%s.h5", (name) => {
  it("gives every count, cell name and gene with its symbol", async () => {
    using source = await openCells(tenx(name));
    expect(await denseAll(source)).toEqual(COUNTS);
    expect(await allIds(source)).toEqual(CELLS);
    expect(source.genes.map(({ id }) => id)).toEqual(IDS);
    expect(source.genes.map(({ aliases }) => aliases[0])).toEqual(SYMBOLS);
  });

  it("gives rows and names in any order, and again from its description", async () => {
    using first = await openCells(tenx(name));
    using source = await openSource(structuredClone(first.descriptor()));
    expect(await denseRows(source, [5, 0, 5, 2])).toEqual([5, 0, 5, 2].map((row) => COUNTS[row]));
    expect(await source.cellIds(Int32Array.of(4, 0, 4))).toEqual(["c4", "c0", "c4"]);
  });
});

it("features that are not gene expression are left out and counted", async () => {
  using source = await openCells(tenx("v3"));
  expect(source.notes).toEqual([
    'features that are not gene expression were left out: 1 x "Antibody Capture"',
  ]);
});

it("of several genomes the one with the most counts is taken, with a note", async () => {
  using source = await openCells(tenx("v2_genomes"));
  expect(source.genes.map(({ id }) => id)).toEqual(IDS);
  expect(source.notes).toHaveLength(1);
  expect(source.notes[0]).toContain("2 genomes (hg19, mm10): mm10 has the most counts");
});

it("a genome can be chosen in both versions", async () => {
  using old = await openCells(tenx("v2_genomes"), { genome: "hg19" });
  expect(await denseAll(old)).toEqual(COUNTS.map((row) => row.slice(0, 2).map((count) => 2 * count)));
  expect(old.notes).toEqual([]);
  using source = await openCells(tenx("v3_genomes"), { genome: "mm10" });
  expect(await denseAll(source)).toEqual(COUNTS.map((row) => row.slice(2)));
  expect(source.genes.map(({ id }) => id)).toEqual(IDS.slice(2));
});

it("the column of identifiers can be chosen", async () => {
  using source = await openCells(tenx("v3"), { geneColumn: "gene_symbols" });
  expect(source.genes[0]).toEqual({ id: "Xkr4", aliases: [IDS[0]] });
  const error = await failure(() => openCells(tenx("v3"), { geneColumn: "nothing" }));
  expect(error.code).toBe("DATA_MISSING_COLUMN");
  expect(error.message).toContain("gene_ids, gene_symbols, genome");
});

describe("each fault has its code and says where", () => {
  it.each([
    ["bad_shape", "DATA_SHAPE", "/mm10/indptr has 7 entries but its shape asks for 8"],
    ["bad_genes", "DATA_SHAPE", "/mm10/genes has 4 values for 5 features"],
    ["bad_barcodes", "DATA_SHAPE", "/mm10/barcodes has 5 values for 6 cells"],
    ["bad_index", "DATA_CORRUPT", "outside 0 to 4"],
    ["bad_absurd", "DATA_CORRUPT", "no shape of features by cells"],
    ["bad_no_genes", "DATA_MISSING_MATRIX", '5 x "Antibody Capture"'],
  ])("%s", async (name, code, text) => {
    const error = await failure(() => openCells(tenx(name)));
    expect(error.message).toContain(text);
    expect(error.code).toBe(code);
    expect(error.place.file).toBe(tenx(name));
  });

  it("an unknown genome", async () => {
    for (const name of ["v2_genomes", "v3_genomes"]) {
      const error = await failure(() => openCells(tenx(name), { genome: "rn6" }));
      expect(error.code).toBe("DATA_MISSING_GENOME");
      expect(error.message).toContain("it has hg19, mm10");
    }
  });

  it("a file that was cut short", async () => {
    const path = join(temporaryFolder(), "cells.h5");
    writeFileSync(path, readFileSync(tenx("v2")).subarray(0, 12_000));
    expect((await failure(() => openCells(path))).code).toBe("DATA_TRUNCATED");
  });
});
