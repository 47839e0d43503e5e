// Trains for some seconds at a time, each call going on where the last one ended, however that was: Ctrl-C, a kill or the
// end of its time. The weights in the end are those of one long run, bit for bit:
//   npx tsx resume.ts cells.h5ad runs/nightly 10000 3600
import { existsSync } from "node:fs";
import { Denoiser, GeneVocabulary, openCells, Trainer } from "ddsc";

const [data = "cells.h5ad", folder = "runs/nightly", steps = "10000", seconds = "3600"] =
  process.argv.slice(2);

using cells = await openCells(data);
const trainer = existsSync(folder) ? await Trainer.resume(folder) : await begin();
using _model = trainer.model;
const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

const { step: first } = trainer.state;
for await (const _ of trainer.fit(cells, {
  steps: Number(steps),
  seconds: Number(seconds),
  signal: stop.signal,
}));
console.log(`steps ${first} to ${trainer.state.step} of ${trainer.steps}; ended by ${trainer.end}`);

async function begin(): Promise<Trainer> {
  const model = await Denoiser.create({ preset: "nano", vocabulary: GeneVocabulary.from(cells) });
  return new Trainer(model, { folder, learningRate: 1e-3, batchCells: 32 });
}
