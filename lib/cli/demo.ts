import { resolve } from "node:path";
import { formatDuration } from "../base/duration.js";
import { DdscError } from "../base/errors.js";
import { splitCells } from "../data/select/split.js";
import { MemorySource } from "../data/sources/memory.js";
import { simulateCells } from "../data/sources/simulate.js";
import type { CellSource } from "../data/sources/source.js";
import { subsetSource } from "../data/sources/subset.js";
import type { CountCells } from "../evaluation/counts/count_cells.js";
import { answersOf, hideGenes, maskCells } from "../evaluation/counts/masked_cells.js";
import type { ModelPredictor } from "../evaluation/counts/model_predictor.js";
import { DEFAULT_RATIOS, THIN } from "../evaluation/defaults.js";
import { renderCountTable } from "../evaluation/index.js";
import { Denoiser, type DenoiserOptions } from "../model/denoiser.js";
import type { ReportSubject } from "../report/collect/subject.js";
import { checkReport, type WrittenReport, writeReport } from "../report/write_report.js";
import type { ChosenCells } from "../tasks/run_cells.js";
import { type CountScoring, scoreCounts } from "../tasks/score_counts.js";
import { GeneVocabulary } from "../tokenizer/index.js";
import { type MetricsLine, metricsLine } from "../training/metrics_lines.js";
import { Trainer } from "../training/trainer.js";
import { flagOfArgument } from "./shared/argument_names.js";
import { defineCommand } from "./shared/command.js";
import { describeDevice } from "./shared/open.js";
import { type Output, withThousands } from "./shared/output.js";
import { StageProgress } from "./shared/progress.js";
import { ProgressDisplay } from "./shared/training_progress.js";

/** How much the demo does. `seconds` bounds the training on any machine. */
const FULL = { cells: 3000, genes: 160, steps: 600, seconds: 90, resamples: 1000 };
const SHORT = { cells: 300, genes: 60, steps: 20, seconds: 5, resamples: 100 };
const HELD_OUT = 0.1;
/** Steps that tell how fast the machine is, the first of which does not count; and the fewest to train for. */
const TRIAL_STEPS = 4;
const FEWEST_STEPS = 20;
/** The share of the time that the steps are to fill. */
const FILLED = 0.9;
/** The page that the demo ends with. */
const REPORT = "demo-report.html";
/** Genes of one cell that are shown at the end. */
const SHOWN_GENES = 10;

/** `ddsc demo`: the whole way on simulated cells, with nothing to download. */
export const demo = defineCommand({
  name: "demo",
  summary:
    "simulate cells, train on them for about two minutes, score the model beside baselines, predict a cell, and write a report",
  options: ["short", "seed", "device", "dtype", "out"],
  required: [],
  texts: { out: { help: "the page with the report; one that is there is replaced" } },
  defaults: { out: REPORT },
  run: async (options, { output, signal }) => {
    const size = options.short ? SHORT : FULL;
    const { seed, device, dtype, out = REPORT } = options;

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
      `   ${withThousands(trained.steps)} ${trained.steps === 1 ? "step" : "steps"} in ${formatDuration(trained.seconds)}, ${trained.loss.toFixed(3)} nats a gene.`,
    );

    output.line(
      "3. Cells the model has never seen, a part of their genes hidden, beside what simple methods say of them:",
    );
    output.line();
    const chosen = { source: heldOut, heldOut: {}, training: { source: training, selection: {} } };
    const scoring = await scoreCounts(model, {
      heldOut: { source: heldOut, selection: {} },
      training: chosen.training,
      ratios: DEFAULT_RATIOS,
      thin: THIN,
      heldOutCells: size.cells,
      trainingCells: size.cells,
      ...{ seed, signal, resamples: size.resamples },
    });
    const { scores, predictor, cells } = scoring;
    output.lines(renderCountTable(scores));
    output.line();

    output.line(`4. ${SHOWN_GENES} genes of one such cell, hidden and predicted from the others:`);
    output.line();
    const hidden = await predictOneCell(model, predictor, cells, { seed, signal });
    output.table([
      ["gene", "true count", "expected", "chance to be expressed"],
      ...hidden.map(({ gene, actual, expected, expressed }) => [
        gene,
        String(actual),
        expected.toFixed(2),
        expressed.toFixed(2),
      ]),
    ]);
    output.line();
    const { lines, ...learnt } = trained;
    const subject = subjectOf(model, { chosen, lines, scoring });
    const report = await reportOn(subject, out, { seed, signal, output });
    output.line("Next: npx ddsc train --data cells.h5ad --out runs/first");
    return { ...learnt, evaluation: scores, hidden, report: report?.out ?? null };
  },
});

/** What the report is made of. */
function subjectOf(
  model: Denoiser,
  made: {
    readonly chosen: ChosenCells;
    readonly lines: readonly MetricsLine[];
    readonly scoring: CountScoring;
  },
): ReportSubject {
  return {
    name: "ddsc demo",
    folder: undefined,
    model,
    record: undefined,
    metrics: { made: made.lines },
    cells: { made: made.chosen },
    allowFractional: false,
    scoring: made.scoring,
    commands: ["ddsc demo"],
  };
}

/** Writes the report; where it cannot be written, says so: all else was done. */
async function reportOn(
  subject: ReportSubject,
  out: string,
  { seed, signal, output }: { readonly seed: number; readonly signal: AbortSignal; readonly output: Output },
): Promise<WrittenReport | undefined> {
  using progress = new StageProgress(output);
  const onNote = (note: string) => {
    progress.clear();
    output.note(note);
  };
  try {
    await checkReport({ out, overwrite: true }, undefined, flagOfArgument);
    const report = await writeReport(
      subject,
      { out, overwrite: true },
      {
        ...{ cells: undefined, by: undefined, seed, signal },
        onProgress: (share, what) => progress.update(share, what),
      },
      { onNote, nameOf: flagOfArgument },
    );
    progress.clear();
    output.line(`5. The report is in ${resolve(out)}: open it in a browser.`);
    output.line();
    return report;
  } catch (error) {
    if (!(error instanceof DdscError) || error.code !== "FILE_WRITE") throw error;
    onNote(`there is no report: ${error.message}`);
    return undefined;
  }
}

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
  const trainer = new Trainer(trial, { seed, validation: false });
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
): Promise<{
  readonly steps: number;
  readonly seconds: number;
  readonly loss: number;
  readonly lines: readonly MetricsLine[];
}> {
  const { steps, seconds, seed, output, signal } = options;
  const trainer = new Trainer(model, { seed, validation: false });
  const progress = output.progress ? new ProgressDisplay(process.stderr, steps, { seconds }) : undefined;
  const lines: MetricsLine[] = [];
  let loss = Number.NaN;
  for await (const step of trainer.fit(cells, { steps, seconds, signal })) {
    const line = metricsLine(step);
    if (line !== undefined) lines.push(line);
    // A mean over about the last twenty steps: single steps differ by the times that were drawn.
    loss = Number.isNaN(loss) ? step.loss : loss + 0.05 * (step.loss - loss);
    progress?.update(step);
  }
  progress?.close();
  signal.throwIfAborted();
  return { steps: trainer.state.step, seconds: trainer.state.seconds, loss, lines };
}

/** Hides half of the genes of the first cell, and says of some of them what the others tell: those of most counts, and others. */
async function predictOneCell(
  model: Denoiser,
  predictor: ModelPredictor,
  counts: CountCells,
  { seed, signal }: { readonly seed: number; readonly signal: AbortSignal },
) {
  const masked = maskCells(counts, hideGenes(counts, 0.5, seed), 0, 1, predictor.base);
  const answers = answersOf(counts, masked);
  const { mean, expressed } = await predictor.predict(masked, answers, signal);
  const byCount = [...answers.keys()].sort((a, b) => (answers[b] ?? 0) - (answers[a] ?? 0) || a - b);
  const shown = [...byCount.slice(0, SHOWN_GENES / 2), ...byCount.slice(-SHOWN_GENES / 2)];
  return shown.map((query) => ({
    gene: model.vocabulary.token(masked.queries.genes[query] ?? 0) ?? "",
    actual: answers[query] ?? 0,
    expected: mean[query] ?? Number.NaN,
    expressed: expressed[query] ?? Number.NaN,
  }));
}
