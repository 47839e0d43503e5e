import { checkKind } from "../base/arguments.js";
import { checkChoice, checkWhole, DdscError } from "../base/errors.js";
import { FIRST_RANK_TOKEN, type RaggedBatch } from "../tokenizer/ragged_batch.js";

/** The predictors that know no other gene of the cell. */
export const BASELINE_KINDS = ["globalMode", "geneMode", "geneMarginal"] as const;
/** One of `BASELINE_KINDS`. */
export type BaselineKind = (typeof BASELINE_KINDS)[number];

/** What a baseline says about a gene. */
export interface BaselinePrediction {
  /** Most probable rank, the lowest on ties. */
  readonly rank: number;
  /** Probability of each rank, [R]; only of `geneMarginal`. */
  readonly probabilities?: Float64Array;
}

/** Weight of the overall rank distribution in a gene's own, in tokens. */
const PRIOR_TOKENS = 20;

/**
 * Rank frequencies of training cells, and the baselines they make:
 *
 * - globalMode: the most frequent rank of all tokens.
 * - geneMode: the gene's most frequent rank; that of all tokens for a gene never seen.
 * - geneMarginal: the gene's rank distribution p(r | g) = (n_gr + a p(r)) / (n_g + a), a = 20 tokens, with
 *   p(r) = (n_r + 1) / (n + R) over all genes: a gene never seen has the distribution of all tokens.
 */
export class RankBaselines {
  /** Number of ranks R. */
  readonly values: number;
  readonly #all: Float64Array;
  /** By gene id; counts of each rank, [R]. */
  readonly #byGene = new Map<number, Float64Array>();
  /** Predictions asked for so far, by gene id. */
  readonly #predictions = new Map<number, Readonly<Record<BaselineKind, BaselinePrediction>>>();

  /** Throws `ARGUMENT_RANGE`. */
  constructor(values: number) {
    this.values = checkWhole("values", values, 1, 65_536);
    this.#all = new Float64Array(values);
  }

  /** Counts the ranks of training cells. Throws `EVALUATION_EMPTY` where there is no rank token. */
  static async fit(
    training: Iterable<RaggedBatch> | AsyncIterable<RaggedBatch>,
    values: number,
  ): Promise<RankBaselines> {
    checkKind("training", training, "batches");
    const baselines = new RankBaselines(values);
    for await (const batch of training) baselines.add(batch);
    if (baselines.#byGene.size > 0) return baselines;
    throw new DdscError(
      "EVALUATION_EMPTY",
      "the training cells hold no rank to count, so there are no baselines; give cells with expressed genes",
      { argument: "training" },
    );
  }

  /** Counts the ranks of more cells. Throws `BATCH_INVALID` for a token that is no rank of 0..R-1. */
  add(batch: RaggedBatch): void {
    checkKind("batch", batch, "batch");
    this.#predictions.clear();
    for (let row = 0; row < batch.tokens.length; row++) {
      const rank = (batch.tokens[row] as number) - FIRST_RANK_TOKEN;
      if (rank < 0) continue;
      if (rank >= this.values) {
        throw new DdscError(
          "BATCH_INVALID",
          `token ${rank + FIRST_RANK_TOKEN} at ${row} is no rank of 0..${this.values - 1}; baselines are fitted on unmasked cells`,
          { argument: "batch" },
        );
      }
      const gene = batch.genes[row] as number;
      let counts = this.#byGene.get(gene);
      if (counts === undefined) {
        counts = new Float64Array(this.values);
        this.#byGene.set(gene, counts);
      }
      counts[rank] = (counts[rank] as number) + 1;
      this.#all[rank] = (this.#all[rank] as number) + 1;
    }
  }

  /** What a baseline predicts for a gene id. */
  predict(kind: BaselineKind, gene: number): BaselinePrediction {
    checkChoice("kind", kind, BASELINE_KINDS);
    checkWhole("gene", gene, 0);
    let predictions = this.#predictions.get(gene);
    if (predictions === undefined) {
      predictions = {
        globalMode: { rank: mode(this.#all) },
        geneMode: { rank: mode(this.#byGene.get(gene) ?? this.#all) },
        geneMarginal: this.#marginal(gene),
      };
      this.#predictions.set(gene, predictions);
    }
    return predictions[kind];
  }

  #marginal(gene: number): BaselinePrediction {
    const total = sum(this.#all) + this.values;
    const own = this.#byGene.get(gene) ?? new Float64Array(this.values);
    const ownTotal = sum(own) + PRIOR_TOKENS;
    const probabilities = this.#all.map(
      (count, rank) => ((own[rank] as number) + (PRIOR_TOKENS * (count + 1)) / total) / ownTotal,
    );
    return { rank: mode(probabilities), probabilities };
  }
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Place of the greatest value, the lowest on ties. */
function mode(values: Float64Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] as number) > (values[best] as number)) best = i;
  return best;
}
