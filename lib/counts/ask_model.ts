import { DdscError } from "../base/errors.js";
import type { CellConditions } from "../conditions/cell_conditions.js";
import type { CountPrediction } from "../native/count_prediction.js";
import { type ChooseQueriesInput, type CountRows, chooseQueries } from "../native/counts.js";
import type { NativeDenoiser } from "../native/denoiser.js";
import type { NativeCountStatistics } from "../native/types.js";
import { CountTokens } from "../tokenizer/count_tokens.js";
import type { CountBase } from "./count_base.js";
import {
  type CountCells,
  cellCount,
  type HiddenGenes,
  MAX_ROWS,
  sliceCells,
  sliceGenes,
} from "./count_cells.js";
import { networkRows } from "./network_rows.js";

/** What asking a model of counts needs of it; `Denoiser` has it all. */
export interface CountModel {
  readonly native: Pick<NativeDenoiser, "predictCounts">;
  /** Absent until it was counted. */
  readonly base: CountBase | undefined;
  /** What `chooseQueries` sums up cells with, where the model reads a summary. */
  readonly summaryInput: ChooseQueriesInput["summary"] | undefined;
  readonly inferenceWeights: "weights" | "ema";
  readonly tokenizer: {
    /** Genes of a cell that the network sees at most, cls included. */
    readonly maxLength: number;
  };
}

/** Some cells of a source. */
export interface SourceCells {
  /** Their rows, by place. */
  readonly rows: Float64Array;
  /** What the cells of the source are told. */
  readonly conditions: CellConditions;
}

const tokens = new CountTokens();

/** The model's base. Throws `MODEL_BASE` for a model that was never trained. */
export function baseOf({ base }: Pick<CountModel, "base">): CountBase {
  if (base !== undefined) return base;
  throw new DdscError(
    "MODEL_BASE",
    "the model has no shares and sizes of genes yet, which training counts; train it first",
    { argument: "model" },
  );
}

/** Cells, and what of them is hidden and asked about. */
export interface HiddenCells {
  readonly cells: CountCells;
  readonly hidden: HiddenGenes;
  /** Which of the hidden genes are asked about; default all. */
  readonly asked?: HiddenGenes;
  /** Of the same cells: what names their random numbers, and what they are told. */
  readonly told: SourceCells;
}

/** What a model says of the genes of cells first .. end - 1 that are asked about, in their order. */
export interface HiddenAnswers {
  readonly first: number;
  readonly end: number;
  readonly said: NativeCountStatistics;
  /** Value of each gene's true count, [genes]. */
  readonly values: Int32Array;
}

/** How a model is asked. */
export interface AskOptions {
  /** Rows of one run of the network at most; default `MAX_ROWS`. What is said does not depend on it. */
  readonly maxRows?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks a model about hidden genes, some cells at a time. What it says of a gene does not depend on what else is asked.
 *
 * @param answers counts of the genes that are asked about, to evaluate probabilities at, never to look at
 */
export async function* askHidden(
  model: CountModel,
  given: HiddenCells,
  answers: Int32Array,
  options: AskOptions,
): AsyncGenerator<HiddenAnswers> {
  const { asked = given.hidden } = given;
  for (const { first, end } of runsOfHidden(given, options.maxRows)) {
    const values = answers
      .subarray(asked.offsets[first], asked.offsets[end])
      .map((count) => tokens.valueOf(count));
    using prediction = await predict(model, given, first, end, options.signal);
    yield { first, end, said: await prediction.statistics({ targets: values }), values };
  }
}

/** z of each cell with every measured gene visible, [cells, state]: what the model makes of the cell. */
export async function cellStates(
  model: CountModel,
  { cells, told }: Pick<HiddenCells, "cells" | "told">,
  options: AskOptions,
): Promise<Float32Array> {
  const nothing = { offsets: new Int32Array(cellCount(cells) + 1), genes: new Int32Array(0) };
  const given = { cells, told, hidden: nothing };
  const states: Float32Array[] = [];
  for (const { first, end } of runsOfHidden(given, options.maxRows)) {
    using prediction = await predict(model, given, first, end, options.signal);
    states.push(await prediction.state());
  }
  const all = new Float32Array(states.reduce((sum, { length }) => sum + length, 0));
  let place = 0;
  for (const state of states) {
    all.set(state, place);
    place += state.length;
  }
  return all;
}

/** Bounds of the cells that the network gets at a time: as many as have `maxRows` rows together, one at least. */
export function* runsOf(
  count: number,
  rowsOf: (cell: number) => number,
  maxRows = MAX_ROWS,
): Generator<{ readonly first: number; readonly end: number }> {
  for (let first = 0, end = 0; first < count; first = end) {
    let rows = rowsOf(end++);
    for (; end < count; end++) {
      const more = rowsOf(end);
      if (rows + more > maxRows) break;
      rows += more;
    }
    yield { first, end };
  }
}

/** Rows of cells of which it is given what is hidden and what is asked about, as a model reads them. */
export function rowsAsked(
  { base, summaryInput, tokenizer }: Pick<CountModel, "base" | "summaryInput" | "tokenizer">,
  given: Pick<ChooseQueriesInput, "batch" | "panels" | "hide" | "ask" | "seed" | "step">,
): Promise<CountRows> {
  return chooseQueries({
    ...given,
    share: baseOf({ base }).share,
    evidence: tokenizer.maxLength - 1,
    ...(summaryInput === undefined ? {} : { summary: summaryInput }),
  });
}

function runsOfHidden(
  { cells, hidden, asked = hidden }: HiddenCells,
  maxRows: number | undefined,
): ReturnType<typeof runsOf> {
  const rowsOf = (cell: number) =>
    1 +
    (asked.offsets[cell + 1] ?? 0) -
    (asked.offsets[cell] ?? 0) +
    (cells.offsets[cell + 1] ?? 0) -
    (cells.offsets[cell] ?? 0);
  return runsOf(cellCount(cells), rowsOf, maxRows);
}

/** One run of the network: cells first .. end - 1. */
async function predict(
  model: CountModel,
  { cells, told, hidden, asked = hidden }: HiddenCells,
  first: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<CountPrediction> {
  signal?.throwIfAborted();
  const own = told.rows.subarray(first, end);
  const { offsets, genes, counts, panels, panelGenes } = sliceCells(cells, first, end);
  const chosen = await rowsAsked(model, {
    batch: { offsets, genes, counts, panels, cells: own },
    panels: panelGenes,
    hide: sliceGenes(hidden, first, end),
    ask: sliceGenes(asked, first, end),
    seed: 0,
    step: 0,
  });
  const total = new Float32Array(end - first).fill(Number.NaN);
  const network = networkRows(chosen, baseOf(model), { ...told.conditions.of(own), total });
  return model.native.predictCounts(network, { weights: model.inferenceWeights }, signal);
}
