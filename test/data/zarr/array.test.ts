import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { ZarrFile } from "../../../lib/data/zarr/file.js";
import { temporaryFolder } from "../support.js";

const ROWS = 10;
const COLUMNS = 8;

/** A store with one array of 0, 1, 2, ... in chunks of 4 by 3, each chunk row by row or column by column. */
function store(transposed: boolean): string {
  const path = join(temporaryFolder(), "numbers.zarr");
  mkdirSync(join(path, "X", "c"), { recursive: true });
  const node = (place: string, document: object) =>
    writeFileSync(join(path, place, "zarr.json"), JSON.stringify({ zarr_format: 3, ...document }));
  const bytes = { name: "bytes", configuration: { endian: "little" } };
  const transpose = { name: "transpose", configuration: { order: [1, 0] } };
  node("", { node_type: "group", attributes: {} });
  node("X", {
    node_type: "array",
    shape: [ROWS, COLUMNS],
    data_type: "int32",
    chunk_grid: { name: "regular", configuration: { chunk_shape: [4, 3] } },
    chunk_key_encoding: { name: "default", configuration: { separator: "." } },
    fill_value: 0,
    codecs: transposed ? [transpose, bytes] : [bytes],
    attributes: {},
  });
  for (let high = 0; high * 4 < ROWS; high++) {
    for (let wide = 0; wide * 3 < COLUMNS; wide++) {
      const chunk = new Int32Array(12);
      for (let row = 0; row < 4; row++) {
        for (let column = 0; column < 3; column++)
          chunk[transposed ? column * 4 + row : row * 3 + column] =
            (high * 4 + row) * COLUMNS + wide * 3 + column;
      }
      writeFileSync(join(path, "X", `c.${high}.${wide}`), chunk);
    }
  }
  return path;
}

it.each([false, true])(
  "any rows and columns of a matrix in chunks are found (transposed: %s)",
  async (transposed) => {
    using file = await ZarrFile.open(store(transposed));
    const array = await file.array("/X");
    expect(array.chunkShape).toEqual([4, 3]);
    const span = (length: number) =>
      fc
        .tuple(fc.nat(length), fc.nat(length))
        .map(([a, b]) => ({ first: Math.min(a, b), end: Math.max(a, b) }));
    await fc.assert(
      fc.asyncProperty(span(ROWS), fc.option(span(COLUMNS), { nil: undefined }), async (rows, columns) => {
        const wanted = columns ?? { first: 0, end: COLUMNS };
        const expected: number[] = [];
        for (let row = rows.first; row < rows.end; row++)
          for (let column = wanted.first; column < wanted.end; column++)
            expected.push(row * COLUMNS + column);
        expect([...(await array.numbers(rows.first, rows.end, columns))]).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  },
);
