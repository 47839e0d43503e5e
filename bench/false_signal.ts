// npx tsx bench/false_signal.ts: what denoising puts into data in which there is nothing. Wilcoxon's test at a false discovery rate of
// 5% between two simulated types, half of whose genes do not differ; and correlations of genes whose counts were shuffled apart from
// each other. Of counts, of a model of counts trained on these cells (its means, and one replicate count drawn for each), of kNN smoothing
// (20 neighbours), and of counts that are shrunk to what is expected of a gene at the cell's depth, so that nothing is learnt of types: log1p
// of values scaled to equal sums of the cells. Means of several simulations, the smallest and the largest.
import { parseArgs } from "node:util";
import { Purpose, RandomStream } from "../lib/base/random.js";
import { tableLines } from "../lib/base/text_table.js";
import { tokenizeRows } from "../lib/batching/index.js";
import { negativeBinomialQuantile } from "../lib/counts/negative_binomial_quantile.js";
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

const USAGE =
  "usage: npx tsx bench/false_signal.ts [--cells N] [--genes N] [--steps N] [--seed N] [--simulations N]";
const options = orUsage(USAGE, () => {
  const { values } = parseArgs({
    options: {
      cells: { type: "string", default: "600" },
      genes: { type: "string", default: "200" },
      steps: { type: "string", default: "300" },
      seed: { type: "string", default: "0" },
      simulations: { type: "string", default: "8" },
    },
  });
  return {
    cells: wholeOption("--cells", values.cells, 10),
    genes: wholeOption("--genes", values.genes, 8),
    steps: wholeOption("--steps", values.steps),
    seed: wholeOption("--seed", values.seed, 0),
    simulations: wholeOption("--simulations", values.simulations, 1),
  };
});

/** The same cells as they were counted, denoised by a model that learnt from them, and smoothed. */
async function methodsOf(counts: Dense, seed: number): Promise<Record<string, Dense>> {
  const source = sourceOf(counts);
  using model = await Denoiser.create({
    vocabulary: GeneVocabulary.from(source),
    device: "cpu",
    seed,
  });
  const trainer = new Trainer(model, { batchCells: 64, worker: false });
  for await (const _ of trainer.fit(source, { steps: options.steps }));
  const denoised = new Float64Array(counts.values.length);
  const drawn = new Float64Array(counts.values.length);
  const random = new RandomStream(seed, Purpose.draw);
  let next = 0;
  for await (const { mean, shape } of denoiseCells(source, model)) {
    denoised.set(mean, next);
    for (let i = 0; i < mean.length; i++)
      drawn[next + i] = negativeBinomialQuantile(random.uniform(), mean[i] ?? 0, shape[i] ?? 1);
    next += mean.length;
  }
  return {
    counts,
    "shrunk, nothing learnt": { ...counts, values: shrunk(counts, model) },
    "denoised by ddsc": { ...counts, values: denoised },
    "replicate, drawn by ddsc": { ...counts, values: drawn },
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
const correlation = (r: number) => r.toFixed(3);

/** What is found, by method, in the order of the table's columns. */
async function findingsOf(seed: number): Promise<Map<string, number[]>> {
  const study = nullStudy(options.cells, options.genes, seed);
  const tested = await methodsOf(study.counts, seed);
  const correlated = await methodsOf(shuffledGenes(study.counts, seed), seed);
  return new Map(
    Object.entries(tested).map(([name, values]) => {
      const { nullsCalled, falseShare, found } = callsOf(logNormalised(values, totalsOf(values)), study);
      const shuffled = correlated[name] ?? values;
      const r = meanCorrelation(logNormalised(shuffled, totalsOf(shuffled)));
      return [name, [nullsCalled, falseShare, found, r]];
    }),
  );
}

/** Mean, smallest and largest, as a cell of the table. */
function summary(values: readonly number[], text: (value: number) => string): string {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.length === 1
    ? text(mean)
    : `${text(mean)} (${text(Math.min(...values))}-${text(Math.max(...values))})`;
}

const all: Map<string, number[]>[] = [];
for (let i = 0; i < options.simulations; i++) all.push(await findingsOf(options.seed + i));
const rows = [...(all[0]?.keys() ?? [])].map((name) => [
  name,
  ...[percent, percent, percent, correlation].map((text, column) =>
    summary(
      all.map((findings) => findings.get(name)?.[column] ?? Number.NaN),
      text,
    ),
  ),
]);
console.log(
  `${options.cells} cells, ${options.genes} genes, ${options.steps} steps, ${options.simulations} simulations; nothing correlates: ` +
    `${correlation(Math.sqrt(2 / Math.PI / options.cells))} is expected\n`,
);
const head = ["", "nulls called", "of calls false", "true ones found", "mean |r| shuffled"];
for (const line of tableLines([head, ...rows])) console.log(line);
