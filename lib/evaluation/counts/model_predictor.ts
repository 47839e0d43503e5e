import { checkKind, checkOptions } from "../../base/arguments.js";
import { DdscError } from "../../base/errors.js";
import type { CellConditions } from "../../conditions/cell_conditions.js";
import type { CountBase } from "../../counts/count_base.js";
import { networkRows } from "../../counts/network_rows.js";
import { ratePosterior } from "../../counts/posterior.js";
import { type ChooseQueriesInput, chooseQueries } from "../../native/counts.js";
import type { NativeDenoiser } from "../../native/denoiser.js";
import type { NativeCountStatistics } from "../../native/types.js";
import { CountTokens } from "../../tokenizer/index.js";
import { type CountCells, cellCount, checkCellArrays, measuredGenes } from "./count_cells.js";
import type { HiddenGenes, MaskedCells } from "./masked_cells.js";
import {
  type CountDenoiser,
  type CountPredictor,
  emptyPredictions,
  type QueryPredictions,
} from "./predictor.js";

/** What the evaluation of a model of counts needs of it; `Denoiser` has it all. */
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

/** Options of `ModelPredictor`. */
export interface ModelPredictorOptions {
  readonly heldOut: SourceCells;
  readonly training: SourceCells;
  /** Rows of one run of the network at most (a longer cell runs alone); default 32,768. */
  readonly maxRows?: number;
}

const MAX_ROWS = 32_768;
/** Genes are hidden in so many folds, each gene once, to be denoised from the others. */
const FOLDS = 5;

const tokens = new CountTokens();

/** A model of counts among the methods of an evaluation: predicts hidden genes, and denoises cells. */
export class ModelPredictor implements CountPredictor, CountDenoiser {
  readonly name = "model";
  readonly #model: CountModel;
  readonly #base: CountBase;
  readonly #options: ModelPredictorOptions;

  /** Throws `MODEL_BASE` for a model that was never trained. */
  constructor(model: CountModel, options: ModelPredictorOptions) {
    checkKind("model", model, "object");
    checkOptions(options);
    const { base } = model;
    if (base === undefined) {
      throw new DdscError(
        "MODEL_BASE",
        "the model has no shares and sizes of genes yet, which training counts; train it first",
        { argument: "model" },
      );
    }
    this.#model = model;
    this.#base = base;
    this.#options = options;
  }

  /** The base of the model. */
  get base(): CountBase {
    return this.#base;
  }

  async predict(masked: MaskedCells, answers: Int32Array, signal?: AbortSignal): Promise<QueryPredictions> {
    const found = emptyPredictions(answers.length);
    const cells = visibleCells(masked);
    const asked = { cells, hidden: masked.hidden, told: placesIn(this.#options.heldOut, masked.cells) };
    await this.#ask(
      { ...asked, answers: answersOfHidden(masked, answers) },
      signal,
      (first, end, genes, statistics, values) => {
        const start = masked.hidden.offsets[first] ?? 0;
        for (let cell = first; cell < end; cell++) {
          // Of the cell's hidden genes, those that are asked about; both ascend.
          let query = (masked.hidden.offsets[cell] ?? 0) - start;
          for (let i = masked.queries.offsets[cell] ?? 0; i < (masked.queries.offsets[cell + 1] ?? 0); i++) {
            while (genes[query] !== masked.queries.genes[i]) query++;
            const value = values[query] ?? 0;
            found.logProbability[i] = (statistics.logProbability[query] ?? 0) - (tokens.logWidth[value] ?? 0);
            found.mean[i] = statistics.mean[query] ?? 0;
            found.below[i] = statistics.below[query] ?? 0;
            found.at[i] = Math.exp(statistics.logProbability[query] ?? 0);
            found.expressed[i] = statistics.expressed[query] ?? 0;
            query++;
          }
        }
      },
    );
    return found;
  }

  /**
   * Each gene is hidden once, in folds by its id, and predicted from the others; what was counted of it is then taken into account
   * (`ratePosterior`).
   */
  async denoise(
    cells: CountCells,
    of: { readonly places: Int32Array; readonly training: boolean },
    signal?: AbortSignal,
  ): Promise<Float64Array> {
    checkCellArrays("cells", cells);
    checkKind("of", of, "object");
    const { places, training } = of;
    checkKind("places", places, "integers");
    if (signal !== undefined) checkKind("signal", signal, "signal");
    const { training: trained, heldOut } = this.#options;
    const told = placesIn(training ? trained : heldOut, places);
    const starts = startsOf(cells);
    const means = new Float64Array(starts.at(-1) ?? 0);
    for (let fold = 0; fold < FOLDS; fold++) {
      const hidden = genesOfFold(cells, fold);
      await this.#ask({ cells, hidden, told }, signal, (first, end, genes, { mean, variance }) => {
        let query = 0;
        for (let cell = first; cell < end; cell++) {
          const measured = measuredGenes(cells, cell);
          const count = hidden.offsets[cell + 1] ?? 0;
          let place = 0;
          let entry = cells.offsets[cell] ?? 0;
          for (let i = hidden.offsets[cell] ?? 0; i < count; i++, query++) {
            const gene = genes[query] ?? 0;
            while ((measured[place] ?? gene) < gene) place++;
            while (entry < (cells.offsets[cell + 1] ?? 0) && (cells.genes[entry] ?? 0) < gene) entry++;
            const isCounted = entry < (cells.offsets[cell + 1] ?? 0) && cells.genes[entry] === gene;
            means[(starts[cell] ?? 0) + place] = ratePosterior(
              mean[query] ?? 0,
              variance[query] ?? 0,
              isCounted ? (cells.counts[entry] ?? 0) : 0,
            ).mean;
          }
        }
      });
    }
    return means;
  }

  /** Asks about all hidden genes, some cells at a time; `take` is told what the model says of cells first .. end - 1. */
  async #ask(
    { cells, hidden, told, answers }: Asked,
    signal: AbortSignal | undefined,
    take: (
      first: number,
      end: number,
      genes: Int32Array,
      said: NativeCountStatistics,
      values: Int32Array,
    ) => void,
  ): Promise<void> {
    const { maxRows = MAX_ROWS } = this.#options;
    const { summaryInput, tokenizer, native, inferenceWeights } = this.#model;
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
      signal?.throwIfAborted();
      const own = told.rows.subarray(first, end);
      const batch = { ...slice(cells, first, end), cells: own };
      const hide = sliceHidden(hidden, first, end);
      const chosen = await chooseQueries({
        batch,
        panels: cells.panelGenes,
        share: this.#base.share,
        hide,
        zeros: Number.POSITIVE_INFINITY,
        expressed: Number.POSITIVE_INFINITY,
        evidence: tokenizer.maxLength - 1,
        ...(summaryInput === undefined ? {} : { summary: summaryInput }),
        seed: 0,
        step: 0,
      });
      const total = new Float32Array(end - first).fill(Number.NaN);
      const network = networkRows(chosen, this.#base, { ...told.conditions.of(own), total });
      using prediction = await native.predictCounts(network, { weights: inferenceWeights }, signal);
      const start = hidden.offsets[first] ?? 0;
      const values = Int32Array.from(hide.genes, (_, i) => tokens.valueOf(answers?.[start + i] ?? 0));
      take(first, end, hide.genes, await prediction.statistics({ targets: values }), values);
    }
  }
}

/** Cells, the genes of them that are hidden, and their true counts where there is something to compare. */
interface Asked {
  readonly cells: CountCells;
  readonly hidden: HiddenGenes;
  readonly told: SourceCells;
  readonly answers?: Int32Array;
}

/** Those at some places. */
function placesIn({ rows, conditions }: SourceCells, places: Int32Array): SourceCells {
  return { rows: Float64Array.from(places, (place) => rows[place] ?? 0), conditions };
}

/** What is visible of masked cells. */
function visibleCells(masked: MaskedCells): CountCells {
  return {
    offsets: masked.visibleOffsets,
    genes: masked.visibleGenes,
    counts: masked.visibleCounts,
    panels: masked.panels,
    panelGenes: masked.panelGenes,
  };
}

/** The counts of hidden genes, 0 for those that are not asked about, [hidden genes]. */
function answersOfHidden({ hidden, queries }: MaskedCells, answers: Int32Array): Int32Array {
  const all = new Int32Array(hidden.genes.length);
  for (let cell = 0; cell + 1 < hidden.offsets.length; cell++) {
    let place = hidden.offsets[cell] ?? 0;
    for (let i = queries.offsets[cell] ?? 0; i < (queries.offsets[cell + 1] ?? 0); i++) {
      while (hidden.genes[place] !== queries.genes[i]) place++;
      all[place] = answers[i] ?? 0;
    }
  }
  return all;
}

/** Measured genes of each cell that are in a fold, by a hash of their id (Knuth's multiplicative one). */
function genesOfFold(cells: CountCells, fold: number): HiddenGenes {
  const isIn = (gene: number) => (Math.imul(gene, 2654435761) >>> 16) % FOLDS === fold;
  const byPanel = cells.panelGenes.map((genes) => genes.filter(isIn));
  const offsets = new Int32Array(cellCount(cells) + 1);
  for (const [cell, panel] of cells.panels.entries())
    offsets[cell + 1] = (offsets[cell] ?? 0) + (byPanel[panel]?.length ?? 0);
  const genes = new Int32Array(offsets.at(-1) ?? 0);
  for (const [cell, panel] of cells.panels.entries())
    genes.set(byPanel[panel] ?? new Int32Array(0), offsets[cell]);
  return { offsets, genes };
}

/** First measured gene of each cell, cells end to end, [cells + 1]. */
function startsOf(cells: CountCells): Int32Array {
  const starts = new Int32Array(cellCount(cells) + 1);
  for (let cell = 0; cell < cellCount(cells); cell++)
    starts[cell + 1] = (starts[cell] ?? 0) + measuredGenes(cells, cell).length;
  return starts;
}

function slice(cells: CountCells, first: number, end: number) {
  const start = cells.offsets[first] ?? 0;
  return {
    offsets: cells.offsets.slice(first, end + 1).map((offset) => offset - start),
    genes: cells.genes.subarray(start, cells.offsets[end]),
    counts: cells.counts.subarray(start, cells.offsets[end]),
    panels: cells.panels.subarray(first, end),
  };
}

function sliceHidden({ offsets, genes }: HiddenGenes, first: number, end: number): HiddenGenes {
  const start = offsets[first] ?? 0;
  return {
    offsets: offsets.slice(first, end + 1).map((offset) => offset - start),
    genes: genes.subarray(start, offsets[end]),
  };
}
