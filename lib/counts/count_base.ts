import { checkKind } from "../base/arguments.js";
import { DdscError } from "../base/errors.js";
import { isNumbers } from "../base/json.js";

/** The saved form of a `CountBase`: JSON writes doubles so that they are read as they were. */
export interface CountBaseJson {
  readonly share: readonly number[];
  readonly size: readonly number[];
  readonly meanDepth: number;
  readonly spread: number;
}

/**
 * What the training cells say of each gene and of depth, from which the count model's base is made: the negative binomial of
 * each gene at the cell's depth (formulas: head of reference/counts_torch.py). Counted by `DepthStatistics`, saved with the
 * model.
 *
 * Depth L is the total that a cell would have if it measured every gene of the statistics: the mean count of gene g is
 * L * share[g].
 */
export class CountBase {
  /** Share of each gene of all counts, summing to 1 over the measured genes; 0 for special ids. [gene vocabulary] */
  readonly share: Float64Array;
  /** Size r of each gene's negative binomial (variance = mean + mean^2 / r), 0.01..100; 1 for special ids. [gene vocabulary] */
  readonly size: Float64Array;
  /** Mean depth of the training cells. */
  readonly meanDepth: number;
  /** a: squared mean over variance of the training cells' depth; how firmly depth is believed to be the mean. */
  readonly spread: number;

  /**
   * Throws `ARGUMENT_RANGE` for lists of different length, a share outside 0..1, a size that is not above 0, a mean depth or
   * spread that is not above 0, numbers that are not finite.
   */
  constructor(parts: {
    readonly share: Float64Array;
    readonly size: Float64Array;
    readonly meanDepth: number;
    readonly spread: number;
  }) {
    checkKind("parts", parts, "object");
    checkKind("share", parts.share, "doubles");
    checkKind("size", parts.size, "doubles");
    const problem = problemOf(parts);
    if (problem !== undefined)
      throw new DdscError("ARGUMENT_RANGE", `statistics of counts: ${problem}`, { argument: "parts" });
    this.share = parts.share;
    this.size = parts.size;
    this.meanDepth = parts.meanDepth;
    this.spread = parts.spread;
  }

  /** The statistics that `toJSON` wrote. Throws `CHECKPOINT_CONFIG` for anything else; `file` is named in messages. */
  static fromJSON(json: unknown, file?: string): CountBase {
    const { share, size, meanDepth, spread } = (json ?? {}) as Readonly<Record<keyof CountBaseJson, unknown>>;
    const problem =
      isNumbers(share) && isNumbers(size) && typeof meanDepth === "number" && typeof spread === "number"
        ? problemOf({ share, size, meanDepth, spread })
        : "share and size must be lists of numbers, meanDepth and spread numbers";
    if (problem === undefined) {
      return new CountBase({
        share: Float64Array.from(share as readonly number[]),
        size: Float64Array.from(size as readonly number[]),
        meanDepth: meanDepth as number,
        spread: spread as number,
      });
    }
    throw new DdscError(
      "CHECKPOINT_CONFIG",
      `${file === undefined ? "" : `${file}: `}the statistics of counts do not fit: ${problem}; the file is damaged or was changed by hand: restore it`,
      file === undefined ? {} : { file },
    );
  }

  /** Plain JSON from which `fromJSON` makes the same statistics again, to the last bit. */
  toJSON(): CountBaseJson {
    const { share, size, meanDepth, spread } = this;
    return { share: [...share], size: [...size], meanDepth, spread };
  }

  /**
   * Depth of a cell of which no total is given: L = (V + a) / (S + a / mean depth), the visible total V over the visible
   * share S, drawn to the mean depth the more the less is visible.
   */
  estimateDepth(visibleTotal: number, visibleShare: number): number {
    return estimateDepth(this, visibleTotal, visibleShare);
  }

  /**
   * Depth that a cell of the whole total D leaves for its hidden genes: max(D - V, 1/2) / (1 - S), so that their mean counts
   * sum to what is left.
   * @param hiddenShare the sum of the hidden genes' shares (`CountRows.hiddenShare`): of a cell that does not measure every
   *   gene it is less than 1 - S, which it is by default, and where little is hidden it is more exact
   */
  remainingDepth(
    total: number,
    visibleTotal: number,
    visibleShare: number,
    hiddenShare = 1 - visibleShare,
  ): number {
    return Math.max(total - visibleTotal, 0.5) / hiddenShare;
  }
}

/** What is wrong with statistics, if anything. */
function problemOf(parts: {
  readonly share: ArrayLike<number>;
  readonly size: ArrayLike<number>;
  readonly meanDepth: number;
  readonly spread: number;
}): string | undefined {
  const { share, size, meanDepth, spread } = parts;
  if (share.length !== size.length) return `${share.length} shares but ${size.length} sizes`;
  for (let gene = 0; gene < share.length; gene++) {
    const [ofGene, sizeOfGene] = [share[gene] as number, size[gene] as number];
    if (!(ofGene >= 0 && ofGene <= 1)) return `the share of gene id ${gene} is ${ofGene}, not within 0..1`;
    if (!(sizeOfGene > 0 && sizeOfGene < Number.POSITIVE_INFINITY))
      return `the size of gene id ${gene} is ${sizeOfGene}, not above 0`;
  }
  for (const [name, value] of Object.entries({ meanDepth, spread })) {
    if (!(value > 0 && value < Number.POSITIVE_INFINITY)) return `${name} is ${value}, not above 0`;
  }
  return undefined;
}

/** `CountBase.estimateDepth`, for who has the two statistics alone. */
export function estimateDepth(
  { spread, meanDepth }: Pick<CountBase, "spread" | "meanDepth">,
  visibleTotal: number,
  visibleShare: number,
): number {
  return (visibleTotal + spread) / (visibleShare + spread / meanDepth);
}

/** Sum of the shares of some genes. */
export function shareOf(genes: Int32Array, share: Float64Array): number {
  let sum = 0;
  for (const gene of genes) sum += share[gene] as number;
  return sum;
}
