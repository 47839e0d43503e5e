import { DdscError } from "../base/errors.js";
import { type BatchLimit, type RaggedBatch, splitBatch } from "../batching/index.js";
import type { CellSelection } from "../data/select/selection.js";
import type { CellSource } from "../data/sources/source.js";
import type { Denoiser } from "../model/denoiser.js";
import type { NativeLossInput } from "../native/types.js";
import type { CellTokenizer } from "../tokenizer/index.js";
import { addLoss, lossInputs, noLoss } from "./step.js";
import { tokensOfSome } from "./validation_cells.js";

/** How well the model does on held-out cells. */
export interface ValidationResult {
  /** Estimate of the objective's bound (NELBO for SUBS and D3PM), nats per valid token; mean matching left out. */
  readonly nll: number;
  /** `nll` in bits. */
  readonly bitsPerToken: number;
  /** exp(nll). */
  readonly perplexity: number;
  /** Mean -log p(x0), nats per masked token, over mask ratios as training draws them. */
  readonly crossEntropy: number;
  /** Share of the masked tokens whose most probable rank is the right one. */
  readonly accuracy: number;
  /** Cells and valid tokens it was measured on. */
  readonly cells: number;
  readonly tokens: number;
}

/** What a validation is made of. */
export interface ValidatorOptions {
  /** The held-out cells of the source. */
  readonly selection: CellSelection;
  /** Cells used at most, chosen once by the seed. */
  readonly cells: number;
  readonly limit: BatchLimit;
  readonly seed: number;
}

/**
 * Measures the moving average of a model's weights on held-out cells: always the same cells, genes, times and masks,
 * so that two results differ by the weights alone. Times are evenly spread over all cells.
 */
export class Validator {
  readonly #model: Denoiser;
  readonly #inputs: readonly NativeLossInput[];
  /** The cells, in batches. */
  readonly batches: readonly RaggedBatch[];

  private constructor(model: Denoiser, inputs: readonly NativeLossInput[], batches: readonly RaggedBatch[]) {
    this.#model = model;
    this.#inputs = inputs;
    this.batches = batches;
  }

  /** Reads and keeps the cells. Throws `DATA_NO_CELLS` where none of them can be used. */
  static async create(
    model: Denoiser,
    source: CellSource,
    tokenizer: CellTokenizer,
    options: ValidatorOptions,
  ): Promise<Validator> {
    const { seed } = options;
    const whole = await tokensOfSome(source, tokenizer, options);
    if (whole.cells.length === 0) {
      throw new DdscError(
        "DATA_NO_CELLS",
        `${source.name}: there is no held-out cell with enough expressed genes of the vocabulary; ` +
          "hold out more cells, or train without validation",
        { file: source.name },
      );
    }
    const even = { strategy: model.strategy, diffusion: { ...model.diffusion, antithetic: true } };
    const batches = splitBatch(whole, options.limit);
    const inputs = lossInputs(even, batches, { seed, step: 0 });
    return new Validator(
      model,
      inputs.map(({ noise: { meanWeight: _, ...noise }, ...input }) => ({
        ...input,
        noise,
        weights: "ema" as const,
      })),
      batches,
    );
  }

  /** Runs over all cells; rejects with the signal's reason where it is aborted. */
  async run(signal?: AbortSignal): Promise<ValidationResult> {
    let sums = noLoss;
    let cells = 0;
    for (const input of this.#inputs) {
      sums = addLoss(sums, await this.#model.native.evaluate(input, signal));
      cells += input.batch.cells.length;
    }
    const nll = sums.loss / sums.validTokens;
    return {
      nll,
      bitsPerToken: nll / Math.LN2,
      perplexity: Math.exp(nll),
      crossEntropy: sums.crossEntropy / sums.maskedTokens,
      accuracy: sums.correct / sums.maskedTokens,
      cells,
      tokens: sums.validTokens,
    };
  }
}
