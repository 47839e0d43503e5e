import { checkKind, checkOptions } from "../../base/arguments.js";
import { DdscError } from "../../base/errors.js";
import type { ToldCells } from "../../counts/network_rows.js";
import type { GeneLists } from "../../native/counts.js";
import { type AskedCell, drawCounts } from "./ask.js";
import { type CountSamplingModel, requireBase } from "./model.js";
import { type CheckedCountSampling, type CountSamplingOptions, checkCountSampling } from "./options.js";
import { revealPlan, stepsOf } from "./reveals.js";
import { type CellsToComplete, CountState } from "./state.js";

/** Cells to complete, and what they are told. */
export interface CompletionInput extends CellsToComplete {
  /** Conditions of the cells; default: none are given. */
  readonly conditions?: Pick<ToldCells, "labels" | "numbers">;
  /** Whole total of each cell, that of the hidden genes included, [cells]; NaN, the default: not given, estimated from what is visible. */
  readonly total?: Float32Array;
}

/** Counts of cells, sparse. */
export interface CompletedCells {
  /** [cells + 1] */
  readonly offsets: Int32Array;
  /** Gene ids of the counts above 0, ascending within a cell. */
  readonly genes: Int32Array;
  readonly counts: Int32Array;
}

/** Cells on their way: after `step` steps. */
export interface CompletionStep extends CompletedCells {
  /** 0 for the cells as they were given. */
  readonly step: number;
  /** Hidden genes of each cell, [cells]. */
  readonly hidden: Int32Array;
  /** Which these are, ascending within a cell. What is in neither list is visible with a count of 0. */
  readonly hiddenGenes: GeneLists;
}

/**
 * Draws the hidden genes of cells from a model of counts, step by step; what is visible is evidence and never changes. A step
 * asks about the genes that it reveals alone. The first state is the cells as given, in the last nothing is hidden.
 *
 * Random numbers are named by seed and a cell's index in `visible.cells`, so a cell is completed alike whichever cells are beside
 * it. Throws `MODEL_VALUES`, `MODEL_BASE`, `BATCH_INVALID`, `ARGUMENT_*`, `SAMPLER_UNKNOWN`, `MODEL_NOT_FINITE` where the model says
 * nothing finite; rejects with the signal's reason when aborted.
 */
export async function* completionSteps(
  model: CountSamplingModel,
  cells: CompletionInput,
  options: CountSamplingOptions = {},
): AsyncGenerator<CompletionStep> {
  const { state, steps } = begin(model, cells, options);
  let step = 0;
  yield snapshot(state, step);
  for await (const _ of steps) yield snapshot(state, ++step);
}

/** `completionSteps` without the steps. */
export async function completeCells(
  model: CountSamplingModel,
  cells: CompletionInput,
  options: CountSamplingOptions = {},
): Promise<CompletedCells> {
  const { state, steps } = begin(model, cells, options);
  for await (const _ of steps);
  const { hide: _, ...completed } = visibleCells(state);
  return completed;
}

/** The cells as they are given, and the steps that complete them. */
function begin(model: CountSamplingModel, cells: CompletionInput, options: CountSamplingOptions) {
  requireBase(model);
  checkOptions(options);
  checkKind("cells", cells, "object");
  const checked = checkCountSampling(options, model.inferenceWeights);
  const state = new CountState(cells);
  const told = toldCells(model, cells, state.cells.length);
  checkGuided(model, checked);
  return { state, steps: complete(model, state, told, checked) };
}

/** Completes the cells of a state; yields after each step. */
async function* complete(
  model: CountSamplingModel,
  state: CountState,
  told: ToldCells,
  options: CheckedCountSampling,
): AsyncGenerator<void> {
  const { sampler, guidance, seed, signal } = options;
  const cells = Array.from(state.cells.keys());
  const plans = cells.map((cell) => revealPlan(sampler, state, cell, seed));
  const most = cells.reduce((hidden, cell) => Math.max(hidden, state.hidden(cell)), 0);
  const steps = stepsOf(sampler, most);
  for (let step = 0; step < steps; step++) {
    signal?.throwIfAborted();
    const asked: AskedCell[] = [];
    for (const [cell, plan] of plans.entries()) {
      const { reveal, hide } = plan(step);
      if (hide !== undefined) state.hide(cell, hide);
      if (reveal.length > 0) asked.push({ cell, places: reveal });
    }
    const gamma =
      guidance.ramp === undefined ? guidance.gamma : 1 + ((guidance.gamma - 1) * (step + 1)) / steps;
    await drawCounts(model, state, asked, told, { ...options, step, gamma });
    yield;
  }
  const stuck = cells.find((cell) => state.hidden(cell) > 0);
  if (stuck === undefined) return;
  throw new DdscError(
    "INTERNAL",
    `${state.hidden(stuck)} genes of cell ${stuck} are still hidden after the last step`,
  );
}

function toldCells(
  model: CountSamplingModel,
  { conditions, total }: CompletionInput,
  count: number,
): ToldCells {
  const labelled = model.conditions.filter(({ kind }) => kind === "labels").length;
  const numbered = model.conditions.length - labelled;
  const told = {
    labels: conditions?.labels ?? new Int32Array(count * labelled),
    numbers: conditions?.numbers ?? new Float32Array(count * numbered).fill(Number.NaN),
    total: total ?? new Float32Array(count).fill(Number.NaN),
  };
  checkKind("conditions.labels", told.labels, "integers");
  checkKind("conditions.numbers", told.numbers, "floats");
  checkKind("total", told.total, "floats");
  if (
    told.labels.length === count * labelled &&
    told.numbers.length === count * numbered &&
    told.total.length === count
  )
    return told;
  throw new DdscError(
    "ARGUMENT_LENGTH",
    `expected ${labelled} labels, ${numbered} numbers and a total for each of ${count} cells`,
    { argument: "conditions" },
  );
}

/** Throws `MODEL_CONFIG` where there is nothing to be guided by. */
function checkGuided({ conditions }: CountSamplingModel, { guidance }: CheckedCountSampling): void {
  if (conditions.length > 0 || guidance.gamma === 1) return;
  throw new DdscError(
    "MODEL_CONFIG",
    "guidance is by conditions, and the model has none; train it with --condition, or leave guidance out",
    { argument: "guidance" },
  );
}

function visibleCells(state: CountState): CompletedCells & { readonly hide: GeneLists } {
  const { batch, hide } = state.view(Array.from(state.cells.keys()));
  const { offsets, genes, counts = new Int32Array(0) } = batch;
  return { offsets, genes, counts, hide };
}

function snapshot(state: CountState, step: number): CompletionStep {
  const { hide, ...visible } = visibleCells(state);
  return {
    step,
    hidden: Int32Array.from(state.cells, (_, cell) => state.hidden(cell)),
    hiddenGenes: hide,
    ...visible,
  };
}
