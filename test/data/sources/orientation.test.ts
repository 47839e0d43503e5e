import { expect, it } from "vitest";
import { isTransposed } from "../../../lib/data/genes/orientation.js";

const named = (count: number, name: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => name(i));

/** Looks at a matrix of these names; also how many names of cells were read at most at a time. */
async function look(cells: readonly string[], genes: readonly string[]) {
  let read = 0;
  const isTurned = await isTransposed({
    genes: genes.map((id) => ({ id, aliases: [] })),
    cellCount: cells.length,
    cellIds: async (rows) => {
      read = Math.max(read, rows.length);
      return Array.from(rows, (row) => cells[row] ?? "");
    },
  });
  return { isTurned, read };
}

const common = ["MT-ND1", "RPS6", "RPL13"];

it("a matrix lies the other way round where its cells have names of genes and nothing says the contrary", async () => {
  const cells = named(5000, (i) => `cell_${i}`);
  const others = named(5000, (i) => `sequence ${i}`);
  expect(
    (
      await look(
        named(5000, (i) => `g${i}`),
        cells,
      )
    ).isTurned,
  ).toBe(true);
  expect((await look([...others, ...common], others)).isTurned).toBe(true);
  expect((await look(others, others)).isTurned).toBe(false);
  expect((await look(common, common)).isTurned).toBe(false);
  expect((await look([...cells, ...common], others)).isTurned).toBe(false);
});

it("where the first cells have names of cells no more names are read, and none where genes have those of genes", async () => {
  const cells = named(5000, (i) => `cell_${i}`);
  const genes = named(5000, (i) => `g${i}`);
  expect(await look(cells, genes)).toEqual({ isTurned: false, read: 1000 });
  expect(await look(cells, [...genes, ...common])).toEqual({ isTurned: false, read: 0 });
});
