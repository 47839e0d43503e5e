import fc from "fast-check";
import { expect, it } from "vitest";
import { SpilledWords } from "../../../lib/data/io/spilled_words.js";
import { CompactRows, CompactRowsWriter } from "../../../lib/data/sources/compact_rows.js";

interface Entry {
  readonly row: number;
  readonly column: number;
  readonly value: number;
}

const ROWS = 9;
const entry = fc.record({
  row: fc.nat({ max: ROWS - 2 }),
  column: fc.nat({ max: 5 }),
  value: fc.integer({ min: -4, max: 9 }),
});

async function compact(batches: readonly (readonly Entry[])[], memoryEntries: number) {
  const writer = new CompactRowsWriter(memoryEntries);
  for (const batch of batches) {
    await writer.add({
      rows: Int32Array.from([...batch.map(({ row }) => row), 99]),
      columns: Int32Array.from([...batch.map(({ column }) => column), 99]),
      values: Float32Array.from([...batch.map(({ value }) => value), 99]),
      count: batch.length,
    });
  }
  return writer.finish(ROWS);
}

function sameWords(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((word, i) => word === b[i]);
}

/** Each row's entries in the order they came in. */
function expected(entries: readonly Entry[], rows: readonly number[]): number[][][] {
  return rows.map((row) =>
    entries.filter((found) => found.row === row).map(({ column, value }) => [column, value]),
  );
}

it("entries in any order come back by rows, each row's in the order they came in, wherever they are kept", async () => {
  const batches = fc.array(fc.array(entry, { maxLength: 12 }), { maxLength: 6 });
  const wanted = fc.array(fc.nat({ max: ROWS - 1 }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(
      batches,
      fc.boolean(),
      fc.integer({ min: 1, max: 60 }),
      wanted,
      async (given, sort, memory, rows) => {
        const all = sort ? [given.flat().sort((a, b) => a.row - b.row)] : given;
        using matrix = await compact(all, memory);
        expect(matrix.onDisk).toBe(all.flat().length > memory);
        const { offsets, columns, values } = await matrix.read(Int32Array.from(rows));
        const found = rows.map((_, i) =>
          Array.from(columns.subarray(offsets[i], offsets[i + 1]), (column, at) => [
            column,
            values[offsets[i]! + at],
          ]),
        );
        expect(found).toEqual(expected(all.flat(), rows));
      },
    ),
    { numRuns: 200 },
  );
});

it("a list of words is the same in memory and in a file, over many blocks", async () => {
  const words = Int32Array.from({ length: 2_500_000 }, (_, i) => (i * 2_654_435_761) | 0);
  for (const memoryWords of [words.length, 1000]) {
    using spool = new SpilledWords(memoryWords);
    await spool.append(words.subarray(0, 700_001));
    await spool.append(words.subarray(700_001));
    expect(spool.onDisk).toBe(memoryWords === 1000);
    expect(sameWords(await spool.read(1_048_570, 2_097_160), words.subarray(1_048_570, 2_097_160))).toBe(
      true,
    );
    let at = 0;
    for await (const piece of spool.pieces(3)) {
      expect(sameWords(piece, words.subarray(at, at + piece.length))).toBe(true);
      at += piece.length;
    }
    expect(at).toBe(words.length);
  }
});

it("lists together keep to one limit of memory, which disposal frees again", async () => {
  const words = new Int32Array(1 << 23).fill(7);
  const fill = async (count: number): Promise<boolean[]> => {
    const spools = Array.from({ length: count }, () => new SpilledWords(Number.POSITIVE_INFINITY));
    try {
      for (const spool of spools) await spool.append(words);
      expect((await spools.at(-1)!.read(words.length - 1, words.length))[0]).toBe(7);
      return spools.map((spool) => spool.onDisk);
    } finally {
      for (const spool of spools) spool[Symbol.dispose]();
    }
  };
  expect(await fill(5)).toEqual([false, false, false, false, true]);
  expect(await fill(4)).toEqual([false, false, false, false]);
});

it("reading after disposal is an error", async () => {
  const matrix = await compact([[{ row: 0, column: 0, value: 1 }]], 10);
  matrix[Symbol.dispose]();
  await expect(matrix.read(Int32Array.of(0))).rejects.toThrow("DATA_CLOSED");
});

it.each([
  ["in memory", 1000],
  ["in a temporary file", 0],
])(
  "rows %s can be read from what they share, also after they are gone themselves",
  async (_, memoryEntries) => {
    const entries = [
      { row: 3, column: 1, value: 2 },
      { row: 0, column: 4, value: 5 },
      { row: 3, column: 0, value: 7 },
    ];
    const rows = await compact([entries], memoryEntries);
    expect(rows.onDisk).toBe(memoryEntries === 0);
    const shared = structuredClone(rows.share());
    using other = await CompactRows.from(shared);
    rows[Symbol.dispose]();
    const { offsets, columns, values } = await other.read(Int32Array.of(3, 1, 0));
    expect([[...offsets], [...columns], [...values]]).toEqual([
      [0, 2, 2, 3],
      [1, 0, 4],
      [2, 7, 5],
    ]);
    expect(() => rows.share()).toThrow(/DATA_CLOSED/);
  },
);

it("a temporary file that was closed is not taken for another that has its number now", async () => {
  const rows = await compact([[{ row: 0, column: 0, value: 1 }]], 0);
  const shared = rows.share();
  rows[Symbol.dispose]();
  using other = await compact([[{ row: 0, column: 0, value: 2 }]], 0);
  expect(other.onDisk).toBe(true);
  await expect(CompactRows.from(shared)).rejects.toThrow(/DATA_CLOSED/);
});
