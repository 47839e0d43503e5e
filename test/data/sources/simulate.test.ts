import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { writeH5ad } from "../../../lib/data/anndata/h5ad_write.js";
import { openCells, openSource } from "../../../lib/data/open/open_cells.js";
import { summarise } from "../../../lib/data/report/summary.js";
import { MemorySource } from "../../../lib/data/sources/memory.js";
import { simulateCells } from "../../../lib/data/sources/simulate.js";
import { SimulatedSource } from "../../../lib/data/sources/simulated_source.js";
import type { SimulateOptions } from "../../../lib/data/sources/simulation.js";
import { allIds, columnValues, denseAll, denseRows, failure, temporaryFolder } from "../support.js";

const SMALL = { cells: 300, genes: 60, seed: 5 } as const;

function dense(options: SimulateOptions): Promise<number[][]> {
  return denseAll(new MemorySource(simulateCells(options).cells));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

it("the same seed gives the same cells, another seed other ones", () => {
  expect(simulateCells(SMALL)).toEqual(simulateCells(SMALL));
  expect(simulateCells({ ...SMALL, seed: 6 }).cells.counts).not.toEqual(simulateCells(SMALL).cells.counts);
});

it("a cell does not depend on how many others there are", async () => {
  expect(await dense({ ...SMALL, cells: 40 })).toEqual((await dense(SMALL)).slice(0, 40));
});

it("at the defaults a cell expresses 100 to 300 genes", async () => {
  const { genesPerCell, emptyCells } = await summarise(new MemorySource(simulateCells().cells));
  expect(genesPerCell.q25).toBeGreaterThan(100);
  expect(genesPerCell.q75).toBeLessThan(300);
  expect(emptyCells).toBe(0);
});

describe("counts follow their expectation", () => {
  const options = { cells: 4000, genes: 20, types: 2, programmes: 2, dropoutMidpoint: 0, seed: 3 } as const;

  it.each([0, 0.15, 1])(
    "mean and variance are those of a negative binomial with dispersion %f",
    async (dispersion) => {
      const { truth } = simulateCells({ ...options, dispersion });
      const counts = await dense({ ...options, dispersion });
      const residuals: number[] = [];
      const squares: number[] = [];
      for (const [cell, row] of counts.entries()) {
        for (const [gene, count] of row.entries()) {
          const expected = truth.expected[cell * 20 + gene]!;
          const deviation = Math.sqrt(expected + dispersion * expected ** 2);
          residuals.push((count - expected) / deviation);
          squares.push(((count - expected) / deviation) ** 2);
        }
      }
      // 80,000 standardised residuals: mean 0 and variance 1.
      expect(Math.abs(mean(residuals))).toBeLessThan(0.02);
      expect(Math.abs(mean(squares) - 1)).toBeLessThan(0.1);
    },
  );

  it("expected counts of a cell add up to its library size", () => {
    const { truth, cells } = simulateCells(options);
    const sizes = cells.metadata.library_size as Float64Array;
    for (const cell of [0, 17, 3999]) {
      const total = truth.expected
        .subarray(cell * 20, (cell + 1) * 20)
        .reduce((sum, value) => sum + value, 0);
      expect(total / sizes[cell]!).toBeCloseTo(1, 5);
    }
  });
});

it("dropout loses half of the counts at its midpoint and few of the large ones", async () => {
  const options = { cells: 3000, genes: 40, dispersion: 0, seed: 9 } as const;
  const { truth } = simulateCells(options);
  const counts = (await dense({ ...options, dropoutMidpoint: 5 })).flat();
  const near = { kept: 0, all: 0 };
  const far = { kept: 0, all: 0 };
  for (const [at, count] of counts.entries()) {
    const expected = truth.expected[at]!;
    const group = expected > 4.9 && expected < 5.1 ? near : expected > 100 ? far : undefined;
    if (group === undefined) continue;
    group.all++;
    if (count > 0) group.kept++;
  }
  expect(near.all).toBeGreaterThan(200);
  expect(Math.abs(near.kept / near.all - 0.5)).toBeLessThan(0.12);
  expect(far.kept / far.all).toBeGreaterThan(0.97);
});

it("types and programmes explain counts that each gene's own mean does not", async () => {
  const { cells, truth } = simulateCells({ cells: 1500, genes: 100, seed: 1 });
  const counts = await denseAll(new MemorySource(cells));
  const sizes = cells.metadata.library_size as Float64Array;
  const logs = counts.map((row, cell) => row.map((count) => Math.log1p((count * 400) / sizes[cell]!)));
  let [byGene, byType, byTruth] = [0, 0, 0];
  for (let gene = 0; gene < 100; gene++) {
    const overall = mean(logs.map((row) => row[gene]!));
    const means = Array.from({ length: 6 }, (_, type) =>
      mean(logs.filter((_row, cell) => truth.types[cell] === type).map((row) => row[gene]!)),
    );
    for (const [cell, row] of logs.entries()) {
      const value = row[gene]!;
      byGene += (value - overall) ** 2;
      byType += (value - means[truth.types[cell]!]!) ** 2;
      byTruth += (value - Math.log1p((truth.expected[cell * 100 + gene]! * 400) / sizes[cell]!)) ** 2;
    }
  }
  expect(byType / byGene).toBeLessThan(0.7);
  expect(byTruth / byGene).toBeLessThan(0.6);
});

it("simulated cells go through an .h5ad file unchanged", async () => {
  const path = join(temporaryFolder(), "simulated.h5ad");
  const { cells } = simulateCells(SMALL);
  using source = new MemorySource(cells);
  const X = {
    kind: "csr",
    offsets: cells.offsets,
    columns: cells.geneColumns,
    values: cells.counts,
  } as const;
  await writeH5ad(path, { obs: source.obs, var: source.var, X });
  using copy = await openCells(path);
  expect(await denseAll(copy)).toEqual(await denseAll(source));
  expect(await allIds(copy)).toEqual(cells.ids);
  expect(await columnValues(copy, "cell_type")).toEqual(cells.metadata.cell_type);
});

it("sizes out of range are refused by name", async () => {
  for (const options of [{ cells: 0 }, { genes: 7 }, { types: 1.5 }, { dispersion: -1 }, { seed: -1 }]) {
    const error = await failure(() => simulateCells(options));
    expect(error.code).toBe("ARGUMENT_RANGE");
    expect(error.place.argument).toBe(Object.keys(options)[0]);
  }
});

it("the same cells are drawn one by one when they are asked for", async () => {
  const { cells } = simulateCells(SMALL);
  using memory = new MemorySource(cells);
  using source = new SimulatedSource(SMALL);
  const rows = [299, 0, 7, 7, 120];
  expect(await denseRows(source, rows)).toEqual(await denseRows(memory, rows));
  expect(await allIds(source)).toEqual(cells.ids);
  expect(await columnValues(source, "cell_type")).toEqual(cells.metadata.cell_type);
  expect(await columnValues(source, "library_size")).toEqual([...cells.metadata.library_size!]);
  using again = await openSource(source.descriptor());
  expect(await denseRows(again, [5])).toEqual(await denseRows(memory, [5]));
});
