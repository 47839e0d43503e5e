import { DdscError } from "../base/errors.js";

/** How well ranks were predicted. Means; a rank is 0..R-1. */
export interface EvaluationScores {
  /** Share of the masked tokens whose most probable rank is the right one. */
  readonly maskedAccuracy: number;
  /** Share of all rank tokens that are right, the unmasked ones counted as right: the published definition. */
  readonly accuracy: number;
  /** Mean of -log p(rank) over the masked tokens, nats; absent where the predictor has no probabilities. */
  readonly crossEntropy?: number;
  /** Mean of |most probable rank - rank| over the masked tokens. */
  readonly rankMae: number;
}

/** Sums from which `EvaluationScores` follow. */
export class ScoreTotals {
  #valid = 0;
  #masked = 0;
  #correct = 0;
  #distance = 0;
  #crossEntropy: number | undefined;

  /** Masked tokens added so far. */
  get masked(): number {
    return this.#masked;
  }

  /** Counts rank tokens, masked or not. */
  addValid(tokens: number): void {
    this.#valid += tokens;
  }

  /** Adds one masked token (or rank) and what was predicted for it, with its log-probability where there is one. */
  addMasked(actual: number, predicted: number, logProbability?: number): void {
    this.#masked++;
    if (actual === predicted) this.#correct++;
    this.#distance += Math.abs(actual - predicted);
    if (logProbability !== undefined) this.#crossEntropy = (this.#crossEntropy ?? 0) - logProbability;
  }

  /** The means. Throws `EVALUATION_EMPTY` where no masked token was added. */
  scores(): EvaluationScores {
    if (this.#masked === 0) {
      throw new DdscError(
        "EVALUATION_EMPTY",
        "no held-out token was masked, so there is nothing to score; hold out more cells or raise the mask ratio",
        { argument: "heldOut" },
      );
    }
    return {
      maskedAccuracy: this.#correct / this.#masked,
      accuracy: (this.#valid - this.#masked + this.#correct) / this.#valid,
      ...(this.#crossEntropy === undefined ? {} : { crossEntropy: this.#crossEntropy / this.#masked }),
      rankMae: this.#distance / this.#masked,
    };
  }
}

/** Scores by mask ratio, the ratio written as a number ("0.5"). */
export function scoresByRatio(totals: ReadonlyMap<number, ScoreTotals>): Record<string, EvaluationScores> {
  return Object.fromEntries(Array.from(totals, ([ratio, sums]) => [String(ratio), sums.scores()]));
}
