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
    const { hidden, queries } = masked;
    const told = placesIn(this.#options.heldOut, masked.cells);
    const asked = { cells: visibleCells(masked), hidden, asked: queries, told };
    const options = { maxRows: this.#options.maxRows, signal };
    for await (const { first, said, values } of askHidden(this.#model, asked, answers, options)) {
      const start = queries.offsets[first] ?? 0;
      for (const [i, value] of values.entries()) {
        const logProbability = said.logProbability[i] ?? 0;
        found.logProbability[start + i] = logProbability - (tokens.logWidth[value] ?? 0);
        found.mean[start + i] = said.mean[i] ?? 0;
        found.below[start + i] = said.below[i] ?? 0;
        found.at[start + i] = Math.exp(logProbability);
        found.expressed[start + i] = said.expressed[i] ?? 0;
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
