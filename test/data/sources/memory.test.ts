import { expect, it } from "vitest";
import { openSource } from "../../../lib/data/open/open_cells.js";
import type { MemoryCells } from "../../../lib/data/sources/descriptor.js";
import { MemorySource } from "../../../lib/data/sources/memory.js";
import { subsetSource } from "../../../lib/data/sources/subset.js";
import { allIds, COUNTS, columnValues, denseAll, denseRows, failure } from "../support.js";

function cells(changes: Partial<MemoryCells> = {}): MemoryCells {
  const stored = COUNTS.map((row) => row.flatMap((count, gene) => (count === 0 ? [] : [{ gene, count }])));
  let end = 0;
  return {
    name: "test cells",
    ids: ["c0", "c1", "c2", "c3", "c4", "c5"],
    genes: ["A", "B", "C", "D", "E"].map((id) => ({ id, aliases: [] })),
    offsets: Int32Array.from([0, ...stored.map((row) => (end += row.length))]),
    geneColumns: Int32Array.from(stored.flat(), ({ gene }) => gene),
    counts: Float32Array.from(stored.flat(), ({ count }) => count),
    metadata: { type: ["x", "y", "x", "x", "y", "x"], depth: Float64Array.of(4, 9, 7, 9, 0, 10) },
    notes: ["made for a test"],
    ...changes,
  };
}

it("cells in memory are read like those of a file", async () => {
  using source = new MemorySource(cells());
  expect(await denseAll(source)).toEqual(COUNTS);
  expect(await denseRows(source, [5, 0, 0, 4])).toEqual([COUNTS[5], COUNTS[0], COUNTS[0], COUNTS[4]]);
  expect(await columnValues(source, "type")).toEqual(["x", "y", "x", "x", "y", "x"]);
  expect(await columnValues(source, "depth")).toEqual([4, 9, 7, 9, 0, 10]);
  expect(source.notes).toEqual(["made for a test"]);
});

it("reading does not change the cells", async () => {
  const disordered = cells({ geneColumns: Int32Array.of(2, 0, 1, 4, 0, 1, 4, 3, 0, 1, 2, 3, 4) });
  const before = structuredClone(disordered);
  using source = new MemorySource(disordered);
  expect(await denseRows(source, [0])).toEqual([[3, 0, 1, 0, 0]]);
  expect(disordered).toEqual(before);
});

it("bad counts are found when they are read", async () => {
  const counts = cells().counts.slice();
  counts[3] = -2;
  using source = new MemorySource(cells({ counts }));
  expect(await denseRows(source, [0])).toEqual([COUNTS[0]]);
  const error = await failure(() => source.read(Int32Array.of(1)));
  expect(error.code).toBe("DATA_NEGATIVE_COUNT");
  expect(error.message).toContain('test cells: cell "c1" (row 1), gene "E": -2');
});

it("arrays that do not fit together are refused", async () => {
  const wrong: Partial<MemoryCells>[] = [
    { ids: ["c0"] },
    { counts: new Float32Array(2) },
    { offsets: Int32Array.of(0, 2, 1, 7, 8, 8, 13) },
    { offsets: Int32Array.of(1, 2, 4, 7, 8, 8, 13) },
    { geneColumns: Int32Array.of(0, 2, 1, 5, 0, 1, 4, 3, 0, 1, 2, 3, 4) },
    { metadata: { type: ["x"] } },
  ];
  for (const changes of wrong) {
    expect((await failure(() => new MemorySource(cells(changes)))).code).toBe("DATA_SHAPE");
  }
});

it("duplicated genes are told apart and noted", () => {
  using source = new MemorySource(
    cells({ genes: ["A", "B", "A", "D", "E"].map((id) => ({ id, aliases: [] })) }),
  );
  expect(source.genes.map((gene) => gene.id)).toEqual(["A", "B", "A-1", "D", "E"]);
  expect(source.notes).toHaveLength(2);
});

it("a subset is a source of its own, and of a subset again", async () => {
  using source = new MemorySource(cells());
  const subset = subsetSource(source, Int32Array.of(5, 3, 0));
  expect(await denseAll(subset)).toEqual([COUNTS[5], COUNTS[3], COUNTS[0]]);
  expect(await allIds(subset)).toEqual(["c5", "c3", "c0"]);
  expect(await columnValues(subset, "depth")).toEqual([10, 9, 4]);
  const smaller = subsetSource(subset, Int32Array.of(1));
  expect(await denseAll(smaller)).toEqual([COUNTS[3]]);
  using again = await openSource(structuredClone(smaller.descriptor()));
  expect(await denseAll(again)).toEqual([COUNTS[3]]);
  expect((await failure(() => subset.read(Int32Array.of(3)))).code).toBe("ARGUMENT_RANGE");
  expect((await failure(() => subsetSource(source, Int32Array.of(6)))).code).toBe("ARGUMENT_RANGE");
});
