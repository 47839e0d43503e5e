import fc from "fast-check";
import { expect, it } from "vitest";
import { openDense } from "../../../lib/data/anndata/dense.js";
import { Hdf5File } from "../../../lib/data/hdf5/file.js";
import type { StoredArray } from "../../../lib/data/hierarchy.js";
import { fixture } from "../support.js";

it("tiles of any chunks give the rows of a matrix without zeros, each chunk looked at once", async () => {
  using file = await Hdf5File.open(fixture("dense"));
  const cases = fc.record({
    rows: fc.integer({ min: 1, max: 12 }),
    columns: fc.nat({ max: 9 }),
    chunk: fc.option(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 4 })), {
      nil: undefined,
    }),
    keepsChunks: fc.boolean(),
    wanted: fc.array(fc.nat(), { maxLength: 20 }),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ rows, columns, chunk, keepsChunks, wanted }) => {
      const value = (row: number, column: number): number => (row * 7 + column * 3) % 4;
      const seen: string[] = [];
      const array: StoredArray = {
        path: "/X",
        shape: [rows, columns],
        kind: "float",
        elementBytes: 4,
        chunkShape: chunk,
        async numbers(first, end, span = { first: 0, end: columns }) {
          const [high, wide] = chunk ?? [1, columns];
          for (let row = Math.floor(first / high); row * high < end; row++)
            for (let column = Math.floor(span.first / wide); column * wide < span.end; column++)
              seen.push(`${row} ${column}`);
          const width = span.end - span.first;
          return Float32Array.from({ length: (end - first) * width }, (_, i) =>
            value(first + Math.floor(i / width), span.first + (i % width)),
          );
        },
        strings: () => Promise.reject(new Error("no text")),
        checkClaim: async () => undefined,
      };
      const owner = Object.assign(Object.create(file), { keepsChunks });
      const matrix = openDense(owner, array, { rows, columns });
      const asked = Int32Array.from(wanted, (row) => row % rows);
      const raw = await matrix.read(asked);
      const found = Array.from(asked, (_, i) =>
        Array.from(raw.columns.subarray(raw.offsets[i], raw.offsets[i + 1]), (column, at) => [
          column,
          raw.values[(raw.offsets[i] ?? 0) + at],
        ]),
      );
      const expected = Array.from(asked, (row) =>
        Array.from({ length: columns }, (_, column) => [column, value(row, column)]).filter(
          ([, v]) => v !== 0,
        ),
      );
      expect(found).toEqual(expected);
      expect(new Set(seen).size).toBe(seen.length);
    }),
    { numRuns: 300 },
  );
});

it("rows and columns of a chunked dataset are found", async () => {
  using file = await Hdf5File.open(fixture("dense_compressed"));
  const array = await file.array("/X");
  const [rows = 0, columns = 0] = array.shape;
  const whole = [...(await array.numbers(0, rows))];
  for (let first = 0; first < columns; first++) {
    for (let end = first; end <= columns; end++) {
      const expected = [1, 2, 3].flatMap((row) => whole.slice(row * columns + first, row * columns + end));
      expect([...(await array.numbers(1, 4, { first, end }))]).toEqual(expected);
    }
  }
});
