import { checkKind } from "../base/arguments.js";
import { DdscError } from "../base/errors.js";
import { validateBatch } from "../batching/validate.js";
import type { RaggedBatch } from "../tokenizer/ragged_batch.js";
import { type DenoisingModel, maskToken } from "./denoising_model.js";
import { firstHitting } from "./first_hitting.js";
import { type CheckedSampling, checkSampling, type SamplingOptions } from "./options.js";
import { parallel } from "./parallel.js";
import { SamplingNetwork } from "./sampling_network.js";
import { SamplingState } from "./state.js";
import { stepwise } from "./stepwise.js";

/** Cells on their way: after `step` steps. The arrays are the caller's own. */
export interface SamplingStep {
  /** 0 for the cells as they were given. */
  readonly step: number;
  /** Time each cell has come down to, from 1 to 0, [cells]. */
  readonly time: Float64Array;
  /** Rank tokens; the mask token where nothing is filled in yet, [tokens]. */
  readonly tokens: Int32Array;
  /** Masked tokens of each cell, [cells]. */
  readonly masked: Int32Array;
  /** How often the network has run for each cell, [cells]. */
  readonly networkEvaluations: Int32Array;
}

/** Cells with every masked token filled in. */
export interface SampledBatch {
  /** The given batch with new tokens. */
  readonly batch: RaggedBatch;
  /** How often the network ran for each cell, [cells]. */
  readonly networkEvaluations: Int32Array;
}

/**
 * Fills in the tokens of `batch` that are the mask token, step by step; all other tokens are evidence and never change.
 * The first state is the batch as given, in the last nothing is masked; a batch without cells is one of them already.
 *
 * Random numbers are named by seed, a cell's global index and the position in the cell, so a cell is filled in alike
 * whichever cells are beside it. Throws `BATCH_INVALID`, and `checkSampling`'s errors for options; rejects with the
 * signal's reason when aborted.
 */
export async function* sampleSteps(
  model: DenoisingModel,
  batch: RaggedBatch,
  options: SamplingOptions = {},
): AsyncGenerator<SamplingStep> {
  const mask = maskToken(model);
  const checked = checkSampling(options, model);
  validateBatch(batch, {
    geneVocabularySize: model.config.geneVocabSize,
    tokenCount: model.config.vocabSize,
    mayBeEmpty: true,
  });
  const state = new SamplingState(batch, mask);
  using network = new SamplingNetwork(model, state, checked);
  yield snapshot(state, 0);
  let step = 0;
  for await (const _ of fillIn(model, state, network, checked)) {
    step++;
    yield snapshot(state, step);
  }
}

/** Fills in the tokens of `batch` that are the mask token; `sampleSteps` without the steps. */
export async function sample(
  model: DenoisingModel,
  batch: RaggedBatch,
  options: SamplingOptions = {},
): Promise<SampledBatch> {
  checkKind("batch", batch, "batch");
  let tokens = batch.tokens;
  let networkEvaluations: Int32Array = new Int32Array(batch.cells.length);
  for await (const step of sampleSteps(model, batch, options)) {
    tokens = step.tokens;
    networkEvaluations = step.networkEvaluations;
  }
  return { batch: { ...batch, tokens }, networkEvaluations };
}

/**
 * Fills in a state's masked tokens by the sampler of `options`; yields after each step. Throws `SAMPLING_STUCK` where a step that
 * has to reveal something reveals nothing, or where something is masked after the last one.
 */
export async function* fillIn(
  model: DenoisingModel,
  state: SamplingState,
  network: SamplingNetwork,
  options: CheckedSampling,
): AsyncGenerator<void> {
  const { kind } = options.sampler;
  const everyStepReveals = kind === "first-hitting" || kind === "parallel";
  let masked = totalOf(state.maskedCounts());
  for await (const _ of stepsOf(model, state, network, options)) {
    const left = totalOf(state.maskedCounts());
    if (everyStepReveals && left === masked) throw stuck(state);
    masked = left;
    yield;
  }
  if (masked > 0) throw stuck(state);
}

function totalOf(counts: Int32Array): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

function stuck(state: SamplingState): DdscError {
  const place = state.unfinished()[0] ?? 0;
  return new DdscError(
    "SAMPLING_STUCK",
    `the model leaves ${state.masked(place).length} tokens of cell ${state.batch.cells[place]} masked where a value has to be drawn: its weights are damaged, or its training diverged; restore it, or train again with a lower learning rate`,
    { argument: "model" },
  );
}

function stepsOf(
  model: DenoisingModel,
  state: SamplingState,
  network: SamplingNetwork,
  options: CheckedSampling,
): AsyncGenerator<void> {
  const { sampler } = options;
  switch (sampler.kind) {
    case "ancestral":
    case "cached-ancestral":
    case "analytic":
      return stepwise(model, state, network, options, sampler);
    case "first-hitting":
      return firstHitting(model, state, network, options, sampler);
    case "parallel":
      return parallel(model, state, network, sampler);
  }
}

function snapshot(state: SamplingState, step: number): SamplingStep {
  return {
    step,
    time: state.time.slice(),
    tokens: state.tokens.slice(),
    masked: state.maskedCounts(),
    networkEvaluations: state.networkEvaluations.slice(),
  };
}
