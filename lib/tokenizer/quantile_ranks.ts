import { checkWhole, DdscError } from "../base/errors.js";
import { interpolate, unitSteps } from "./float32.js";
import { AscendingOrder } from "./order.js";
import type { TokenStrategy } from "./strategy.js";

/** Number of ranks of the published model. */
export const DEFAULT_RANKS = 51;

/**
 * The published tokenizer: a count's rank is its quantile bin among the cell's own expressed counts,
 *
 *   edges = quantile(expressed, linspace(0, 1, R + 1))[1 .. R-1],   rank = #{ edges < count },
 *
 * quantiles with linear interpolation, in float32 arithmetic exactly as `torch.quantile` and `torch.bucketize`
 * (right = False) compute them. Ranks are 0..R-1, never decrease with the count, and equal counts share a rank;
 * the smallest count of a cell always has rank 0.
 *
 * Zeros (unexpressed genes) take no part in the quantiles and get rank 0.
 *
 * An instance keeps scratch memory between calls: use one per thread.
 */
export class QuantileRanks implements TokenStrategy {
  readonly kind = "quantile-ranks";
  /** Number of ranks R. */
  readonly values: number;
  readonly #steps: Float32Array;
  readonly #edges: Float32Array;
  readonly #order = new AscendingOrder();

  /** @param options.bins number of ranks R, 2..65536; default 51. Throws `ARGUMENT_RANGE`. */
  constructor(options: { readonly bins?: number } = {}) {
    this.values = checkWhole("bins", options.bins ?? DEFAULT_RANKS, 2, 65_536);
    this.#steps = unitSteps(this.values + 1).subarray(1, this.values);
    this.#edges = new Float32Array(this.values - 1);
  }

  /** Places of the R - 1 inner quantiles in [0, 1], float32, for native code that computes the same ranks. */
  get steps(): Float32Array {
    return this.#steps;
  }

  encode(counts: Float32Array, out: Int32Array): void {
    if (out.length !== counts.length) {
      throw new DdscError(
        "ARGUMENT_RANGE",
        `expected out of length ${counts.length} (one value a count) but received length ${out.length}`,
        { argument: "out" },
      );
    }
    out.fill(0);
    const order = this.#order;
    order.sort(counts);
    const edges = this.#findEdges();
    let rank = 0;
    for (let i = 0; i < order.length; i++) {
      const count = order.sorted[i] as number;
      while (rank < edges.length && (edges[rank] as number) < count) rank++;
      out[order.indices[i] as number] = rank;
    }
  }

  /**
   * The count that stands for rank r: the (lower) median of the reference's expressed counts that have rank r,
   * so a count that occurs; where none has it, the middle of the bin's two edges. It never decreases with the
   * rank, and lies in the bin of its rank wherever that bin is not empty. Rank 0 stands for the lowest expressed
   * counts: it cannot tell an unexpressed gene from those.
   *
   * Throws `STRATEGY_NO_REFERENCE` where the reference has no expressed count, `STRATEGY_VALUE_RANGE` for a value
   * outside 0..R-1.
   */
  decode(values: Int32Array, reference: Float32Array): Float32Array {
    const order = this.#order;
    order.sort(reference);
    if (order.length === 0) {
      throw new DdscError(
        "STRATEGY_NO_REFERENCE",
        "the reference cell has no expressed gene, so ranks cannot be turned back into counts; pass expressed counts",
        { argument: "reference" },
      );
    }
    const edges = this.#findEdges();
    const sorted = order.sorted.subarray(0, order.length);
    const table = new Float32Array(this.values);
    let start = 0;
    for (let rank = 0; rank < this.values; rank++) {
      const upper = edges[rank] ?? Number.POSITIVE_INFINITY;
      let end = start;
      while (end < sorted.length && (sorted[end] as number) <= upper) end++;
      table[rank] =
        end > start
          ? (sorted[start + ((end - start - 1) >> 1)] as number)
          : ((edges[rank - 1] ?? (sorted[0] as number)) + (edges[rank] ?? (sorted.at(-1) as number))) / 2;
      start = end;
    }
    return Float32Array.from(values, (value) => {
      const count = table[value];
      if (count !== undefined) return count;
      throw new DdscError(
        "STRATEGY_VALUE_RANGE",
        `value ${value} is not a rank: expected 0..${this.values - 1}; were rank tokens passed without subtracting 2?`,
        { argument: "values" },
      );
    });
  }

  toJSON(): { readonly kind: "quantile-ranks"; readonly bins: number } {
    return { kind: this.kind, bins: this.values };
  }

  /** The R - 1 inner quantiles of the counts last ordered; meaningless where there are none. */
  #findEdges(): Float32Array {
    const { sorted, length } = this.#order;
    for (let i = 0; i < this.#edges.length && length > 0; i++) {
      const position = Math.fround((this.#steps[i] as number) * (length - 1));
      const below = Math.floor(position);
      const low = sorted[below] as number;
      const high = sorted[Math.ceil(position)] as number;
      this.#edges[i] = low === high ? low : interpolate(low, high, Math.fround(position - below));
    }
    return this.#edges;
  }
}
