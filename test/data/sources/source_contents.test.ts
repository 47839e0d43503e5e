import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Hdf5Writer } from "../../../lib/data/hdf5/writer/writer.js";
import { openCells } from "../../../lib/data/open/open_cells.js";
import { summarise } from "../../../lib/data/report/summary.js";
import { summaryText } from "../../../lib/data/report/summary_text.js";
import { leftOutNote } from "../../../lib/data/sources/source_contents.js";
import { subsetSource } from "../../../lib/data/sources/subset.js";
import { fixture, temporaryFolder, zarrFixture } from "../support.js";

/** An AnnData file of one cell and gene with embeddings and an empty group. */
async function embedded(): Promise<string> {
  const path = join(temporaryFolder(), "embedded.h5ad");
  const writer = await Hdf5Writer.create(path);
  for (const [table, name] of [
    ["obs", "c0"],
    ["var", "Xkr4"],
  ] as const) {
    await writer.group(`/${table}`, { _index: "_index", "column-order": [] });
    await writer.dataset(`/${table}/_index`, "string", [1], [name]);
  }
  await writer.dataset("/X", "float32", [1, 1], Float32Array.of(3));
  await writer.group("/obsm", {});
  await writer.group("/varp", {});
  for (const name of ["X_pca", "X_umap"])
    await writer.dataset(`/obsm/${name}`, "float32", [1, 2], Float32Array.of(1, 2));
  await writer.group("/obsp", {});
  await writer.dataset("/obsp/distances", "float32", [1, 1], Float32Array.of(0));
  await writer.close();
  return path;
}

/** A zarr store with an embedding. */
function embeddedStore(): string {
  const path = join(temporaryFolder(), "embedded.zarr");
  cpSync(zarrFixture("v3_sharded.zarr"), path, {
    recursive: true,
  });
  mkdirSync(join(path, "obsm", "X_pca"), { recursive: true });
  for (const group of ["obsm", "obsm/X_pca"]) {
    const document = { zarr_format: 3, node_type: "group", attributes: {} };
    writeFileSync(join(path, group, "zarr.json"), JSON.stringify(document));
  }
  return path;
}

describe("what a file holds beside its counts", () => {
  it("are the columns of the table of genes, each with an example, layers and raw", async () => {
    using source = await openCells(fixture("csr"));
    expect(source.contents).toEqual({
      geneColumns: [
        { name: "_index", example: "Xkr4" },
        { name: "gene_ids", example: "ENSMUSG00000000000" },
        { name: "length", example: "0" },
      ],
      anndata: {
        layers: ["counts"],
        raw: true,
        unread: [
          { name: "layers", members: ["counts"] },
          { name: "raw", members: [] },
          { name: "uns", members: ["study"] },
        ],
      },
    });
  });

  it("is shown in a summary", async () => {
    using source = await openCells(fixture("csr"));
    const summary = await summarise(source);
    expect(summary.geneNames).toEqual(["Xkr4", "Sox17", "Rp1", "Mrpl15", "Lypla1"]);
    expect(summary).toMatchObject({ anndata: { layers: ["counts"], raw: true } });
    const text = summaryText(summary);
    for (const line of [
      "genes: Xkr4, Sox17, Rp1, Mrpl15, Lypla1",
      "  gene_ids: ENSMUSG00000000000, ...",
      "layers (--layer): counts",
      "raw matrix (--raw): yes",
      "not read: layers (counts), raw, uns (study)",
    ])
      expect(text.split("\n")).toContain(line);
  });

  it("of several files is what any of them holds", async () => {
    using source = await openCells([await embedded(), fixture("csr")]);
    expect(source.contents?.geneColumns.map(({ name }) => name)).toEqual(["_index", "gene_ids", "length"]);
    expect(source.contents?.anndata?.unread).toEqual([
      { name: "obsm", members: ["X_pca", "X_umap"] },
      { name: "obsp", members: ["distances"] },
      { name: "layers", members: ["counts"] },
      { name: "raw", members: [] },
      { name: "uns", members: ["study"] },
    ]);
  });
});

describe("what is written nowhere", () => {
  it("is named: embeddings of .h5ad and zarr, layers and X beside the matrix chosen", async () => {
    using file = await openCells(await embedded());
    expect(leftOutNote(file)).toMatch(/not in the output: obsm \(X_pca, X_umap\), obsp \(distances\)$/);
    using store = await openCells(embeddedStore());
    expect(leftOutNote(store)).toMatch(/not in the output: X, obsm \(X_pca\)$/);
    using layer = await openCells(fixture("csr"), { layer: "counts" });
    expect(leftOutNote(layer)).toMatch(/not in the output: X, raw, uns \(study\)$/);
    using some = subsetSource(layer, Int32Array.of(1));
    expect(leftOutNote(some)).toBe(leftOutNote(layer));
  });

  it("is nothing of files that hold no more than is read", async () => {
    const path = join(temporaryFolder(), "cells.csv");
    writeFileSync(path, "cell,A,B\nx,1,2\n");
    using source = await openCells(path);
    expect(leftOutNote(source)).toBeUndefined();
    expect(source.contents).toEqual({ geneColumns: [{ name: "_index", example: "A" }] });
  });
});
