import fc from "fast-check";
import { expect, it } from "vitest";
import { splitCells } from "../../../lib/data/select/split.js";
import { MemorySource } from "../../../lib/data/sources/memory.js";
import { failure } from "../support.js";

function cells(ids: readonly string[], drugs: readonly string[] = []): MemorySource {
  return new MemorySource({
    name: "cells",
    ids,
    genes: [],
    offsets: new Int32Array(ids.length + 1),
    geneColumns: new Int32Array(0),
    counts: new Float32Array(0),
    metadata: drugs.length === 0 ? {} : { drug: drugs },
    notes: [],
  });
}

const MANY = Array.from({ length: 20_000 }, (_, i) => `cell-${i}`);

it("every cell is on one side, in order", async () => {
  const ids = fc.array(fc.string({ maxLength: 3 }), { maxLength: 60 });
  const fraction = fc.double({ min: 0, max: 0.999, noNaN: true });
  await fc.assert(
    fc.asyncProperty(ids, fraction, fc.nat(), async (names, share, seed) => {
      const { train, validation } = await splitCells(cells(names), { fraction: share, seed });
      expect([...train, ...validation].sort((a, b) => a - b)).toEqual([...names.keys()]);
      for (const side of [train, validation]) expect([...side].sort((a, b) => a - b)).toEqual([...side]);
      if (share === 0) expect(validation).toHaveLength(0);
      else if (names.length >= 2) expect(Math.min(train.length, validation.length)).toBeGreaterThan(0);
    }),
  );
});

it("each side of a few cells has one that expresses a gene, and training the only one", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }),
      fc.double({ min: 0.01, max: 0.99, noNaN: true }),
      fc.nat(),
      async (expressed, fraction, seed) => {
        const offsets = Int32Array.from([
          0,
          ...expressed.map((_, i) => expressed.slice(0, i + 1).filter(Boolean).length),
        ]);
        const counts = new Float32Array(offsets.at(-1)!).fill(1);
        const source = new MemorySource({
          name: "cells",
          ids: expressed.map((_, i) => `c${i}`),
          genes: [{ id: "Sox2", aliases: [] }],
          offsets,
          geneColumns: new Int32Array(counts.length),
          counts,
          metadata: {},
          notes: [],
        });
        const { train, validation } = await splitCells(source, { fraction, seed });
        const usable = (rows: Int32Array) => [...rows].filter((row) => expressed[row]).length;
        if (counts.length > 0) expect(usable(train)).toBeGreaterThan(0);
        if (counts.length > 1) expect(usable(validation)).toBeGreaterThan(0);
      },
    ),
  );
});

it("the share held out is the fraction asked for", async () => {
  for (const fraction of [0.02, 0.1, 0.5, 0.9]) {
    const { validation } = await splitCells(cells(MANY), { fraction });
    // Five standard deviations of a binomial.
    const spread = 5 * Math.sqrt(MANY.length * fraction * (1 - fraction));
    expect(Math.abs(validation.length - MANY.length * fraction)).toBeLessThan(spread);
  }
});

it("a cell stays on its side whatever comes after it, and a larger fraction only adds cells", async () => {
  const few = await splitCells(cells(MANY.slice(0, 5000)));
  const all = await splitCells(cells(MANY));
  expect([...all.validation].filter((row) => row < 5000)).toEqual([...few.validation]);
  const more = new Set((await splitCells(cells(MANY), { fraction: 0.3 })).validation);
  expect([...all.validation].every((row) => more.has(row))).toBe(true);
});

it("the split is the same every time and differs between seeds", async () => {
  const first = await splitCells(cells(MANY), { seed: 1 });
  expect(await splitCells(cells(MANY), { seed: 1 })).toEqual(first);
  const second = new Set((await splitCells(cells(MANY), { seed: 2 })).validation);
  const shared = [...first.validation].filter((row) => second.has(row)).length;
  expect(shared / first.validation.length).toBeLessThan(0.2);
});

it("cells of the same name are told apart by row", async () => {
  const { validation } = await splitCells(cells(new Array<string>(5000).fill("same")));
  expect(validation.length).toBeGreaterThan(350);
  expect(validation.length).toBeLessThan(650);
});

it("fractions and seeds out of range are refused", async () => {
  for (const options of [
    { fraction: -0.1 },
    { fraction: 1 },
    { fraction: Number.NaN },
    { seed: -1 },
    { seed: 0.5 },
  ]) {
    expect((await failure(() => splitCells(cells(MANY), options))).code).toBe("ARGUMENT_RANGE");
  }
});

it("a group can be held out by a condition", async () => {
  const source = cells(["a", "b", "c", "d"], ["x", "y", "x", "z"]);
  const { train, validation } = await splitCells(source, { where: "drug = 'x'" });
  expect([...train]).toEqual([1, 3]);
  expect([...validation]).toEqual([0, 2]);
});
