// npx tsx bench/false_signal.ts: what denoising puts into data in which there is nothing. Wilcoxon's test at a false discovery rate of
// 5% between two simulated types, half of whose genes do not differ; and correlations of genes whose counts were shuffled apart from
// each other. Of counts, of a model of counts trained on these cells, of kNN smoothing (20 neighbours), and of counts that are shrunk to
// what is expected of a gene at the cell's depth, so that nothing is learnt of types: log1p of values scaled to equal sums of the cells.
import { parseArgs } from "node:util";
import { tokenizeRows } from "../lib/batching/index.js";
import { tableLines } from "../lib/cli/shared/output.js";
import { ratePosterior } from "../lib/counts/posterior.js";
import { MemorySource } from "../lib/data/sources/memory.js";
import { rowRange } from "../lib/data/sources/parts.js";
import { NeighbourMeans } from "../lib/evaluation/counts/baselines/neighbours.js";
import { askAll } from "../lib/evaluation/counts/masked_cells.js";
import { countCellsOf } from "../lib/evaluation/index.js";
import { denoiseCells } from "../lib/imputation/index.js";
import { Denoiser } from "../lib/model/denoiser.js";
import { GeneVocabulary } from "../lib/tokenizer/index.js";
import { Trainer } from "../lib/training/trainer.js";
import {
  callsOf,
  type Dense,
  logNormalised,
  meanCorrelation,
  nullStudy,
  shuffledGenes,
  totalsOf,
} from "./false_signal_statistics.js";
import { orUsage, wholeOption } from "./options.js";

const USAGE = "usage: npx tsx bench/false_signal.ts [--cells N] [--genes N] [--steps N] [--seed N]";
const options = orUsage(USAGE, () => {
  const { values } = parseArgs({
    options: {
      cells: { type: "string", default: "600" },
      genes: { type: "string", default: "200" },
      steps: { type: "string", default: "300" },
      seed: { type: "string", default: "0" },
    },
  });
  return {
    cells: wholeOption("--cells", values.cells, 10),
    genes: wholeOption("--genes", values.genes, 8),
    steps: wholeOption("--steps", values.steps),
    seed: wholeOption("--seed", values.seed, 0),
  };
});

/** The same cells as they were counted, denoised by a model that learnt from them, and smoothed. */
async function methodsOf(counts: Dense): Promise<Record<string, Dense>> {
  const source = sourceOf(counts);
  using model = await Denoiser.create({
    vocabulary: GeneVocabulary.from(source),
    device: "cpu",
    seed: options.seed,
  });
  const trainer = new Trainer(model, { batchCells: 64, worker: false });
  for await (const _ of trainer.fit(source, { steps: options.steps }));
  const denoised = new Float64Array(counts.values.length);
  let next = 0;
  for await (const { mean } of denoiseCells(source, model)) {
    denoised.set(mean, next);
    next += mean.length;
  }
  return {
    counts,
    "shrunk, nothing learnt": { ...counts, values: shrunk(counts, model) },
    "denoised by ddsc": { ...counts, values: denoised },
    "kNN smoothing": { ...counts, values: await smoothed(source, model) },
  };
}

function sourceOf({ cells, genes, values }: Dense): MemorySource {
  const expressed = Int32Array.from(values.keys()).filter((i) => (values[i] ?? 0) > 0);
  const offsets = new Int32Array(cells + 1);
  for (const i of expressed)
    offsets[Math.floor(i / genes) + 1] = (offsets[Math.floor(i / genes) + 1] ?? 0) + 1;
  for (let cell = 0; cell < cells; cell++)
    offsets[cell + 1] = (offsets[cell + 1] ?? 0) + (offsets[cell] ?? 0);
  return new MemorySource({
    name: "simulated cells",
    ids: Array.from({ length: cells }, (_, cell) => `cell-${cell}`),
    genes: Array.from({ length: genes }, (_, gene) => ({
      id: `GENE${String(gene).padStart(4, "0")}`,
      aliases: [],
    })),
    offsets,
    geneColumns: expressed.map((i) => i % genes),
    counts: Float32Array.from(expressed, (i) => values[i] ?? 0),
    metadata: {},
    notes: [],
  });
}

/** Posterior mean of each count by the negative binomial of its gene at the cell's total. */
function shrunk(counts: Dense, { base, vocabulary }: Denoiser): Float64Array {
  if (base === undefined) throw new Error("the model was not trained");
  const totals = totalsOf(counts);
  const first = vocabulary.size - counts.genes;
  return counts.values.map((count, i) => {
    const gene = first + (i % counts.genes);
    const mean = (totals[Math.floor(i / counts.genes)] ?? 0) * (base.share[gene] ?? 0);
    return ratePosterior(mean, mean + mean ** 2 / (base.size[gene] ?? 1), count).mean;
  });
}

/** Each cell's molecules added up with those of the cells most like it. */
async function smoothed(source: MemorySource, model: Denoiser): Promise<Float64Array> {
  const { base, tokenizer } = model;
  if (base === undefined) throw new Error("the model was not trained");
  const { batch } = await tokenizeRows(source, tokenizer, rowRange(0, source.cellCount));
  const cells = countCellsOf(batch, tokenizer.map(source).panels);
  const neighbours = new NeighbourMeans(cells, base);
  const setting = Math.max(0, neighbours.settings.indexOf("20 neighbours"));
  const [means = new Float64Array(0)] = neighbours.means(askAll(cells, 0, source.cellCount, base), [setting]);
  return means;
}

const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
const study = nullStudy(options.cells, options.genes, options.seed);
const apart = shuffledGenes(study.counts, options.seed);
const tested = await methodsOf(study.counts);
const correlated = await methodsOf(apart);
const rows = Object.entries(tested).map(([name, values]) => {
  const calls = callsOf(logNormalised(values, totalsOf(values)), study);
  const shuffled = correlated[name] ?? values;
  return [
    name,
    percent(calls.nullsCalled),
    percent(calls.falseShare),
    percent(calls.found),
    meanCorrelation(logNormalised(shuffled, totalsOf(shuffled))).toFixed(3),
  ];
});
console.log(
  `${options.cells} cells, ${options.genes} genes, ${options.steps} steps; nothing correlates: ${Math.sqrt(2 / Math.PI / options.cells).toFixed(3)} is expected\n`,
);
const head = ["", "nulls called", "of calls false", "true ones found", "mean |r| shuffled"];
for (const line of tableLines([head, ...rows])) console.log(line);
