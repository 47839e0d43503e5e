import { DdscError } from "../base/errors.js";
import type { RaggedBatch } from "../batching/index.js";
import type { BatchLimit } from "../batching/limit.js";
import { alone, type Cluster } from "../cluster/cluster.js";
import type { CellSelection } from "../data/select/selection.js";
import type { CellSource } from "../data/sources/source.js";
import type { Denoiser } from "../model/denoiser.js";
import type { CellTokenizer } from "../tokenizer/index.js";
import { addLoss, noLoss, sumOverRanks } from "./step.js";
import type { LossInputs, TrainingTask } from "./task.js";
import { tokensOfSome } from "./validation_cells.js";

/** How well the model does on held-out cells. */
export interface ValidationResult {
  /**
   * Estimate of the objective's bound (NELBO for SUBS and D3PM), nats per valid token; mean matching left out. Of counts the
   * any-order bound, nats a gene.
   */
  readonly nll: number;
  /** `nll` in bits. */
  readonly bitsPerToken: number;
  /** exp(nll). */
  readonly perplexity: number;
  /** Mean -log p(x0), nats per masked token, over mask ratios as training draws them; of counts the same as `nll`. */
  readonly crossEntropy: number;
  /** Share of the masked tokens whose most probable rank is the right one; NaN of counts. */
  readonly accuracy: number;
  /** Cells and valid tokens (of counts: queries) it was measured on. */
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
  /** The ranks that share the cells; default this process alone. */
  readonly cluster?: Cluster;
}

/**
 * Measures the moving average of a model's weights on held-out cells: always the same cells, genes, times and masks,
 * so that two results differ by the weights alone. Times are evenly spread over all cells. In a cluster each rank measures its
 * share, and all have the same result.
 */
export class Validator {
  readonly #model: Denoiser;
  readonly #inputs: LossInputs;
  readonly #cluster: Cluster;
  /** The cells. */
  readonly cells: RaggedBatch;

  private constructor(model: Denoiser, inputs: LossInputs, cells: RaggedBatch, cluster: Cluster) {
    this.#model = model;
    this.#inputs = inputs;
    this.#cluster = cluster;
    this.cells = cells;
  }

  /** Reads and keeps the cells. Throws `DATA_NO_CELLS` where none of them can be used. */
  static async create(
    model: Denoiser,
    task: Pick<TrainingTask, "validationInputs">,
    source: CellSource,
    tokenizer: CellTokenizer,
    options: ValidatorOptions,
  ): Promise<Validator> {
    const whole = await tokensOfSome(source, tokenizer, options);
    if (whole.cells.length === 0) {
      throw new DdscError(
        "DATA_NO_CELLS",
        `${source.name}: there is no held-out cell with enough expressed genes of the vocabulary; ` +
          "check the conditions on cells (--where, --holdout, --min-genes), hold out more cells, or train without validation",
        { file: source.name },
      );
    }
    const { limit, seed, cluster = alone } = options;
    const inputs = await task.validationInputs(whole, { limit, seed, share: cluster });
    return new Validator(model, inputs, whole, cluster);
  }

  /** Runs over all cells; rejects with the signal's reason where it is aborted. */
  async run(signal?: AbortSignal): Promise<ValidationResult> {
    const { inputs, divisor, constant } = this.#inputs;
    let own = noLoss;
    for (const input of inputs) {
      own = addLoss(own, await this.#model.native.evaluate({ ...input, weights: "ema" }, signal));
    }
    const sums = await sumOverRanks(this.#cluster, { ...own, constant });
    const ofCounts = this.#model.config.counts !== undefined;
    const nll = (sums.loss + sums.constant) / divisor;
    return {
      nll,
      bitsPerToken: nll / Math.LN2,
      perplexity: Math.exp(nll),
      crossEntropy: ofCounts ? nll : sums.crossEntropy / sums.maskedTokens,
      accuracy: ofCounts ? Number.NaN : sums.correct / sums.maskedTokens,
      cells: this.cells.cells.length,
      tokens: ofCounts ? sums.maskedTokens : sums.validTokens,
    };
  }
}
