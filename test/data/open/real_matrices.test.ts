import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openCells } from "../../../lib/data/open/open_cells.js";
import type { CellBlock } from "../../../lib/data/sources/cells.js";
import { rowRange } from "../../../lib/data/sources/parts.js";
import { allIds, columnValues, realFile } from "../support.js";

const TENX = realFile("tenx_format");
const ZARR = realFile("pbmc68k_reduced.zarr.zip");
const BLOOD = realFile("pbmc68k_reduced.h5ad");

async function readWhole(
  path: string,
): Promise<{ block: CellBlock; ids: readonly string[]; genes: string[] }> {
  using source = await openCells(path);
  const block = await source.read(rowRange(0, source.cellCount));
  return { block, ids: await allIds(source), genes: source.genes.map(({ id }) => id) };
}

describe.skipIf(!existsSync(TENX))("files of Cell Ranger", () => {
  // Cells, genes, stored counts and their sum, as h5py and scipy read them.
  it.each([
    ["1.2.0/filtered_gene_bc_matrices", 12, 343, 12, 12],
    ["1.2.0/filtered_gene_bc_matrices/hg19_chr21", 12, 343, 12, 12],
    ["1.2.0/filtered_gene_bc_matrices_h5.h5", 12, 343, 12, 12],
    ["1.2.0/multiple_genomes.h5", 12, 343, 12, 13],
    ["3.0.0/filtered_feature_bc_matrix", 1107, 507, 23_866, 41_549],
    ["3.0.0/filtered_feature_bc_matrix.h5", 1107, 507, 23_866, 41_549],
    ["int-ids", 5, 6, 3, 8],
  ])("%s", async (name, cells, genes, stored, sum) => {
    const { block, ids, genes: names } = await readWhole(`${TENX}/${name}`);
    expect(ids).toHaveLength(cells);
    expect(names).toHaveLength(genes);
    expect(block.counts).toHaveLength(stored);
    expect(block.counts.reduce((total, count) => total + count, 0)).toBe(sum);
  });

  it("folder and HDF5 file of one sample hold the same cells", async () => {
    const folder = await readWhole(`${TENX}/3.0.0/filtered_feature_bc_matrix`);
    expect(await readWhole(`${TENX}/3.0.0/filtered_feature_bc_matrix.h5`)).toEqual(folder);
  });
});

describe.skipIf(!existsSync(ZARR) || !existsSync(BLOOD))("700 human blood cells in zarr", () => {
  it("are those of the .h5ad file: counts, names, genes and types", async () => {
    expect(await readWhole(ZARR)).toEqual(await readWhole(BLOOD));
    using zarr = await openCells(ZARR);
    using h5ad = await openCells(BLOOD);
    expect(await columnValues(zarr, "bulk_labels")).toEqual(await columnValues(h5ad, "bulk_labels"));
  });
});
