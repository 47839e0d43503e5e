import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openCells } from "../../lib/data/open/open_cells.js";
import { convertCells } from "../../lib/data/report/convert.js";
import { summarise } from "../../lib/data/report/summary.js";
import { SimulatedSource } from "../../lib/data/sources/simulated_source.js";
import type { CellSource } from "../../lib/data/sources/source.js";
import { temporaryFolder } from "./support.js";

let folder: string;
let path: string;
const allRows = (source: CellSource) => Int32Array.from({ length: source.cellCount }, (_, row) => row);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-loop-"));
  path = join(folder, "cells.h5ad");
  using source = new SimulatedSource({ cells: 4000, genes: 1000, seed: 1 });
  await convertCells(source, path);
});

afterAll(() => rm(folder, { recursive: true }));

const CALLS: readonly (readonly [string, (source: CellSource) => Promise<unknown>])[] = [
  ["all rows are read at once", (source) => source.read(allRows(source))],
  ["rows here and there are read", (source) => source.read(allRows(source).filter((row) => row % 10 === 0))],
  ["cells are summarised", (source) => summarise(source)],
  ["cells are written as .h5ad", (source) => convertCells(source, join(temporaryFolder(), "copy.h5ad"))],
  ["cells are written as shards", (source) => convertCells(source, join(temporaryFolder(), "shards"))],
];

it.each(CALLS)("the event loop goes round while %s", async (_, call) => {
  using source = await openCells(path);
  let rounds = 0;
  let counting = true;
  const count = (): void => {
    rounds++;
    if (counting) setImmediate(count);
  };
  setImmediate(count);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const start = performance.now();
  await call(source);
  const elapsed = performance.now() - start;
  counting = false;
  delay.disable();
  // Turns take 8 ms: a round each 100 ms is far from that, and far from one a call.
  expect(rounds).toBeGreaterThan(elapsed / 100);
  expect(rounds).toBeGreaterThan(3);
  expect(delay.max / 1e6).toBeLessThan(1000);
});
