import { learnConditions } from "../conditions/learn.js";
import type { CellSource } from "../data/sources/source.js";
import { Denoiser, type DenoiserOptions } from "../model/denoiser.js";
import type { LoadedWeights } from "../model/going_on.js";
import { describeReport, GeneVocabulary } from "../tokenizer/index.js";
import type { FitEnd, StepResult } from "../training/fit.js";
import type { TrainerOptions } from "../training/options.js";
import type { BestSoFar } from "../training/state.js";
import { Trainer } from "../training/trainer.js";
import type { ValidationResult } from "../training/validation.js";
import type { TaskHooks } from "./hooks.js";
import { type CheckedMemory, checkMemory } from "./training_memory.js";

/** What a run is begun with. */
export interface BeginOptions {
  /** As `learnConditions` takes them. */
  readonly conditions: readonly string[];
  /** Of the model; its vocabulary by default the genes of the source. */
  readonly model: Omit<DenoiserOptions, "vocabulary" | "conditions"> &
    Partial<Pick<DenoiserOptions, "vocabulary">>;
  readonly training: TrainerOptions;
}

/** A training that can run. */
export interface Begun {
  /** With a model of its own, the caller's to dispose of. */
  readonly trainer: Trainer;
  readonly memory: CheckedMemory;
  /** What the model has from the weights that it goes on from; undefined where there are none. */
  readonly loaded: LoadedWeights | undefined;
}

/** Makes a model for cells and a trainer for it, once it is known that both fit. Throws as `learnConditions`, `checkMemory`, `Denoiser.create`. */
export async function beginTraining(
  source: CellSource,
  { conditions: columns, model: asked, training }: BeginOptions,
  hooks: TaskHooks,
): Promise<Begun> {
  const { conditions, notes } = await learnConditions(source, columns, training.cluster);
  for (const note of notes) hooks.onNote(note);
  const { weights, ...rest } = asked;
  const options = { ...rest, vocabulary: rest.vocabulary ?? GeneVocabulary.from(source), conditions };
  const described = { ...Denoiser.describe(options), optimizerShare: options.optimizerShare };
  const memory = await checkMemory(described, source, training, options.device, hooks);
  const model = await Denoiser.create(options);
  try {
    const loaded = weights === undefined ? undefined : await model.loadWeights(weights);
    return { trainer: new Trainer(model, training), memory, loaded };
  } catch (error) {
    model[Symbol.dispose]();
    throw error;
  }
}

/** How a training went. */
export interface TrainingOutcome {
  /** How it ended: "steps", "patience" where validations got no better, "aborted" by the signal. */
  readonly end: FitEnd | undefined;
  /** Steps done, those before a resume included. */
  readonly step: number;
  /** Tokens (rows of the network) that were trained on. */
  readonly tokens: number;
  /** Seconds of this call. */
  readonly seconds: number;
  readonly device: string;
  /** The last validation; undefined where there was none. */
  readonly validation: ValidationResult | undefined;
  /** The best validation, of which the run keeps the checkpoint `best`; null where there was none. */
  readonly best: BestSoFar | null;
}

/** Trains to the end, telling what its reader should know once. Throws as `Trainer.fit`. */
export async function runTraining(
  trainer: Trainer,
  source: CellSource,
  options: {
    readonly steps: number | undefined;
    readonly signal: AbortSignal | undefined;
    readonly onStep: ((step: StepResult) => void) | undefined;
  },
  { onNote }: Pick<TaskHooks, "onNote">,
): Promise<TrainingOutcome> {
  const { steps, signal, onStep } = options;
  const told = new Set<string>();
  let notes = 0;
  const tell = () => {
    for (const note of source.notes) {
      if (!told.has(note)) onNote(`${source.name}: ${note}`);
      told.add(note);
    }
    for (const note of trainer.notes.slice(notes)) onNote(note);
    notes = trainer.notes.length;
  };
  // What is known before should be known before it is trained on.
  tell();
  const started = performance.now();
  let validation: ValidationResult | undefined;
  const fitting = { ...(steps === undefined ? {} : { steps }), ...(signal === undefined ? {} : { signal }) };
  for await (const step of trainer.fit(source, fitting)) {
    tell();
    onStep?.(step);
    validation = step.validation ?? validation;
  }
  tell();
  for (const line of describeReport(trainer.report, trainer.model.tokenizer.minGenes)) onNote(line);
  const { step, tokens, best } = trainer.state;
  const seconds = (performance.now() - started) / 1000;
  return { end: trainer.end, step, tokens, seconds, device: trainer.model.device, validation, best };
}
