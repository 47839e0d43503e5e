import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openCells } from "../../../lib/data/open/open_cells.js";
import { summarise } from "../../../lib/data/report/summary.js";
import { realFile } from "../support.js";

const NEURONS = realFile("neurons10k.h5ad");
const BLOOD = realFile("pbmc68k_reduced.h5ad");

describe.skipIf(!existsSync(NEURONS))("10,000 mouse brain cells", () => {
  it("have the size, the sparsity and the duplicated gene that their description says", async () => {
    using source = await openCells(NEURONS);
    const summary = await summarise(source);
    expect(summary).toMatchObject({ cells: 10_000, genes: 1000, counts: 691_914, wholeNumbers: true });
    expect(summary.genesPerCell.mean).toBeCloseTo(69.19, 2);
    expect(summary.emptyCells).toBeGreaterThan(0);
    expect(summary.notes).toHaveLength(1);
    expect(new Set(source.genes.map((gene) => gene.id)).size).toBe(1000);
    expect(source.genes.every((gene) => gene.aliases.some((alias) => alias.startsWith("ENSMUSG")))).toBe(
      true,
    );
  });

  it("scattered rows are the rows that a whole read gives", async () => {
    using source = await openCells(NEURONS);
    const all = await source.read(Int32Array.from({ length: 10_000 }, (_, row) => row));
    const rows = Int32Array.from({ length: 200 }, (_, i) => (i * 7919) % 10_000);
    const some = await source.read(rows);
    for (const [i, row] of rows.entries()) {
      const [start, end] = [all.offsets[row]!, all.offsets[row + 1]!];
      expect(some.counts.subarray(some.offsets[i], some.offsets[i + 1])).toEqual(
        all.counts.subarray(start, end),
      );
      expect(some.columns.subarray(some.offsets[i], some.offsets[i + 1])).toEqual(
        all.columns.subarray(start, end),
      );
    }
  });
});

describe.skipIf(!existsSync(BLOOD))("700 human blood cells", () => {
  it("come with ten types", async () => {
    using source = await openCells(BLOOD);
    const summary = await summarise(source);
    expect(summary).toMatchObject({ cells: 700, genes: 765, counts: 174_400, emptyCells: 0 });
    expect(summary.columns.find((column) => column.name === "bulk_labels")).toMatchObject({
      distinct: 10,
      missing: 0,
    });
  });
});
