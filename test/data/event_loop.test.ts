import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { afterAll, beforeAll, expect, it } from "vitest";
import { tokenizeRows } from "../../lib/batching/index.js";
import { CellSummary } from "../../lib/counts/cell_summary.js";
import { DepthStatistics } from "../../lib/counts/depth_statistics.js";
import { openCells } from "../../lib/data/open/open_cells.js";
import { convertCells } from "../../lib/data/report/convert.js";
import { summarise } from "../../lib/data/report/summary.js";
import { SimulatedSource } from "../../lib/data/sources/simulated_source.js";
import type { CellSource } from "../../lib/data/sources/source.js";
import { layerRows } from "../../lib/imputation/layers.js";
import { CellTokenizer, CountTokens, GeneVocabulary } from "../../lib/tokenizer/index.js";
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

/** What training learns of some cells before its first step. */
async function learnSummary(source: CellSource): Promise<void> {
  const vocabulary = GeneVocabulary.from(source);
  const tokenizer = new CellTokenizer({ vocabulary, strategy: new CountTokens() });
  const { batch } = await tokenizeRows(source, tokenizer, allRows(source).subarray(0, 1000));
  const { panels } = tokenizer.map(source);
  const statistics = new DepthStatistics(vocabulary.size, panels);
  statistics.add(batch);
  await CellSummary.learn([batch], panels, statistics.base(), { seed: 0 });
}

/** A layer of as many cells as are held at a time. */
async function makeLayer({ genes }: CellSource): Promise<void> {
  const cells = 400;
  const entries = cells * genes.length;
  const denoised = {
    block: {
      rows: new Int32Array(cells),
      offsets: new Int32Array(cells + 1),
      columns: new Int32Array(0),
      counts: new Float32Array(0),
    },
    offsets: Int32Array.from({ length: cells + 1 }, (_, cell) => cell * genes.length),
    columns: Int32Array.from({ length: entries }, (_, i) => i % genes.length),
    mean: new Float64Array(entries).fill(0.5),
    shape: new Float64Array(entries).fill(2),
  };
  const isPredicted = new Uint8Array(genes.length).fill(1);
  for (const layer of ["high", "replicate"] as const)
    await layerRows(layer, denoised, { least: 0.01, isPredicted, seed: 0 });
}

const CALLS: readonly (readonly [string, (source: CellSource) => Promise<unknown>])[] = [
  ["all rows are read at once", (source) => source.read(allRows(source))],
  ["rows here and there are read", (source) => source.read(allRows(source).filter((row) => row % 10 === 0))],
  ["cells are summarised", (source) => summarise(source)],
  ["cells are written as .h5ad", (source) => convertCells(source, join(temporaryFolder(), "copy.h5ad"))],
  ["cells are written as shards", (source) => convertCells(source, join(temporaryFolder(), "shards"))],
  ["a file is opened", async () => (await openCells(path))[Symbol.dispose]()],
  ["it is learnt how cells are summed up", learnSummary],
  ["a layer of denoised cells is made", makeLayer],
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
