import { DdscError } from "../base/errors.js";
import type { CellConditions } from "../conditions/cell_conditions.js";
import { type ChooseQueriesInput, chooseQueries } from "../native/counts.js";
import type { NativeDenoiser } from "../native/denoiser.js";
import type { NativeCountPrediction, NativeCountStatistics } from "../native/types.js";
import { CountTokens } from "../tokenizer/count_tokens.js";
import type { CountBase } from "./count_base.js";
import { type CountCells, cellCount, type HiddenGenes, sliceCells, sliceGenes } from "./count_cells.js";
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

/** Rows of one run of the network at most; a longer cell runs alone. */
export const MAX_ROWS = 32_768;

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

/** Cells and the genes of them that are hidden. */
export interface HiddenCells {
  readonly cells: CountCells;
  readonly hidden: HiddenGenes;
  /** Of the same cells: what names their random numbers, and what they are told. */
  readonly told: SourceCells;
}

/** What a model says of the hidden genes of cells first .. end - 1, in their order. */
export interface HiddenAnswers {
  readonly first: number;
  readonly end: number;
  /** The hidden genes of these cells, end to end. */
  readonly genes: Int32Array;
  readonly said: NativeCountStatistics;
  /** Value of each gene's true count, [genes]; 0 where none was given. */
  readonly values: Int32Array;
}

/** How a model is asked. */
export interface AskOptions {
  /** Rows of one run of the network at most; default `MAX_ROWS`. What is said does not depend on it. */
  readonly maxRows?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks a model about all hidden genes, some cells at a time.
 *
 * @param answers counts of the hidden genes, to evaluate probabilities at, never to look at
 */
export async function* askHidden(
  model: CountModel,
  { cells, hidden, told }: HiddenCells,
  answers: Int32Array | undefined,
  options: AskOptions,
): AsyncGenerator<HiddenAnswers> {
  for (const { first, end } of runsOf(cells, hidden, options.maxRows)) {
    const hide = sliceGenes(hidden, first, end);
    const start = hidden.offsets[first] ?? 0;
    const values = Int32Array.from(hide.genes, (_, i) => tokens.valueOf(answers?.[start + i] ?? 0));
    using prediction = await predict(model, { cells, told, hide }, first, end, options.signal);
    yield { first, end, genes: hide.genes, said: await prediction.statistics({ targets: values }), values };
  }
}

/** Bounds of the cells that the network gets at a time. */
function* runsOf(
  cells: CountCells,
  hidden: HiddenGenes,
  maxRows = MAX_ROWS,
): Generator<{ readonly first: number; readonly end: number }> {
  const lengthOf = (cell: number) =>
    1 +
    (hidden.offsets[cell + 1] ?? 0) -
    (hidden.offsets[cell] ?? 0) +
    (cells.offsets[cell + 1] ?? 0) -
    (cells.offsets[cell] ?? 0);
  const count = cellCount(cells);
  for (let first = 0, end = 0; first < count; first = end) {
    let length = 0;
    for (end = first; end < count && (end === first || length + lengthOf(end) <= maxRows); end++)
      length += lengthOf(end);
    yield { first, end };
  }
}

/** One run of the network: cells first .. end - 1 with the genes of `hide` hidden. */
async function predict(
  model: CountModel,
  {
    cells,
    told,
    hide,
  }: { readonly cells: CountCells; readonly told: SourceCells; readonly hide: HiddenGenes },
  first: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<NativeCountPrediction> {
  signal?.throwIfAborted();
  const { summaryInput, tokenizer, native, inferenceWeights } = model;
  const base = baseOf(model);
  const own = told.rows.subarray(first, end);
  const { offsets, genes, counts, panels, panelGenes } = sliceCells(cells, first, end);
  const chosen = await chooseQueries({
    batch: { offsets, genes, counts, panels, cells: own },
    panels: panelGenes,
    share: base.share,
    hide,
    zeros: Number.POSITIVE_INFINITY,
    expressed: Number.POSITIVE_INFINITY,
    evidence: tokenizer.maxLength - 1,
    ...(summaryInput === undefined ? {} : { summary: summaryInput }),
    seed: 0,
    step: 0,
  });
  const total = new Float32Array(end - first).fill(Number.NaN);
  const network = networkRows(chosen, base, { ...told.conditions.of(own), total });
  return native.predictCounts(network, { weights: inferenceWeights }, signal);
}
