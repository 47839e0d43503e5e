import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { openCells } from "../../../lib/data/open/open_cells.js";
import { ConcatenatedSource } from "../../../lib/data/sources/concatenate.js";
import { rowRuns } from "../../../lib/data/sources/count_matrix.js";
import { rowRange } from "../../../lib/data/sources/parts.js";
import { subsetSource } from "../../../lib/data/sources/subset.js";
import { fixture, tahoeFolder } from "../support.js";

const fixtures = (name: string) => fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url));

/** Counts that were read of each row. */
async function lengths(
  path: string,
): Promise<{ readonly told: number[] | undefined; readonly read: number[] }> {
  using source = await openCells(path);
  const rows = rowRange(0, source.cellCount).reverse();
  const { offsets } = await source.read(rows);
  const told = source.storedCounts?.(rows);
  return { told: told && [...told], read: Array.from(rows, (_, i) => offsets[i + 1]! - offsets[i]!) };
}

describe("how many counts cells have", () => {
  it.each([
    fixture("csr"),
    fixture("csc"),
    fixtures("tenx/v2.h5"),
    fixtures("matrix_market/v3"),
    fixtures("delimited/cells.csv"),
  ])("is told without reading them: %s", async (path) => {
    const { told, read } = await lengths(path);
    expect(told).toEqual(read);
  });

  it.each([fixture("dense"), `${tahoeFolder}snappy.parquet`, `${tahoeFolder}stream.arrow`])(
    "is not told where they have to be read for it: %s",
    async (path) => {
      const { told, read } = await lengths(path);
      expect(told).toBeUndefined();
      expect(read.length).toBeGreaterThan(0);
    },
  );

  it("is told of several sources and some of their cells, as far as each of them tells", async () => {
    using csr = await openCells(fixture("csr"));
    using csc = await openCells(fixture("csc"));
    using dense = await openCells(fixture("dense"));
    const some = subsetSource(csc, Int32Array.of(5, 0));
    const known = new ConcatenatedSource([csr, some], "known");
    const rows = Int32Array.of(7, 0, 6, 5);
    expect([...(known.storedCounts(rows) ?? [])]).toEqual([2, 2, 5, 5]);
    const mixed = new ConcatenatedSource([csr, dense], "mixed");
    expect(mixed.storedCounts(rows)).toBeUndefined();
    expect([...(mixed.storedCounts(Int32Array.of(2)) ?? [])]).toEqual([3]);
  });

  it("is refused for rows that there are not", async () => {
    using csr = await openCells(fixture("csr"));
    expect(() => csr.storedCounts?.(Int32Array.of(6))).toThrow(/ARGUMENT_RANGE/);
  });
});

describe("rowRuns", () => {
  it("joins rows that are near, and those that are to be decoded together", () => {
    const rows = Int32Array.of(40, 0, 3, 90, 2);
    const runs = (joins?: (end: number, row: number) => boolean) =>
      rowRuns(rows, 1, 1000, joins).map(({ first, end }) => [first, end]);
    expect(runs()).toEqual([
      [0, 4],
      [40, 41],
      [90, 91],
    ]);
    expect(runs((end, row) => Math.floor((end - 1) / 50) === Math.floor(row / 50))).toEqual([
      [0, 41],
      [90, 91],
    ]);
  });
});
