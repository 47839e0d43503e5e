import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { arrow } from "../../../lib/data/arrow/format.js";
import { parquet } from "../../../lib/data/parquet/parquet.js";
import type { OpenOptions } from "../../../lib/data/sources/cells.js";
import type { CellSource } from "../../../lib/data/sources/source.js";

const folder = new URL("../../fixtures/tahoe/", import.meta.url).pathname;
const expected = JSON.parse(readFileSync(`${folder}expected.json`, "utf8")) as {
  cells: [number, number][][];
  ids: string[];
  drug: (string | null)[];
  dose: (number | null)[];
  control: boolean[];
  ensembl: string[];
};
const LISTS = [
  "snappy.parquet",
  "zstd_pages_v2.parquet",
  "gzip_plain.parquet",
  "brotli_pages_v2.parquet",
  "lz4_checksums.parquet",
  "small_pages.parquet",
  "delta.parquet",
  "missing_lists.parquet",
  "large_int32.parquet",
  "whole_expressions.parquet",
  "stream.arrow",
  "file.arrow",
  "coded.arrow",
  "coded_file.arrow",
  "views_file.arrow",
  "large.arrow",
  "lz4.arrow",
  "zstd_file.arrow",
];
const WIDE = ["wide.parquet", "wide.arrow", "zstd_wide.arrow"];

function openCells(path: string, options: OpenOptions = {}): Promise<CellSource> {
  return (path.endsWith(".arrow") ? arrow : parquet).open(path, options);
}

async function cellsOf(source: CellSource, rows: Int32Array): Promise<[number, number][][]> {
  const { offsets, columns, counts } = await source.read(rows);
  return Array.from(rows, (_, i) =>
    Array.from({ length: offsets[i + 1]! - offsets[i]! }, (_, k) => {
      const place = offsets[i]! + k;
      return [columns[place]!, counts[place]!] as [number, number];
    }),
  );
}

const all = Int32Array.from(expected.cells.keys());

describe.each([...LISTS, ...WIDE])("%s", (name) => {
  it("gives the cells, names and genes that went in", async () => {
    using source = await openCells(folder + name);
    expect(source.cellCount).toBe(expected.cells.length);
    expect(source.genes.map(({ id }) => id)).toEqual(expected.ensembl);
    expect(await cellsOf(source, all)).toEqual(expected.cells);
    expect(await source.cellIds(all)).toEqual(expected.ids);
    expect(source.notes).toEqual([]);
  });

  it("gives rows in any order, repeats included", async () => {
    using source = await openCells(folder + name);
    const rows = Int32Array.of(29, 0, 7, 7, 13, 4, 28);
    expect(await cellsOf(source, rows)).toEqual(Array.from(rows, (row) => expected.cells[row]));
    expect(await source.cellIds(rows)).toEqual(Array.from(rows, (row) => expected.ids[row]));
  });

  it("cuts itself into parts that cover all rows", async () => {
    using source = await openCells(folder + name);
    const bounds = [...source.partBounds];
    expect(bounds[0]).toBe(0);
    expect(bounds.at(-1)).toBe(source.cellCount);
    expect(bounds).toEqual([...new Set(bounds)].sort((a, b) => a - b));
  });
});

describe.each(LISTS)("metadata of %s", (name) => {
  it("is typed and tells missing values", async () => {
    using source = await openCells(folder + name);
    expect(source.metadataColumns).toEqual([
      { name: "drug", kind: "text" },
      { name: "dose", kind: "number" },
      { name: "control", kind: "boolean" },
    ]);
    const table = await source.metadata();
    const column = (label: string): unknown[] => [...table.getChild(label)!];
    expect(column("drug")).toEqual(expected.drug);
    expect(column("dose")).toEqual(expected.dose);
    expect(column("control")).toEqual(expected.control);
    const some = await source.metadata({ columns: ["drug"], rows: Int32Array.of(20, 6, 1) });
    expect([...some.getChild("drug")!]).toEqual([20, 6, 1].map((row) => expected.drug[row]));
  });
});

describe("cells by tokens", () => {
  it("take a table of genes from elsewhere, symbols as identifiers if asked for", async () => {
    const geneTable = `${folder}gene_metadata.parquet`;
    using source = await openCells(`${folder}snappy.parquet`, { geneTable, geneColumn: "gene_symbol" });
    expect(source.genes[3]).toEqual({ id: "Gene3", aliases: [expected.ensembl[3]] });
    expect(source.genes[9]?.id).toBe("Gene8-1");
    expect(source.notes[0]).toContain("Gene8");
  });

  it("take names from a vocabulary in JSON", async () => {
    using source = await openCells(`${folder}snappy.parquet`, { geneTable: `${folder}vocab.json` });
    expect(source.genes.map(({ id }) => id)).toEqual(expected.ensembl);
  });

  it("are refused where the table of genes does not have a token", async () => {
    const geneTable = `${folder}partial_vocab.json`;
    using source = await openCells(`${folder}snappy.parquet`, { geneTable });
    await expect(source.read(all)).rejects.toMatchObject({ code: "DATA_UNKNOWN_TOKEN", place: { row: 7 } });
  });
});

describe("a wide table", () => {
  it("takes columns of numbers that describe cells for metadata, others as told", async () => {
    using source = await openCells(`${folder}wide.parquet`, { metadataColumns: [expected.ensembl[0]!] });
    expect(source.genes[0]?.id).toBe(expected.ensembl[1]);
    expect(source.metadataColumns).toEqual([
      { name: "drug", kind: "text" },
      { name: expected.ensembl[0], kind: "number" },
      { name: "n_genes", kind: "number" },
    ]);
  });
});

it("a table of genes is not taken for cells", async () => {
  await expect(openCells(`${folder}gene_metadata.parquet`)).rejects.toMatchObject({
    code: "DATA_FORMAT",
    message: expect.stringContaining("a table of genes and their tokens, not of cells"),
  });
});
