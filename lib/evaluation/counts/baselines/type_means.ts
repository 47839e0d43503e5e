import type { CountBase, CountCells } from "../count_cells.js";
import { estimatedDepth, type MaskedCells } from "../masked_cells.js";
import { HiddenFlags, type MeanMethod, panelMembers, RateSums, wholeDepths } from "./mean_method.js";

/** Molecules of the average cell that a type's shares are shrunk by, in cells. */
const PRIOR_CELLS = 1;

/**
 * The mean of the cell's type: the shares of the training cells of its label, shrunk by one average cell, at the depth that the
 * visible genes tell given these shares. Depth times share for a cell without a label, or of one that no training cell has.
 */
export class TypeMeans implements MeanMethod {
  readonly name = "type mean";
  readonly settings = ["as it is"];
  readonly #base: CountBase;
  /** Shares by gene id, by label. */
  readonly #shares: ReadonlyMap<string, Float64Array>;
  readonly #hidden: HiddenFlags;

  constructor(training: CountCells, base: CountBase) {
    this.#base = base;
    this.#hidden = new HiddenFlags(base.share.length);
    const members = panelMembers(training.panelGenes, base.share.length);
    const depths = wholeDepths(training, base);
    const sums = new Map<string, RateSums>();
    training.labels?.forEach((label, cell) => {
      if (label === undefined) return;
      let sum = sums.get(label);
      if (sum === undefined) {
        sum = new RateSums(base.share.length, members);
        sums.set(label, sum);
      }
      sum.add(training, cell, depths[cell] as number);
    });
    const prior = PRIOR_CELLS * base.meanDepth;
    this.#shares = new Map(
      [...sums].map(([label, sum]) => [
        label,
        base.share.map((share, gene) => {
          const depth = sum.depth;
          return (depth * sum.rate(gene, share) + prior * share) / (depth + prior);
        }),
      ]),
    );
  }

  means(masked: MaskedCells, settings: readonly number[]): Float64Array[] {
    const { offsets, genes } = masked.queries;
    const { spread, meanDepth } = this.#base;
    const means = new Float64Array(genes.length);
    for (let cell = 0; cell < masked.cells.length; cell++) {
      const label = masked.labels?.[cell];
      const own = label === undefined ? undefined : this.#shares.get(label);
      let depth = estimatedDepth(masked, cell, this.#base);
      if (own !== undefined) {
        const hidden = this.#hidden.of(masked, cell);
        let visible = 0;
        for (const gene of masked.panelGenes[masked.panels[cell] as number] as Int32Array) {
          if (hidden[gene] === 0) visible += own[gene] as number;
        }
        depth = ((masked.visibleTotal[cell] as number) + spread) / (visible + spread / meanDepth);
      }
      const shares = own ?? this.#base.share;
      for (let query = offsets[cell] as number; query < (offsets[cell + 1] as number); query++) {
        means[query] = depth * (shares[genes[query] as number] as number);
      }
    }
    return settings.map(() => means);
  }
}
