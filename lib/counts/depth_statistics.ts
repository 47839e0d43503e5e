import { checkKind } from "../base/arguments.js";
import { checkWhole, DdscError } from "../base/errors.js";
import { END_GENE, type RaggedBatch } from "../tokenizer/ragged_batch.js";
import { CountBase, shareOf } from "./count_base.js";
import { sizeByMoments } from "./negative_binomial.js";

/** Sums over the cells of one panel. */
interface PanelSums {
  /** Ids of its genes, ascending. */
  readonly genes: Int32Array;
  /** By gene id, three numbers each: sum of its counts, of their squares, of count times the cell's total. [gene vocabulary, 3] */
  readonly ofGenes: Float64Array;
  /** Sums of the cells' totals and of their squares. */
  total: number;
  squaredTotal: number;
  cells: number;
}

/** A change of all shares by less, relative to each, is none. */
const STANDS_STILL = 1e-14;
const MOST_ROUNDS = 10_000;
/** Genes whose sums are added up over processes at a time: of a thousand of them some 100 MB. */
const GENES_AT_ONCE = 4096;
/** What every gene's count is thought to be more than it was. */
const PSEUDO_COUNT = 0.5;
/** Variance of depth is taken to be this at least. */
const LEAST_VARIANCE = 1e-9;

/**
 * Counts what `CountBase` needs in one pass over training cells: sums a panel and gene, three doubles each, so memory does not
 * grow with the cells. Sums of whole numbers are exact below 2^53, in any order of the cells.
 */
export class DepthStatistics {
  readonly #size: number;
  readonly #panels: readonly Int32Array[];
  readonly #sums = new Map<number, PanelSums>();

  /**
   * @param vocabularySize rows of the gene embedding, specials included
   * @param panels of the mapping that the batches are of (`GeneMapping.panels`)
   */
  constructor(vocabularySize: number, panels: readonly Int32Array[]) {
    this.#size = checkWhole("vocabularySize", vocabularySize, END_GENE + 1);
    checkKind("panels", panels, "panels");
    this.#panels = panels;
  }

  /** Takes in the cells of a batch. Throws `BATCH_INVALID` for one without counts or with panels that there are not. */
  add(batch: RaggedBatch): void {
    checkKind("batch", batch, "batch");
    const { offsets, genes, counts, panels, cells } = batch;
    if (counts === undefined || panels === undefined) {
      throw new DdscError(
        "BATCH_INVALID",
        "the batch has no counts and panels; make it with a tokenizer whose strategy is CountTokens",
        { argument: "batch" },
      );
    }
    for (let cell = 0; cell < cells.length; cell++) {
      const sums = this.#sumsOf(panels[cell] as number);
      const { ofGenes } = sums;
      const first = offsets[cell] as number;
      const end = offsets[cell + 1] as number;
      let total = 0;
      for (let i = first; i < end; i++) total += counts[i] as number;
      for (let i = first; i < end; i++) {
        const at = 3 * (genes[i] as number);
        const count = counts[i] as number;
        ofGenes[at] = (ofGenes[at] as number) + count;
        ofGenes[at + 1] = (ofGenes[at + 1] as number) + count * count;
        ofGenes[at + 2] = (ofGenes[at + 2] as number) + count * total;
      }
      sums.total += total;
      sums.squaredTotal += total * total;
      sums.cells++;
    }
  }

  /**
   * Adds up what several processes counted of cells of their own, the panels the same: from then on each has the statistics of all
   * cells. The same bits as of one process that counted them all, as long as sums are whole numbers below 2^53.
   *
   * @param sum of a list of as many numbers on each process, such as `Cluster.sum`
   */
  async addUp(sum: (values: readonly number[]) => Promise<readonly number[]>): Promise<void> {
    for (const [panel, genes] of this.#panels.entries()) {
      const own = this.#sums.get(panel);
      const { cells = 0, total = 0, squaredTotal = 0 } = own ?? {};
      const [allCells = 0, allTotal = 0, allSquared = 0] = await sum([cells, total, squaredTotal]);
      // A panel that no process has met is none, here as there.
      if (allCells === 0) continue;
      const sums = this.#sumsOf(panel);
      sums.cells = allCells;
      sums.total = allTotal;
      sums.squaredTotal = allSquared;
      for (let first = 0; first < genes.length; first += GENES_AT_ONCE) {
        const some = [...genes.subarray(first, first + GENES_AT_ONCE)].flatMap((gene) => [
          3 * gene,
          3 * gene + 1,
          3 * gene + 2,
        ]);
        const added = await sum(some.map((at) => sums.ofGenes[at] ?? 0));
        for (const [i, at] of some.entries()) sums.ofGenes[at] = added[i] ?? 0;
      }
    }
  }

  /** Cells so far. */
  get cells(): number {
    let cells = 0;
    for (const sums of this.#sums.values()) cells += sums.cells;
    return cells;
  }

  /**
   * The statistics of the cells so far. With G measured genes, L the depths of the cells that measure gene g, x their counts of
   * it and D_g the sum of these L:
   *
   *   share = (sum x + 1/2) / (D_g + G / 2), over all genes scaled to the sum 1;   L = total / share of the cell's panel
   *   size = share^2 sum L^2 / (sum (x - L share)^2 - share sum L), within 0.01..100; 100 where that is not positive
   *
   * Where all cells measure the same genes L is the total and share needs no scaling. Otherwise share and L, which follow from
   * each other, are computed in turns until they stand still: the maximum of the likelihood of Poisson counts, but for the
   * half counts. Between panels without a common gene, not even over others, nothing tells how depths compare: they are
   * taken to be in proportion to the number of genes.
   *
   * A gene that no cell measures has the share 1/2 / (sum L + G / 2) of a gene that all measure and none expresses, and the
   * size 100; such shares are not in the sum. Special ids have share 0 and size 1.
   *
   * Throws `DATA_NO_COUNTS` where no cell has a count.
   */
  base(): CountBase {
    const panels = [...this.#sums].sort(([a], [b]) => a - b).map(([, sums]) => sums);
    if (panels.every(({ total }) => total === 0)) {
      throw new DdscError(
        "DATA_NO_COUNTS",
        this.cells === 0
          ? "no cell is left that has a count of a gene of the vocabulary, so nothing can be learnt of depth; " +
              "check the gene identifiers and the conditions on cells (--where, --holdout, --min-genes)"
          : `none of the ${this.cells} cells has a count of a gene of the vocabulary, so nothing can be learnt of depth; ` +
              "check the gene identifiers and the conditions on cells",
      );
    }
    const size = this.#size;
    const counts = new Float64Array(size);
    const isMeasured = new Uint8Array(size);
    for (const sums of panels) {
      for (const gene of sums.genes) {
        counts[gene] = (counts[gene] as number) + (sums.ofGenes[3 * gene] as number);
        isMeasured[gene] = 1;
      }
    }
    const measured = isMeasured.reduce((sum, one) => sum + one, 0);
    const share = findShares(panels, counts, measured);
    const scales = panels.map(({ genes }) => 1 / shareOf(genes, share));
    const sizes = findSizes(panels, share, scales);
    let depth = 0;
    let squaredDepth = 0;
    for (const [i, { total, squaredTotal }] of panels.entries()) {
      const scale = scales[i] ?? 1;
      depth += scale * total;
      squaredDepth += scale * scale * squaredTotal;
    }
    for (let gene = 0; gene < size; gene++) {
      if (gene <= END_GENE) {
        share[gene] = 0;
        sizes[gene] = 1;
      } else if (isMeasured[gene] === 0) share[gene] = PSEUDO_COUNT / (depth + PSEUDO_COUNT * measured);
    }
    const meanDepth = depth / this.cells;
    const variance = Math.max(squaredDepth / this.cells - meanDepth * meanDepth, LEAST_VARIANCE);
    return new CountBase({ share, size: sizes, meanDepth, spread: (meanDepth * meanDepth) / variance });
  }

  #sumsOf(panel: number): PanelSums {
    let sums = this.#sums.get(panel);
    if (sums === undefined) {
      const genes = this.#panels[panel];
      if (genes === undefined) {
        throw new DdscError(
          "BATCH_INVALID",
          `the batch names panel ${panel}, and there are ${this.#panels.length}; pass those of the mapping it was made with`,
          { argument: "batch" },
        );
      }
      sums = {
        genes,
        ofGenes: new Float64Array(3 * this.#size),
        total: 0,
        squaredTotal: 0,
        cells: 0,
      };
      this.#sums.set(panel, sums);
    }
    return sums;
  }
}

/** Shares of the measured genes, summing to 1; 0 for the others. */
function findShares(panels: readonly PanelSums[], counts: Float64Array, measured: number): Float64Array {
  const share = new Float64Array(counts.length);
  const depths = new Float64Array(counts.length);
  // At first, depth is in proportion to the number of genes.
  let scales = panels.map(({ genes }) => measured / genes.length);
  for (let round = 0; round < MOST_ROUNDS; round++) {
    depths.fill(0);
    for (const [i, { genes, total }] of panels.entries()) {
      const depth = total * (scales[i] ?? 1);
      for (const gene of genes) depths[gene] = (depths[gene] as number) + depth;
    }
    let sum = 0;
    const next = depths.map((depth, gene) =>
      depth === 0 ? 0 : ((counts[gene] as number) + PSEUDO_COUNT) / (depth + PSEUDO_COUNT * measured),
    );
    for (const one of next) sum += one;
    let change = 0;
    for (let gene = 0; gene < next.length; gene++) {
      if (next[gene] === 0) continue;
      const now = (next[gene] as number) / sum;
      change = Math.max(change, Math.abs(now - (share[gene] as number)) / now);
      share[gene] = now;
    }
    if (change < STANDS_STILL || panels.length === 1) break;
    scales = panels.map(({ genes }) => 1 / shareOf(genes, share));
  }
  return share;
}

/** Sizes of all genes by the method of moments. */
function findSizes(
  panels: readonly PanelSums[],
  share: Float64Array,
  scales: readonly number[],
): Float64Array {
  const excess = new Float64Array(share.length);
  const squaredMeans = new Float64Array(share.length);
  for (const [i, sums] of panels.entries()) {
    const scale = scales[i] ?? 1;
    for (const gene of sums.genes) {
      // Mean counts are `rate` times totals.
      const rate = scale * (share[gene] as number);
      const meanSquares = rate * rate * sums.squaredTotal;
      const [squares, withTotals] = [
        sums.ofGenes[3 * gene + 1] as number,
        sums.ofGenes[3 * gene + 2] as number,
      ];
      excess[gene] =
        (excess[gene] as number) + squares - 2 * rate * withTotals + meanSquares - rate * sums.total;
      squaredMeans[gene] = (squaredMeans[gene] as number) + meanSquares;
    }
  }
  return excess.map((variance, gene) => sizeByMoments(squaredMeans[gene] as number, variance));
}
