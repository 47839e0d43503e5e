import type { DivergenceWatch } from "./divergence.js";
import type { LearningRateSchedule } from "./learning_rate.js";
import type { MetricsLog } from "./metrics.js";
import type { DataRecord } from "./run_data.js";
import type { RunFolder } from "./run_folder.js";
import type { StatusFile } from "./run_status.js";
import type { StepOutcome } from "./step.js";
import type { StepsAhead } from "./steps_ahead.js";
import type { ValidationResult, Validator } from "./validation.js";

/** Options of `Trainer.fit`. */
export interface FitOptions {
  /** Steps in all, those before a resume included; default as the run was begun with, else no end. */
  readonly steps?: number;
  /** Ends the training after so many seconds, at the end of a step and with a validation; default no limit. */
  readonly seconds?: number;
  /** Ends the training at once, the step under way undone; in a cluster any rank's ends all, after the step under way. */
  readonly signal?: AbortSignal;
}

/** What `Trainer.fit` tells after each step; also a line of `metrics.jsonl`. */
export interface StepResult extends StepOutcome {
  /** Number of the step, from 1. */
  readonly step: number;
  readonly learningRate: number;
  /** Seconds from when the step was due, waiting for its batches included, to the updated weights. */
  readonly seconds: number;
  readonly tokensPerSecond: number;
  /** Epoch of the step's last cells, from 0. */
  readonly epoch: number;
  /** Present where the step was followed by a validation. */
  readonly validation?: ValidationResult;
}

/** How a call of `Trainer.fit` ended; "patience": validations had not become better for long enough. */
export type FitEnd = "steps" | "time" | "patience" | "aborted";

/** What a run was begun with. */
export interface Beginning {
  readonly data: DataRecord;
  readonly schedule: LearningRateSchedule;
  /** Null: no end. */
  readonly steps: number | null;
}

/** What a call of `fit` works with. */
export interface Session extends Beginning {
  readonly batches: StepsAhead;
  readonly validator: Validator | undefined;
  readonly watch: DivergenceWatch;
  readonly metrics: MetricsLog | undefined;
  readonly run: RunFolder | undefined;
  readonly status: StatusFile | undefined;
  /** Called when what the run begins with was measured, before the first step. */
  readonly onBegun: () => Promise<void>;
  /** Whether to end before the next step; all ranks of a cluster have the same answer. */
  readonly stop: () => Promise<boolean>;
  /** Whether the time is up; all ranks have the same answer. */
  readonly late: () => Promise<boolean>;
  /** Ends what is under way; undefined in a cluster, whose ranks end after the same step. */
  readonly signal: AbortSignal | undefined;
}

/** What `work` gives; undefined where it rejects with the signal's reason. */
export async function unlessAborted<T>(
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (signal?.aborted === true && error === signal.reason) return undefined;
    throw error;
  }
}
