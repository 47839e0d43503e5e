/**
 * How long the event loop stands still in public calls: the longest and the 99th percentile of how late a timer of one
 * millisecond comes (`monitorEventLoopDelay`), call by call; of 30,000 simulated cells by 2,000 genes, or of a file's.
 *
 *     npm run bench:event-loop -- [--data cells.h5ad] [call ...]
 *
 * Of the built package (`npm run build:ts`): a loader of TypeScript stops the loop by itself. A machine that does other work makes
 * them longer: beside them stands how late the timer came while nothing was called.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import {
  convertCells,
  Denoiser,
  GeneVocabulary,
  imputeFile,
  openCells,
  SimulatedSource,
  summarise,
  Trainer,
} from "../dist/index.js";

const { values, positionals: wanted } = parseArgs({
  options: { data: { type: "string" } },
  allowPositionals: true,
});
const folder = await mkdtemp(join(tmpdir(), "ddsc-loop-"));
const path = values.data ?? join(folder, "simulated.h5ad");
const csv = join(folder, "cells.csv");
const model = join(folder, "model");

/** Runs a call and prints how long the loop stood still. */
async function watch(name, call) {
  if (wanted.length > 0 && !wanted.includes(name)) return;
  await setTimeout(20);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const start = performance.now();
  await call();
  await setTimeout(5);
  delay.disable();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const [longest, p99] = [delay.max, delay.percentile(99)].map((ns) => (ns / 1e6).toFixed(0).padStart(5));
  process.stdout.write(`${name.padEnd(16)}${longest} ms longest  ${p99} ms p99  in ${seconds} s\n`);
}

/** A table of the first cells as text. */
async function writeCsv() {
  const { writeFile } = await import("node:fs/promises");
  const source = await openCells(path);
  const cells = Math.min(3000, source.cellCount);
  const rows = Int32Array.from({ length: cells }, (_, row) => row);
  const { offsets, columns, counts } = await source.read(rows);
  const lines = [["cell", ...source.genes.map(({ id }) => id)].join(",")];
  for (const row of rows) {
    const values = new Float32Array(source.genes.length);
    for (let i = offsets[row] ?? 0; i < (offsets[row + 1] ?? 0); i++)
      values[columns[i] ?? 0] = counts[i] ?? 0;
    lines.push([`cell-${row}`, ...values].join(","));
  }
  source[Symbol.dispose]();
  await writeFile(csv, lines.join("\n"));
}

try {
  if (values.data === undefined) {
    const cells = new SimulatedSource({ cells: 30_000, genes: 2000, librarySize: 2500 });
    await convertCells(cells, path);
    cells[Symbol.dispose]();
  }
  await watch("nothing", () => setTimeout(3000));
  await watch("open", async () => (await openCells(path))[Symbol.dispose]());
  await writeCsv();
  await watch("open csv", async () => (await openCells(csv))[Symbol.dispose]());
  const source = await openCells(path);
  await watch("summarise", () => summarise(source));
  await watch("convert h5ad", () => convertCells(source, join(folder, "copy.h5ad")));
  await watch("convert shards", () => convertCells(source, join(folder, "shards")));
  const denoiser = await Denoiser.create({ vocabulary: GeneVocabulary.from(source), preset: "nano" });
  const trainer = new Trainer(denoiser, { batchCells: 8, validation: false });
  await watch("train", async () => {
    for await (const _step of trainer.fit(source, { steps: 6 }));
  });
  await denoiser.save(model);
  await watch("load", async () => (await Denoiser.load(model))[Symbol.dispose]());
  await watch("impute", () =>
    imputeFile({
      model: denoiser,
      data: source,
      out: join(folder, "imputed.h5ad"),
      shard: { index: 1, count: 60 },
    }),
  );
  denoiser[Symbol.dispose]();
  source[Symbol.dispose]();
} finally {
  await rm(folder, { recursive: true });
}
