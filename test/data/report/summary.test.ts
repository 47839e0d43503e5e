import { Table, vectorFromArray } from "apache-arrow";
import { expect, it } from "vitest";
import { openCells } from "../../../lib/data/open/open_cells.js";
import { ColumnCounter } from "../../../lib/data/report/column_counter.js";
import { RunningQuantiles } from "../../../lib/data/report/quantiles.js";
import { summarise } from "../../../lib/data/report/summary.js";
import { summaryText } from "../../../lib/data/report/summary_text.js";
import { fixture } from "../support.js";

it("a summary counts what is in the file", async () => {
  using source = await openCells(fixture("csr"), { layer: "counts" });
  const summary = await summarise(source);
  expect(summary).toMatchObject({
    cells: 6,
    genes: 5,
    counts: 13,
    density: 13 / 30,
    emptyCells: 1,
    silentGenes: 0,
    wholeNumbers: true,
    notes: [],
  });
  // Expressed genes: 2, 2, 3, 1, 0, 5; total counts: 4, 9, 7, 9, 0, 10.
  expect(summary.genesPerCell).toEqual({ min: 0, q25: 1.25, median: 2, q75: 2.75, max: 5, mean: 13 / 6 });
  expect(summary.countsPerCell).toEqual({ min: 0, q25: 4.75, median: 8, q75: 9, max: 10, mean: 6.5 });
  expect(summary.genesPerCellHistogram.map(({ cells }) => cells)).toEqual([1, 1, 2, 1, 0, 1]);
  // 1 1 1 | 2 2 2 2 2 2 | 3 5 | 7 9
  expect(summary.countValues.map(({ share }) => Math.round(share * 13))).toEqual([3, 6, 2, 2, 0, 0]);
});

it("columns of metadata show their values, their range and what is missing", async () => {
  using source = await openCells(fixture("csr"), { layer: "counts" });
  const columns = new Map((await summarise(source)).columns.map((column) => [column.name, column]));
  expect(columns.get("cell_type")).toEqual({
    name: "cell_type",
    kind: "text",
    missing: 0,
    distinct: 2,
    top: [
      { value: "neuron", cells: 4 },
      { value: "glia", cells: 2 },
    ],
  });
  expect(columns.get("stage")).toMatchObject({ missing: 1, distinct: 2 });
  expect(columns.get("score")).toMatchObject({ missing: 1, range: { min: 0.5, max: 5.5 } });
  expect(columns.get("genes")).toMatchObject({ missing: 0, range: { min: 0, max: 50 } });
  expect(columns.get("note")?.top).toHaveLength(5);
});

it("the text says the same, skipped cells and notes included", async () => {
  using source = await openCells(fixture("csr"));
  const text = summaryText(await summarise(source));
  expect(text).toContain("6 cells x 5 genes, 13 counts above 0 (43.3% of the matrix)");
  expect(text).toContain("cells without an expressed gene (skipped in training): 1");
  expect(text).toContain("cell_type: 2 values: neuron 4, glia 2");
  expect(text).toContain("stage: 2 values, 1 missing: late 3, early 2");
  expect(text).toContain("counts are not whole numbers");
  expect(text).toContain("(not whole numbers)");
});

it("quantiles of many cells are near those of all", () => {
  const spread = new RunningQuantiles();
  const count = 200_000;
  for (let i = 0; i < count; i++) spread.add((i * 7919) % count);
  const { min, q25, median, q75, max, mean } = spread.quantiles();
  expect([min, max]).toEqual([0, count - 1]);
  expect(mean).toBeCloseTo((count - 1) / 2, 6);
  // Five standard errors of a quartile of 65,536 uniform numbers: 5 sqrt(0.25 * 0.75 / 65,536).
  for (const [found, share] of [
    [q25, 0.25],
    [median, 0.5],
    [q75, 0.75],
  ] as const) {
    expect(Math.abs(found / count - share)).toBeLessThan(0.01);
  }
});

it("a column of very many values is counted to a limit", () => {
  const counter = new ColumnCounter({ name: "id", kind: "text" });
  for (let part = 0; part < 3; part++) {
    const values = Array.from({ length: 6000 }, (_, i) => `cell ${6000 * part + i}`);
    counter.add(new Table({ id: vectorFromArray(values) }));
  }
  expect(counter.result()).toMatchObject({ distinct: 10_000, manyValues: true, missing: 0 });
});

it("a summary is plain data", async () => {
  using source = await openCells(fixture("layout_07"));
  const summary = await summarise(source);
  expect(JSON.parse(JSON.stringify(summary))).toEqual(summary);
});
