import { mkdirSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { openCells } from "../../../lib/data/open/open_cells.js";
import { convertCells } from "../../../lib/data/report/convert.js";
import { SimulatedSource } from "../../../lib/data/sources/simulated_source.js";
import { temporaryFolder } from "../support.js";

vi.mock("node:fs/promises", async (load) => {
  const real = await load<typeof import("node:fs/promises")>();
  return { ...real, readdir: vi.fn(real.readdir) };
});

it("a folder of folders, and those in it, are listed once", async () => {
  const folder = join(temporaryFolder(), "all");
  const within = join(folder, "within");
  mkdirSync(within, { recursive: true });
  // Else its folders might be the genomes of one sample, which looks into them.
  writeFileSync(join(folder, "0.md"), "");
  for (const name of ["a", "b"]) {
    using source = new SimulatedSource({ cells: 6, genes: 8, seed: 1 });
    await convertCells(source, join(within, name), { cellsPerFile: 2 });
  }
  vi.mocked(readdir).mockClear();
  using source = await openCells(folder);
  expect(source.cellCount).toBe(12);
  const listed = vi.mocked(readdir).mock.calls.map(([path]) => String(path));
  for (const path of [folder, within]) expect(listed.filter((each) => each === path)).toHaveLength(1);
});
