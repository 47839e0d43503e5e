import { join } from "node:path";
import type { CellSource } from "../data/sources/source.js";
import type { DiffusionConfig } from "../diffusion/index.js";
import type { Denoiser, DenoiserOptions } from "../model/denoiser.js";
import type { LoadedWeights } from "../model/going_on.js";
import { findModelFile, ModelFile, readDescription } from "../model/model_files.js";
import { beginTraining, runTraining, type TrainingOutcome } from "../tasks/begin_training.js";
import type { TaskHooks } from "../tasks/hooks.js";
import { openRunData } from "../tasks/run_cells.js";
import { type CheckedMemory, checkLeastMemory, checkMemory, gibibytes } from "../tasks/training_memory.js";
import { GeneVocabulary } from "../tokenizer/index.js";
import type { FitEnd, StepResult } from "../training/fit.js";
import { optionsOf, type QuerySettings, type TrainerOptions } from "../training/options.js";
import { formatDuration, ProgressDisplay } from "../training/progress.js";
import { recordData, requireSameData } from "../training/run_data.js";
import { RunFolder } from "../training/run_folder.js";
import { readRecord } from "../training/state.js";
import { Trainer } from "../training/trainer.js";
import type { ValidationResult } from "../training/validation.js";
import { flagOfArgument } from "./argument_names.js";
import { type CommandContext, checkExclusive, defineCommand } from "./command.js";
import { DATA_OPTIONS, describeDevice, openData } from "./open.js";
import { flagOf } from "./option_kinds.js";
import { EVERYWHERE, type OptionName, type OptionValues } from "./options.js";
import { type Output, withThousands } from "./output.js";
import { UsageError } from "./usage_error.js";

const MODEL_SHAPE = [
  "values",
  "condition",
  "preset",
  "dropout",
  "timeConditioning",
  "vocabulary",
  "weights",
] as const;
const TOKENS = ["maxLength", "includeUnexpressed", "minGenes"] as const;
const DIFFUSION = [
  "objective",
  "diffusionSteps",
  "noiseSchedule",
  "meanMatching",
  "timeSampling",
  "importanceSampling",
  "changeOfVariables",
] as const;
const OPTIMISER = [
  "steps",
  "batch",
  "batchTokens",
  "accumulate",
  "recompute",
  "learningRate",
  "learningRateSchedule",
  "warmup",
  "weightDecay",
  "clip",
  "ema",
  "patience",
  "zeros",
  "thinning",
  "conditionDrop",
  "validation",
  "holdout",
  "validationCells",
  "validateEvery",
  "checkpointEvery",
  "keep",
] as const;
const OPTIONS = [
  "data",
  "out",
  ...OPTIMISER,
  ...MODEL_SHAPE,
  ...TOKENS,
  ...DIFFUSION,
  "seed",
  "device",
  "dtype",
  ...DATA_OPTIONS,
  "allowFractional",
  "where",
  "resume",
  "overwrite",
] as const;
/** What may be given anew when a run goes on; all else it has from its beginning. */
const RESUMABLE: ReadonlySet<OptionName> = new Set([
  "data",
  "out",
  "steps",
  "device",
  "resume",
  ...DATA_OPTIONS,
  ...EVERYWHERE,
]);

type Options = OptionValues<(typeof OPTIONS)[number], "out">;

/** `ddsc train`: trains a model on a file of counts. */
export const train = defineCommand({
  name: "train",
  summary: "train a model on a file of counts, or go on with a run",
  details: `Writes a folder: checkpoints step-N, of which "last" and "best" (by validation) are links, and metrics.jsonl. A checkpoint is
a model: give the folder to the other commands with --model. Ctrl-C saves and stops; --resume goes on as if never stopped.

Example: ddsc train --data cells.h5ad --preset nano --steps 1000 --batch 64 --out runs/a`,
  options: OPTIONS,
  required: ["out"],
  texts: { out: { help: "the folder of the run, new but with --resume or --overwrite" } },
  run: async (options, context) => {
    const { output, signal } = context;
    const { trainer, source, memory } = options.resume
      ? await resume(options, context)
      : await begin(options, context);
    using _source = source;
    using _model = trainer.model;
    describeRun(trainer, source, output);
    describeMemory(memory, output);
    const steps = options.resume && !context.given("steps") ? undefined : options.steps;
    const total = steps ?? (await readRecord(join(options.out, "last"))).steps ?? undefined;
    const progress = output.progress ? new ProgressDisplay(process.stderr, total) : undefined;
    const startStep = trainer.state.step;
    const hooks = {
      onNote: (note: string) => {
        progress?.close();
        output.note(note);
      },
    };
    const onStep = (step: StepResult) => progress?.update(step);
    const outcome = await runTraining(trainer, source, { steps, signal, onStep }, hooks);
    progress?.close();
    summarise(options.out, trainer, startStep, outcome, output);
    return {
      out: options.out,
      ...outcome,
      memory: { ...memory.needed, available: memory.machine.available },
    };
  },
});

function hooksOf({ output }: CommandContext): TaskHooks {
  return { onNote: (note) => output.note(note), nameOf: flagOfArgument };
}

async function begin(options: Options, context: CommandContext) {
  checkExclusive(context, "batch", "batchTokens");
  checkExclusive(context, "resume", "overwrite");
  checkExclusive(context, "holdout", "validation");
  if (options.data === undefined) throw new UsageError("train needs --data <FILE>: counts to train on");
  await RunFolder.check(options.out, { overwrite: options.overwrite });
  await checkLeastMemory(options);
  const source = await openData(options.data, options);
  try {
    const { vocabulary: file, weights } = options;
    const vocabulary =
      file === undefined
        ? undefined
        : await GeneVocabulary.load(await findModelFile(file, ModelFile.vocabulary));
    const asked = {
      conditions: conditionNames(options),
      model: {
        ...denoiserOptions(options, context),
        ...(vocabulary === undefined ? {} : { vocabulary }),
        ...(weights === undefined ? {} : { weights }),
      },
      training: trainerOptions(options, context),
    };
    const { trainer, memory, loaded } = await beginTraining(source, asked, hooksOf(context));
    if (weights !== undefined && loaded !== undefined) context.output.line(describeWeights(weights, loaded));
    return { trainer, source, memory };
  } catch (error) {
    source[Symbol.dispose]();
    throw error;
  }
}

async function resume(options: Options, context: CommandContext) {
  const fixed = OPTIONS.find((name) => context.given(name) && !RESUMABLE.has(name));
  if (fixed !== undefined) {
    throw new UsageError(
      `${flagOf(fixed)} cannot be given with --resume: the run keeps its own; leave it out`,
    );
  }
  const last = join(options.out, "last");
  const record = await readRecord(last);
  const source =
    options.data === undefined
      ? await openRunData(record.data, flagOf("data"))
      : await openData(options.data, options);
  try {
    // Before anything is made of the data: what else is wrong with other data is beside the point.
    requireSameData(record.data, await recordData(source, record.data));
    const { device } = options;
    const description = await readDescription(last);
    const memory = await checkMemory(
      description,
      source,
      optionsOf(record.settings),
      device,
      hooksOf(context),
    );
    const trainer = await Trainer.resume(options.out, device === undefined ? {} : { device });
    return { trainer, source, memory };
  } catch (error) {
    source[Symbol.dispose]();
    throw error;
  }
}

function conditionNames({ condition, values }: Options): string[] {
  if (condition === undefined) return [];
  if (values === "counts") return condition.split(",").map((name) => name.trim());
  throw new UsageError("--condition is for models of counts; leave it out, or leave --values ranks out");
}

/** Options that belong to one kind of model. */
const OF_COUNTS = ["zeros", "thinning", "conditionDrop"] as const;
const OF_RANKS = ["timeConditioning", "includeUnexpressed"] as const;

function denoiserOptions(options: Options, { given }: CommandContext): Omit<DenoiserOptions, "vocabulary"> {
  const { values, preset, dropout, timeConditioning, maxLength, includeUnexpressed, minGenes, seed } =
    options;
  const { device, dtype } = options;
  const other = (values === "counts" ? OF_RANKS : OF_COUNTS).find(given);
  if (other !== undefined) {
    throw new UsageError(
      `${flagOf(other)} is for models of ${values === "counts" ? "ranks (--values ranks)" : "counts"}; leave it out`,
    );
  }
  return {
    values,
    preset,
    shape: values === "counts" ? { dropout } : { dropout, timeConditioning },
    diffusion: diffusionOf(options),
    tokenizer: { maxLength, includeUnexpressed, minGenes, seed },
    seed,
    ...(device === undefined ? {} : { device }),
    ...(dtype === undefined ? {} : { dtype }),
  };
}

function diffusionOf(options: Options): Partial<DiffusionConfig> {
  const { objective: kind, diffusionSteps: steps, noiseSchedule, meanMatching } = options;
  return {
    objective: kind === "d3pm" ? { kind, steps } : { kind },
    schedule: { kind: noiseSchedule },
    meanMatching,
    antithetic: options.timeSampling === "antithetic",
    importanceSampling: options.importanceSampling,
    changeOfVariables: options.changeOfVariables,
  };
}

function trainerOptions(options: Options, { given }: CommandContext): TrainerOptions {
  const { batch, batchTokens, where, holdout, warmup, validateEvery, checkpointEvery } = options;
  const size = batchTokens === undefined ? { batchCells: batch ?? 64 } : { batchTokens };
  const kind = options.learningRateSchedule;
  return {
    folder: options.out,
    overwrite: options.overwrite,
    ...(options.learningRate === undefined ? {} : { learningRate: options.learningRate }),
    schedule: warmup === undefined ? { kind } : { kind, warmup },
    ...(options.weightDecay === undefined ? {} : { weightDecay: options.weightDecay }),
    clip: options.clip,
    accumulation: options.accumulate,
    recompute: options.recompute,
    ...(options.ema === undefined ? {} : { ema: options.ema }),
    ...(options.patience === undefined ? {} : { patience: options.patience }),
    ...(options.values === "counts" ? { queries: querySettings(options) } : {}),
    ...size,
    // Batches of so many tokens hold cells of similar length, or the longest cell would decide how many fit.
    lengthBuckets: given("batchTokens"),
    seed: options.seed,
    allowFractional: options.allowFractional,
    ...(where === undefined ? {} : { where }),
    validation:
      options.validation === 0
        ? false
        : {
            ...(holdout === undefined ? { fraction: options.validation } : { where: holdout }),
            cells: options.validationCells,
            ...(validateEvery === undefined ? {} : { every: validateEvery }),
          },
    checkpoint: { keep: options.keep, ...(checkpointEvery === undefined ? {} : { every: checkpointEvery }) },
  };
}

function querySettings({ zeros, thinning, conditionDrop }: Options): Partial<QuerySettings> {
  return {
    ...(zeros === undefined ? {} : { zeros }),
    ...(thinning === undefined ? {} : { thinning }),
    ...(conditionDrop === undefined ? {} : { conditionDrop }),
  };
}

/** Labels that are named in a line at most. */
const SOME_LABELS = 5;

/** Says what a model has from the weights that it goes on from, and what of it is new. */
function describeWeights(from: string, loaded: LoadedWeights): string {
  const { knownGenes, newGenes, leftGenes, newConditions, leftConditions, newLabels } = loaded;
  const parts = [`${withThousands(knownGenes)} genes known`];
  if (newGenes.length > 0) parts.push(`${withThousands(newGenes.length)} new`);
  if (leftGenes.length > 0) parts.push(`${withThousands(leftGenes.length)} left out`);
  for (const condition of new Set(newLabels.map((label) => label.condition))) {
    const labels = newLabels.filter((label) => label.condition === condition).map(({ label }) => label);
    const more = labels.length > SOME_LABELS ? ", ..." : "";
    parts.push(
      `${withThousands(labels.length)} new of condition ${condition} (${labels.slice(0, SOME_LABELS).join(", ")}${more})`,
    );
  }
  if (newConditions.length > 0) parts.push(`new conditions: ${newConditions.join(", ")}`);
  if (leftConditions.length > 0) parts.push(`left out conditions: ${leftConditions.join(", ")}`);
  return `from   ${from}: ${parts.join("; ")}`;
}

function describeRun({ model, state }: Trainer, source: CellSource, output: Output): void {
  const { parameterCount, vocabulary, dtype, device } = model;
  output.line(
    `data   ${source.name}: ${withThousands(source.cellCount)} cells, ${withThousands(source.genes.length)} genes`,
  );
  describeDevice(model, output);
  output.line(
    `model  ${(parameterCount / 1e6).toFixed(1)} million parameters, ${withThousands(vocabulary.geneCount)} genes, ${dtype} on ${device}`,
  );
  if (state.step > 0) output.line(`going on after step ${withThousands(state.step)}`);
}

function describeValidation(
  { nll, bitsPerToken, perplexity, crossEntropy }: ValidationResult,
  { ofCounts }: Denoiser,
): string {
  if (ofCounts) return `${nll.toFixed(4)} nats a gene, over all shares of hidden genes`;
  return (
    `${nll.toFixed(4)} nats a token, ${bitsPerToken.toFixed(4)} bits, perplexity ${perplexity.toFixed(3)}; ` +
    `${crossEntropy.toFixed(4)} nats a masked token`
  );
}

const ENDS: Readonly<Record<FitEnd, string>> = {
  steps: "trained",
  time: "trained",
  patience: "ended, as validation got no better,",
  aborted: "stopped",
};

/** Says how much memory training takes at most, and warns where that is more than is free. */
export function describeMemory({ needed, machine, remedy }: CheckedMemory, output: Output): void {
  const { parameters, activations, scratch, total, batch } = needed;
  output.line(
    `memory ${gibibytes(total)} at most: ${gibibytes(parameters)} parameters, ` +
      `${gibibytes(activations + scratch)} for a batch of ${withThousands(batch.tokens)} tokens; ` +
      `${gibibytes(machine.available)} available`,
  );
  if (total > machine.available) {
    output.note(`memory: this may be more than is free now; ${remedy}, or end what else uses it`);
  }
}

/** Says how the run ended and where its model is. */
function summarise(
  out: string,
  trainer: Trainer,
  startStep: number,
  { end, step, best, seconds, validation }: TrainingOutcome,
  output: Output,
): void {
  const done = withThousands(step - startStep);
  if (end === "steps" && step === startStep) {
    const asked = trainer.steps === undefined ? "" : ` and ${withThousands(trainer.steps)} were asked for`;
    output.line(
      `nothing to do: ${withThousands(step)} steps are done${asked}; to go on, pass --steps above ${step}`,
    );
  } else {
    output.line(`${ENDS[end ?? "steps"]} after ${done} steps in ${formatDuration(seconds)}`);
  }
  if (validation !== undefined) output.line(`validation  ${describeValidation(validation, trainer.model)}`);
  const unit = trainer.model.ofCounts ? "gene" : "token";
  if (best !== null)
    output.line(`best        ${best.nll.toFixed(4)} nats a ${unit}, at step ${withThousands(best.step)}`);
  output.line(`model       ${join(out, best === null ? "last" : "best")}`);
  if (end === "aborted") output.line(`go on with  ddsc train --resume --out ${out}`);
}
