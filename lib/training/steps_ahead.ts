import { DdscError } from "../base/errors.js";
import type { BatchLoader, BatchPosition } from "../batching/index.js";
import { STEPS_AHEAD } from "../batching/read_ahead.js";
import type { NativeDenoiser, StagedBatch } from "../native/denoiser.js";
import { addReport, emptyReport, type TokenizerReport } from "../tokenizer/index.js";
import type { Share } from "./ranks/share.js";
import type { StepInput, TrainingTask } from "./task.js";

/** What a step computes on, and how far its batches are in the data. */
export interface LoadedStep extends StepInput {
  /** Where a loader has to start to go on after the step. */
  readonly position: BatchPosition;
  /** Epoch of the last cells, from 0. */
  readonly epoch: number;
  /** What the tokenizer left out on the way. */
  readonly report: TokenizerReport;
}

/** Options of `StepsAhead`. */
export interface StepsAheadOptions {
  readonly seed: number;
  /** Which of the cells this rank computes; default all. */
  readonly share?: Share;
  /** Batches a step. */
  readonly accumulation: number;
  /** The first step to be taken. */
  readonly first: number;
  /** The last one; `Infinity`: no end. */
  readonly last: number;
}

/** A step that was asked for. */
interface Asked {
  readonly step: Promise<LoadedStep>;
  /** Once its batches are there. */
  loaded?: LoadedStep;
  /** Once its first batch was handed to the model. */
  staged?: StagedBatch;
}

/**
 * The batches of step after step, asked from a loader while earlier steps run. A step's place in the data, and an error in its
 * batches, are told when it is taken; and no batch is asked for that the last step does not need.
 */
export class StepsAhead implements AsyncDisposable {
  readonly #task: Pick<TrainingTask, "stepInput">;
  readonly #loader: Pick<BatchLoader, "next" | "close">;
  readonly #options: StepsAheadOptions;
  readonly #asked: Asked[] = [];
  #toAsk: number;
  /** The model that waits for the first batch of the step to come. */
  #stager: Pick<NativeDenoiser, "stage"> | undefined;

  constructor(
    task: Pick<TrainingTask, "stepInput">,
    loader: Pick<BatchLoader, "next" | "close">,
    options: StepsAheadOptions,
  ) {
    this.#task = task;
    this.#loader = loader;
    this.#options = options;
    this.#toAsk = options.first;
  }

  /** Waits for the step to be taken next, where there is one. Throws as `take` does, which then gives the same. */
  async ready(): Promise<void> {
    this.#ask(1);
    await this.#asked[0]?.step;
  }

  /** The next step. Throws the errors of the loader, and `LOADER_FAILED` where it has no more or all were taken. */
  async take(): Promise<LoadedStep> {
    this.#ask(1);
    this.#stager = undefined;
    const taken = this.#asked.shift();
    if (taken === undefined) throw noMore();
    this.#ask(STEPS_AHEAD);
    return { ...(await taken.step), staged: taken.staged };
  }

  /** Hands the first batch of the step to be taken next to the model, as soon as it is there and until the step is taken. */
  stageNext(native: Pick<NativeDenoiser, "stage">): void {
    this.#stager = native;
    this.#stage();
  }

  /** Closes the loader; what was asked for is dropped when nothing reads for it any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stager = undefined;
    const dropped = this.#asked.splice(0);
    for (const { staged } of dropped) staged?.[Symbol.dispose]();
    await this.#loader.close();
    await Promise.allSettled(dropped.map(({ step }) => step));
  }

  /** Asks on until so many steps are asked for and not taken. */
  #ask(steps: number): void {
    while (this.#asked.length < steps && this.#toAsk <= this.#options.last) {
      const asked: Asked = { step: this.#load(this.#toAsk++) };
      asked.step.then(
        (loaded) => {
          asked.loaded = loaded;
          this.#stage();
        },
        () => undefined, // `take` rejects
      );
      this.#asked.push(asked);
    }
  }

  #stage(): void {
    const next = this.#asked[0];
    const input = next?.loaded?.inputs[0];
    if (next === undefined || input === undefined || next.staged !== undefined) return;
    const staged = this.#stager?.stage(input);
    if (staged !== undefined) next.staged = staged;
  }

  async #load(step: number): Promise<LoadedStep> {
    const { seed, accumulation, share } = this.#options;
    // The loader answers in order, also what is asked for at once.
    const answers = await Promise.all(Array.from({ length: accumulation }, () => this.#loader.next()));
    const report = emptyReport();
    const parts = answers.map(({ value }) => {
      if (value === undefined) throw noMore();
      addReport(report, value.report);
      return value;
    });
    const last = parts.at(-1);
    if (last === undefined) throw noMore();
    const batches = parts.map(({ batch }) => batch);
    const { next: position, epoch } = last;
    return { ...(await this.#task.stepInput(batches, { seed, step }, share)), position, epoch, report };
  }
}

function noMore(): DdscError {
  return new DdscError("LOADER_FAILED", "the loader ended by itself; begin again");
}
