import { Purpose, RandomStream } from "../base/random.js";
import { FIRST_RANK_TOKEN, type RaggedBatch, tokenizeRows } from "../batching/index.js";
import { splitCells } from "../data/select/split.js";
import { MemorySource } from "../data/sources/memory.js";
import { rowRange } from "../data/sources/parts.js";
import { simulateCells } from "../data/sources/simulate.js";
import type { CellSource } from "../data/sources/source.js";
import { subsetSource } from "../data/sources/subset.js";
import { evaluate, RankBaselines, renderTable } from "../evaluation/index.js";
import { Denoiser, type DenoiserOptions } from "../model/denoiser.js";
import { inpaint } from "../sampling/index.js";
import { GeneVocabulary } from "../tokenizer/index.js";
import { formatDuration, ProgressDisplay } from "../training/progress.js";
import { Trainer } from "../training/trainer.js";
import { defineCommand } from "./command.js";
import { describeDevice } from "./open.js";
import { type Output, withThousands } from "./output.js";

/** How much the demo does. `seconds` bounds the training on any machine. */
const FULL = { cells: 3000, genes: 160, steps: 600, seconds: 120 };
const SHORT = { cells: 300, genes: 60, steps: 20, seconds: 5 };
const HELD_OUT = 0.1;
/** Steps that tell how fast the machine is, the first of which does not count; and the fewest to train for. */
const TRIAL_STEPS = 4;
const FEWEST_STEPS = 20;
/** The share of the time that the steps are to fill. */
const FILLED = 0.9;
const LEARNING_RATE = 1e-3;
/** Genes of one cell that are hidden and filled in at the end. */
const HIDDEN_GENES = 10;

/** `ddsc demo`: the whole way on simulated cells, with nothing to download. */
export const demo = defineCommand({
  name: "demo",
  summary: "simulate cells, train on them for about two minutes, evaluate, and fill in a cell",
  options: ["short", "seed", "device", "dtype"],
  required: [],
  run: async (options, { output, signal }) => {
    const size = options.short ? SHORT : FULL;
    const { seed, device, dtype } = options;

    const simulated = simulateCells({ cells: size.cells, genes: size.genes, seed });
    using whole = new MemorySource(simulated.cells);
    const rows = await splitCells(whole, { fraction: HELD_OUT, seed });
    using training = subsetSource(whole, rows.train);
    using heldOut = subsetSource(whole, rows.validation);
    output.line(
      `1. Simulated ${withThousands(whole.cellCount)} cells of ${withThousands(whole.genes.length)} genes; ` +
        `${withThousands(heldOut.cellCount)} of them are kept aside.`,
    );

    const shape: DenoiserOptions = {
      preset: "nano",
      vocabulary: GeneVocabulary.from(whole),
      seed,
      ...(device === undefined ? {} : { device }),
      ...(dtype === undefined ? {} : { dtype }),
    };
    using model = await Denoiser.create(shape);
    describeDevice(model, output);
    output.line(
      `2. Training ${(model.parameterCount / 1e6).toFixed(1)} million parameters on ${model.device}, ` +
        `at most ${formatDuration(size.seconds)}.`,
    );
    const steps = await affordableSteps(shape, training, { ...size, seed, signal });
    if (steps < size.steps) {
      output.line(
        `   This machine does ${steps} steps in that time, not ${size.steps}: the model will have learnt less.`,
      );
    }
    const { seconds } = size;
    const trained = await trainModel(model, training, { steps, seconds, seed, output, signal });
    output.line(
      `   ${withThousands(trained.steps)} steps in ${formatDuration(trained.seconds)}, loss ${trained.loss.toFixed(3)}.`,
    );

    output.line("3. Cells the model has never seen, some of their ranks masked:");
    output.line();
    const seen = await allTokens(model, training);
    const unseen = await allTokens(model, heldOut);
    const scores = await evaluate(model, [unseen], {
      seed,
      signal,
      baselines: await RankBaselines.fit([seen], model.strategy.values),
    });
    output.line(renderTable(scores));
    output.line();

    output.line(`4. ${HIDDEN_GENES} genes of one such cell, hidden and filled in from the others:`);
    output.line();
    const filled = await fillOneCell(model, heldOut, { seed, signal });
    output.table([
      ["gene", "true rank", "filled in", "probability", "expected"],
      ...filled.map(({ gene, actual, rank, probability, expected }) => [
        gene,
        String(actual),
        String(rank),
        probability.toFixed(2),
        expected.toFixed(1),
      ]),
    ]);
    output.line();
    output.line("Next: npx ddsc train --data cells.h5ad --out runs/first");
    return { ...trained, evaluation: scores, filled };
  },
});

/** Steps that fit into the time, at most those wanted: the schedule of the learning rate ends with the training. */
async function affordableSteps(
  shape: DenoiserOptions,
  cells: CellSource,
  options: {
    readonly steps: number;
    readonly seconds: number;
    readonly seed: number;
    readonly signal: AbortSignal;
  },
): Promise<number> {
  const { steps, seconds, seed, signal } = options;
  using trial = await Denoiser.create(shape);
  const trainer = new Trainer(trial, { seed, learningRate: LEARNING_RATE, validation: false });
  let fastest = Number.POSITIVE_INFINITY;
  for await (const step of trainer.fit(cells, { steps: TRIAL_STEPS, signal }))
    if (step.step > 1) fastest = Math.min(fastest, step.seconds);
  signal.throwIfAborted();
  return Math.min(steps, Math.max(FEWEST_STEPS, Math.floor((FILLED * seconds) / fastest)));
}

async function trainModel(
  model: Denoiser,
  cells: CellSource,
  options: {
    readonly steps: number;
    readonly seconds: number;
    readonly seed: number;
    readonly output: Output;
    readonly signal: AbortSignal;
  },
): Promise<{ readonly steps: number; readonly seconds: number; readonly loss: number }> {
  const { steps, seconds, seed, output, signal } = options;
  const trainer = new Trainer(model, { seed, learningRate: LEARNING_RATE, validation: false });
  const progress = output.progress ? new ProgressDisplay(process.stderr, steps, { seconds }) : undefined;
  let loss = Number.NaN;
  for await (const step of trainer.fit(cells, { steps, seconds, signal })) {
    // A mean over about the last twenty steps: single steps differ by the times that were drawn.
    loss = Number.isNaN(loss) ? step.loss : loss + 0.05 * (step.loss - loss);
    progress?.update(step);
  }
  progress?.close();
  signal.throwIfAborted();
  return { steps: trainer.state.step, seconds: trainer.state.seconds, loss };
}

/** All cells of a source as tokens. */
async function allTokens(model: Denoiser, source: CellSource): Promise<RaggedBatch> {
  return (await tokenizeRows(source, model.tokenizer, rowRange(0, source.cellCount))).batch;
}

/** Hides some genes of the first cell of a source and fills in their most probable ranks. */
async function fillOneCell(
  model: Denoiser,
  source: CellSource,
  options: { readonly seed: number; readonly signal: AbortSignal },
) {
  const { batch } = await tokenizeRows(source, model.tokenizer, Int32Array.of(0));
  const ranks = Int32Array.from(batch.tokens.keys()).filter(
    (row) => (batch.tokens[row] as number) >= FIRST_RANK_TOKEN,
  );
  const hidden = new RandomStream(options.seed, Purpose.mask).shuffle(ranks).subarray(0, HIDDEN_GENES);
  const keep = new Uint8Array(batch.tokens.length).fill(1);
  for (const row of hidden) keep[row] = 0;
  const { filled } = await inpaint(model, batch, {
    keep,
    sampler: { kind: "parallel", steps: 1 },
    temperature: 0,
    weights: model.inferenceWeights,
    signal: options.signal,
  });
  return Array.from(filled.row, (row, i) => ({
    gene: model.vocabulary.token(filled.gene[i] as number) ?? "",
    actual: (batch.tokens[row] as number) - FIRST_RANK_TOKEN,
    rank: filled.rank[i] as number,
    probability: filled.probability[i] as number,
    expected: filled.expectedRank[i] as number,
  }));
}
