import { DdscError } from "../base/errors.js";
import type { BatchLoader, BatchPosition } from "../batching/index.js";
import { STEPS_AHEAD } from "../batching/read_ahead.js";
import { alone, type Cluster } from "../cluster/cluster.js";
import type { NativeDenoiser, StagedBatch } from "../native/denoiser.js";
import { addReport, emptyReport, type TokenizerReport } from "../tokenizer/index.js";
import { SharedBatches } from "./ranks/shared_batches.js";
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
  /** The ranks that share the cells: of each batch the loader gives this one's; default this process alone. */
  readonly cluster?: Cluster;
  /** The error for an epoch without a cell that any rank can use. */
  readonly noCells?: () => DdscError;
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
  readonly #batches: SharedBatches;
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
    this.#batches = new SharedBatches(loader, options.cluster ?? alone, options.noCells);
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
    const loaded = await taken.step;
    // In a cluster what ranks tell of the step to come is told now: while this one computes they tell of that.
    await this.#batches.settled();
    return { ...loaded, staged: taken.staged };
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
    await this.#batches.close();
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
    const { seed, accumulation, last } = this.#options;
    const parts = await this.#batches.take(accumulation, step < last ? accumulation : 0);
    const report = emptyReport();
    for (const { loaded } of parts) addReport(report, loaded.report);
    const latest = parts.at(-1)?.loaded;
    if (latest === undefined) throw noMore();
    const batches = parts.map(({ loaded }) => loaded.batch);
    const others = parts.map((part) => part.others);
    const { next: position, epoch } = latest;
    return { ...(await this.#task.stepInput(batches, { seed, step }, others)), position, epoch, report };
  }
}

function noMore(): DdscError {
  return new DdscError("LOADER_FAILED", "the loader ended by itself; begin again");
}
