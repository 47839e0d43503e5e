import { checkKind, checkOptions } from "../base/arguments.js";
import { checkChoice, checkWhole, DdscError, wrongType } from "../base/errors.js";
import { cellLengths } from "../batching/collate.js";
import type { RaggedBatch } from "../batching/index.js";
import { Denoiser } from "../model/denoiser.js";
import type { NativeLimits, NativeOpProfile } from "../native/types.js";
import { batchTask, kindOf } from "./kinds.js";
import { trainerSettings } from "./options.js";
import { trainStep } from "./step.js";

/** What is profiled: a training step (masking to updated weights), or one run of the network on half-masked cells. */
export type ProfiledWork = "train" | "forward";

/** Options of `profileStep`. */
export interface ProfileOptions {
  /** Default "train". */
  readonly work?: ProfiledWork;
  /** Runs of which the fastest is told, after one to warm up; default 5. */
  readonly repeats?: number;
  readonly signal?: AbortSignal;
}

/** One op at one place of the network, beside the device's limits. */
export interface OpProfile extends NativeOpProfile {
  /** Share of the whole time, 0..1. */
  readonly share: number;
  /** The limit that the op meets first at its ratio of operations to bytes. */
  readonly bound: "compute" | "memory";
  /** The time that limit allows over the time taken: 1 is as fast as can be (data in caches can go beyond). */
  readonly shareOfLimit: number;
}

/** Where the time of a training step or of a run of the network goes; of the fastest of several. */
export interface StepProfile {
  readonly work: ProfiledWork;
  readonly device: string;
  readonly dtype: string;
  readonly cells: number;
  readonly tokens: number;
  /** Tokens of the longest cell. */
  readonly longest: number;
  /** Seconds from the call to its result. */
  readonly seconds: number;
  /** Seconds outside of all ops: masking, grouping, sums of losses, and the way in and out of native code. */
  readonly outside: number;
  /** Ops by time, longest first. */
  readonly ops: readonly OpProfile[];
  /** Measured before and after, the better of each: what else a machine does only ever lowers them. */
  readonly limits: NativeLimits;
}

/** Share of the tokens, at the end of each cell, that is masked for a run of the network. */
const MASKED_SHARE = 0.5;

/**
 * Profiles a model on a batch. The model must have been made with `profile: true`, and to be `trainable` for a training
 * step, which changes its weights. Throws `MODEL_PROFILE`, `TRAIN_MODEL`, `ARGUMENT_RANGE`.
 */
export async function profileStep(
  model: Denoiser,
  batch: RaggedBatch,
  options: ProfileOptions = {},
): Promise<StepProfile> {
  if (!(model instanceof Denoiser)) throw wrongType("model", model, "a Denoiser");
  checkKind("batch", batch, "batch");
  checkOptions(options, { signal: "signal" });
  const { signal } = options;
  const work = checkChoice("work", options.work ?? "train", ["train", "forward"]);
  const repeats = checkWhole("repeats", options.repeats ?? 5, 1, 1000);
  if (work === "train" && !model.trainable) {
    throw new DdscError("TRAIN_MODEL", "this model only predicts; create or load it with trainable: true", {
      argument: "model",
    });
  }
  const run = work === "train" ? await trainingSteps(model, batch) : await networkRuns(model, batch);
  const once = async () => {
    await model.native.takeProfile();
    const start = performance.now();
    await run(signal);
    return { seconds: (performance.now() - start) / 1000, ops: await model.native.takeProfile() };
  };
  const before = await model.native.measureLimits();
  await once(); // allocates
  let fastest = await once();
  for (let i = 1; i < repeats; i++) {
    const next = await once();
    if (next.seconds < fastest.seconds) fastest = next;
  }
  const { seconds, ops } = fastest;
  const limits = higher(before, await model.native.measureLimits());
  return {
    work,
    device: model.device,
    dtype: model.dtype,
    cells: batch.cells.length,
    tokens: batch.tokens.length,
    longest: cellLengths(batch).reduce((longest, length) => Math.max(longest, length), 0),
    seconds,
    outside: Math.max(0, seconds - ops.reduce((sum, op) => sum + op.seconds, 0)),
    ops: ops.map((op) => besideLimits(op, seconds, limits)).sort((a, b) => b.seconds - a.seconds),
    limits,
  };
}

async function trainingSteps(
  model: Denoiser,
  batch: RaggedBatch,
): Promise<(signal?: AbortSignal) => Promise<void>> {
  const settings = trainerSettings({}, kindOf(model));
  const task = await batchTask(model, batch, settings);
  let step = 0;
  return async (signal) => {
    step++;
    const input = await task.stepInput([batch], { seed: settings.seed, step });
    await trainStep(model, input, settings, { learningRate: settings.learningRate, signal });
  };
}

async function networkRuns(
  model: Denoiser,
  batch: RaggedBatch,
): Promise<(signal?: AbortSignal) => Promise<void>> {
  if (model.ofCounts) {
    const task = await batchTask(model, batch, trainerSettings({}, kindOf(model)));
    const { inputs } = await task.stepInput([batch], { seed: 0, step: 1 });
    const rows = inputs.flatMap((input) => ("rows" in input ? [input.rows] : []));
    return async (signal) => {
      for (const cells of rows) (await model.native.predictCounts(cells, {}, signal))[Symbol.dispose]();
    };
  }
  const tokens = batch.tokens.slice();
  for (let cell = 0; cell < batch.cells.length; cell++) {
    const [start, end] = [batch.offsets[cell] ?? 0, batch.offsets[cell + 1] ?? 0];
    tokens.fill(model.config.vocabSize - 1, end - Math.floor(MASKED_SHARE * (end - start)), end);
  }
  const conditioning = new Float32Array(batch.cells.length);
  return async (signal) => {
    using _ = await model.native.predict({ ...batch, tokens }, { conditioning }, signal);
  };
}

function higher(a: NativeLimits, b: NativeLimits): NativeLimits {
  return {
    fp32FlopsPerSecond: Math.max(a.fp32FlopsPerSecond, b.fp32FlopsPerSecond),
    bf16FlopsPerSecond: Math.max(a.bf16FlopsPerSecond, b.bf16FlopsPerSecond),
    bytesPerSecond: Math.max(a.bytesPerSecond, b.bytesPerSecond),
  };
}

function besideLimits(op: NativeOpProfile, seconds: number, limits: NativeLimits): OpProfile {
  const peak = op.operands === "bf16" ? limits.bf16FlopsPerSecond : limits.fp32FlopsPerSecond;
  const computing = op.flops / peak;
  const moving = op.bytes / limits.bytesPerSecond;
  return {
    ...op,
    share: op.seconds / seconds,
    bound: computing > moving ? "compute" : "memory",
    shareOfLimit: op.seconds > 0 ? Math.max(computing, moving) / op.seconds : 0,
  };
}
