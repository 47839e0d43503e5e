/**
 * npm run bench:counts -- [--data FILE | --genes N --depth N] [--batch N] [--expressed N] [--repeats N] [--preset NAME] [--dtype fp32|bf16]
 *
 * What does it cost to train on whole cells in counts? In turns in one run, the same network and machine:
 *   a step of the count model, and one of the rank model on as many tokens (rows) a cell: seconds, and their ratio;
 *   cells a second of the count model, and of a model that has every measured gene as a token: their ratio.
 * --expressed: how many of a cell's hidden genes that have a count are asked about at most; default as in training.
 */
import { parseArgs } from "node:util";
import { checkChoice } from "../lib/base/errors.js";
import { tokenizeRows } from "../lib/batching/index.js";
import { openCells } from "../lib/data/open/open_cells.js";
import { MemorySource } from "../lib/data/sources/memory.js";
import { rowRange } from "../lib/data/sources/parts.js";
import { simulateCells } from "../lib/data/sources/simulate.js";
import { presetNames } from "../lib/model/config.js";
import { Denoiser } from "../lib/model/denoiser.js";
import { GeneVocabulary } from "../lib/tokenizer/index.js";
import { batchTask, kindOf } from "../lib/training/kinds.js";
import { trainerSettings } from "../lib/training/options.js";
import { trainStep as step } from "../lib/training/step.js";
import { orUsage, wholeOption } from "./options.js";
import { median, secondsOf } from "./statistics.js";
import { trainStep } from "./subjects.js";

const { data, genes, depth, batch, expressed, repeats, preset, dtype } = orUsage(
  "usage: npm run bench:counts -- [--data FILE | --genes N --depth N] [--batch N] [--expressed N] [--repeats N] [--preset NAME] [--dtype fp32|bf16]",
  () => {
    const { values } = parseArgs({
      options: {
        data: { type: "string" },
        genes: { type: "string", default: "1767" },
        depth: { type: "string", default: "800" },
        batch: { type: "string", default: "64" },
        expressed: { type: "string" },
        repeats: { type: "string", default: "7" },
        preset: { type: "string", default: "nano" },
        dtype: { type: "string", default: "fp32" },
      },
    });
    return {
      data: values.data,
      genes: wholeOption("--genes", values.genes, 4),
      depth: wholeOption("--depth", values.depth),
      batch: wholeOption("--batch", values.batch),
      expressed: values.expressed === undefined ? undefined : wholeOption("--expressed", values.expressed),
      repeats: wholeOption("--repeats", values.repeats),
      preset: checkChoice("--preset", values.preset, presetNames),
      dtype: checkChoice("--dtype", values.dtype, ["fp32", "bf16"]),
    };
  },
);

using source =
  data === undefined
    ? new MemorySource(simulateCells({ cells: batch, genes, librarySize: depth, seed: 0 }).cells)
    : await openCells(data);
using model = await Denoiser.create({
  preset,
  dtype,
  device: "cpu",
  vocabulary: GeneVocabulary.from(source),
});
const { batch: cells } = await tokenizeRows(
  source,
  model.tokenizer,
  rowRange(0, Math.min(batch, source.cellCount)),
);
const settings = trainerSettings(expressed === undefined ? {} : { queries: { expressed } }, kindOf(model));
const task = await batchTask(model, cells, settings);
let number = 0;
let rows = 0;
const countStep = async () => {
  number++;
  const input = await task.stepInput([cells], { seed: 0, step: number });
  rows = input.tokens;
  await step(model, input, settings, { learningRate: settings.learningRate });
};
await countStep();

const common = { preset, dtype, device: "cpu", dropout: 0.1, samplingSteps: 1 };
const count = cells.cells.length;
const even = (length: number) => new Int32Array(count).fill(length);
const { geneCount, size } = model.vocabulary;
using ranks = await trainStep(
  { ...common, batch: count, length: Math.round(rows / count), genes: size },
  even(Math.round(rows / count)),
);
// A few cells will do: their time grows with their number.
const few = Math.max(1, Math.min(count, Math.floor(16_384 / geneCount)));
using whole = await trainStep(
  { ...common, batch: few, length: geneCount, genes: size },
  new Int32Array(few).fill(geneCount),
);

const seconds = { counts: [] as number[], ranks: [] as number[], whole: [] as number[] };
await ranks.run();
await whole.run();
for (let i = 0; i < repeats; i++) {
  seconds.counts.push(await secondsOf(countStep));
  seconds.ranks.push(await secondsOf(() => ranks.run()));
  seconds.whole.push(await secondsOf(() => whole.run()));
}
const ofCounts = median(seconds.counts);
const ofRanks = median(seconds.ranks);
const ofWhole = median(seconds.whole);
const expressedGenes = (cells.genes.length - count) / count;
console.log(
  `${source.name}, ${preset}, ${dtype} on ${model.device}: ${count} cells of ${geneCount} genes, ${expressedGenes.toFixed(0)} expressed; ` +
    `${(rows / count).toFixed(0)} rows a cell`,
);
console.log(
  `step at equal tokens  counts ${ofCounts.toFixed(4)} s, ranks ${ofRanks.toFixed(4)} s, ratio ${(ofCounts / ofRanks).toFixed(3)}`,
);
console.log(
  `cells a second        counts ${(count / ofCounts).toFixed(1)}, every gene a token ${(few / ofWhole).toFixed(2)}, ratio ${(count / ofCounts / (few / ofWhole)).toFixed(1)}`,
);
