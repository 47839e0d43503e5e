import { checkKind, checkOptions } from "../../base/arguments.js";
import { askHidden, baseOf, type CountModel, type SourceCells } from "../../counts/ask_model.js";
import type { CountBase } from "../../counts/count_base.js";
import { posteriorsInFolds } from "../../counts/posteriors.js";
import { CountTokens } from "../../tokenizer/index.js";
import { type CountCells, checkCellArrays } from "./count_cells.js";
import type { MaskedCells } from "./masked_cells.js";
import {
  type CountDenoiser,
  type CountPredictor,
  emptyPredictions,
  type QueryPredictions,
} from "./predictor.js";

/** Options of `ModelPredictor`. */
export interface ModelPredictorOptions {
  readonly heldOut: SourceCells;
  readonly training: SourceCells;
  /** Rows of one run of the network at most (a longer cell runs alone); default 32,768. */
  readonly maxRows?: number;
}

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
    this.#base = baseOf(model);
    this.#model = model;
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
    const counts = answersOfHidden(masked, answers);
    const options = { maxRows: this.#options.maxRows, signal };
    for await (const { first, end, genes, said, values } of askHidden(this.#model, asked, counts, options)) {
      const start = masked.hidden.offsets[first] ?? 0;
      for (let cell = first; cell < end; cell++) {
        // Of the cell's hidden genes, those that are asked about; both ascend.
        let query = (masked.hidden.offsets[cell] ?? 0) - start;
        for (let i = masked.queries.offsets[cell] ?? 0; i < (masked.queries.offsets[cell + 1] ?? 0); i++) {
          while (genes[query] !== masked.queries.genes[i]) query++;
          const value = values[query] ?? 0;
          found.logProbability[i] = (said.logProbability[query] ?? 0) - (tokens.logWidth[value] ?? 0);
          found.mean[i] = said.mean[query] ?? 0;
          found.below[i] = said.below[query] ?? 0;
          found.at[i] = Math.exp(said.logProbability[query] ?? 0);
          found.expressed[i] = said.expressed[query] ?? 0;
          query++;
        }
      }
    }
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
    const options = { maxRows: this.#options.maxRows, signal };
    return (await posteriorsInFolds(this.#model, { cells, told }, options)).mean;
  }
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
