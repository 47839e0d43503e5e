import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openRandomAccess } from "../../../lib/data/io/random_access_open.js";
import { ParquetFile } from "../../../lib/data/parquet/file.js";
import { decodeNumbers } from "../../../lib/native/data.js";

const folder = new URL("../../fixtures/tahoe/", import.meta.url).pathname;
const expected = JSON.parse(readFileSync(`${folder}expected.json`, "utf8")) as {
  cells: [number, number][][];
};

/** Expressions of some rows as they were written, the marker in front. */
function expressions(first: number, count: number): number[][] {
  return expected.cells.slice(first, first + count).map((cell) => [-2, ...cell.map(([, value]) => value)]);
}

async function readLists(file: ParquetFile, first: number, count: number): Promise<number[][]> {
  const leaf = file.footer.leaves.findIndex(({ path }) => path[0] === "expressions");
  // Rows of the file in rows of its row groups.
  const lists: number[][] = [];
  let start = 0;
  for (const [group, rows] of file.footer.rowGroups.rows.entries()) {
    const from = Math.max(first, start);
    const to = Math.min(first + count, start + rows);
    if (from < to) {
      const read = await file.readColumn(leaf, { group, first: from - start, count: to - from });
      const { values, offsets } = await file.native(decodeNumbers(read.column, read.rows, "float32"));
      for (let i = 0; i < to - from; i++) lists.push([...values.subarray(offsets[i], offsets[i + 1])]);
    }
    start += rows;
  }
  return lists;
}

describe.each(["small_pages.parquet", "zstd_pages_v2.parquet", "gzip_plain.parquet", "delta.parquet"])(
  "a column of %s",
  (name) => {
    it.each([0, 1 << 24])(
      "gives any run of rows, with columns up to %d bytes read whole",
      async (wholeColumn) => {
        const file = await ParquetFile.open(await openRandomAccess(folder + name), { wholeColumn });
        const property = fc.asyncProperty(
          fc.nat(29),
          fc.integer({ min: 1, max: 30 }),
          async (first, length) => {
            const count = Math.min(length, 30 - first);
            expect(await readLists(file, first, count)).toEqual(expressions(first, count));
          },
        );
        await fc.assert(property, { numRuns: 60 });
        file.close();
      },
    );
  },
);

describe("a Parquet file", () => {
  it("is refused where a page's contents do not fit its checksum", async () => {
    const file = await ParquetFile.open(await openRandomAccess(`${folder}lz4_checksums.parquet`));
    const chunk = file.footer.rowGroups.column(0, 0)!;
    const bytes = await file.readBytes(chunk.offset, chunk.bytes);
    const damaged = bytes.slice();
    damaged[bytes.length - 1]! ^= 1;
    const rows = { group: 0, first: 0, count: 12 };
    await expect(file.wholeColumn(0, rows, bytes)).resolves.toBeDefined();
    await expect(file.wholeColumn(0, rows, damaged)).rejects.toMatchObject({ code: "DATA_CORRUPT" });
    file.close();
  });

  it("says so when it is read after it was closed", async () => {
    const file = await ParquetFile.open(await openRandomAccess(`${folder}snappy.parquet`));
    file.close();
    const reading = file.readColumn(0, { group: 0, first: 0, count: 1 });
    await expect(reading).rejects.toMatchObject({ code: "DATA_CLOSED" });
  });
});
