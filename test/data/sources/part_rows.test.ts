import { describe, expect, it } from "vitest";
import { PartRowReader } from "../../../lib/data/sources/part_rows.js";

/** Parts of 3, 2 and 4 rows; row r has r % 3 counts. */
const BOUNDS = Float64Array.of(0, 3, 5, 9);

function readerOf() {
  const reads: number[] = [];
  const reader = new PartRowReader(BOUNDS, async (part) => {
    reads.push(part);
    const first = BOUNDS[part] as number;
    const rows = Array.from({ length: (BOUNDS[part + 1] as number) - first }, (_, i) => first + i);
    await new Promise((resolve) => setTimeout(resolve, 2));
    const lists = rows.map((row) => Array.from({ length: row % 3 }, (_, i) => [i, 10 * row + i] as const));
    const offsets = Int32Array.from([0, ...lists.map((_, i) => lists.slice(0, i + 1).flat().length)]);
    return {
      offsets,
      columns: Int32Array.from(lists.flat(), ([column]) => column),
      values: Float32Array.from(lists.flat(), ([, value]) => value),
      checked: true,
    };
  });
  return { reader, reads };
}

async function valuesOf(reader: PartRowReader, rows: number[]): Promise<number[][]> {
  const { offsets, values } = await reader.read(Int32Array.from(rows));
  return rows.map((_, i) => [...values.subarray(offsets[i], offsets[i + 1])]);
}

const expected = (rows: number[]) =>
  rows.map((row) => Array.from({ length: row % 3 }, (_, i) => 10 * row + i));

describe("rows of a source in parts", () => {
  it("come in the order asked for, repeats included", async () => {
    const { reader } = readerOf();
    for (const rows of [[8, 1, 1, 4, 0], [5, 6, 7, 8], [2, 1, 0], [3], []]) {
      expect(await valuesOf(reader, rows)).toEqual(expected(rows));
    }
  });

  it("are the caller's: what is done to them changes no later read", async () => {
    const { reader } = readerOf();
    for (const rows of [
      [5, 6, 7, 8],
      [6, 7],
      [0, 5, 6, 7, 8],
    ]) {
      for (let again = 0; again < 2; again++) {
        const raw = await reader.read(Int32Array.from(rows));
        expect(raw.owned).toBe(true);
        expect(await valuesOf(reader, rows)).toEqual(expected(rows));
        raw.values.fill(-1);
        raw.columns.fill(-1);
      }
      expect(await valuesOf(reader, rows)).toEqual(expected(rows));
    }
  });

  it("stay decoded up to a bound for all readers together", async () => {
    const counts = 5_900_000;
    const part = { columns: new Int32Array(counts), values: new Float32Array(counts), checked: true };
    const reads = new Array<number>(6).fill(0);
    const readers = reads.map(
      (_, i) =>
        new PartRowReader(Float64Array.of(0, 2), async () => {
          reads[i]!++;
          return { ...part, offsets: Int32Array.of(0, 1, counts) };
        }),
    );
    const row = Int32Array.of(0);
    for (const reader of readers) await reader.read(row);
    // The last four are kept: what is asked for again is the first.
    for (const reader of [...readers].reverse()) await reader.read(row);
    expect(reads).toEqual([2, 2, 1, 1, 1, 1]);
    for (const reader of readers) reader.forget();
    for (const reader of readers.slice(2)) await reader.read(row);
    expect(reads).toEqual([2, 2, 2, 2, 2, 2]);
    for (const reader of readers) reader.forget();
  });

  it("are right for everyone who asks for the same part at the same time", async () => {
    const { reader, reads } = readerOf();
    const wanted = [[5, 6, 7, 8], [6], [5, 6, 7, 8], [8, 7]];
    const all = await Promise.all(wanted.map((rows) => reader.read(Int32Array.from(rows))));
    expect(reads).toEqual([2]);
    for (const [i, { values }] of all.entries()) {
      expect([...values]).toEqual(expected(wanted[i]!).flat());
      values.fill(0);
    }
  });
});
