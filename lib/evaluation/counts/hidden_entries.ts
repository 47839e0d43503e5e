import type { RankShare } from "../rank_share.js";
import type { CellResamples, Interval } from "./bootstrap.js";
import type { HiddenGenes } from "./masked_cells.js";

/** Genes whose correlations are taken, at most: those with the greatest shares. */
const MOST_GENES = 1000;
/** Hidden entries above 0 that a gene needs for a correlation: with fewer, resamples often have none. */
const LEAST_EXPRESSED = 10;
/** Resamples for the medians of correlations, which take the longest. */
const RESAMPLES = 200;
/** Counts are scaled to this total before log1p. */
export const CP10K = 10_000;

/** How near the expected counts are to the hidden ones, both as log1p of counts per 10,000 of the cell's true total. */
export interface HiddenScores {
  /** Mean squared error over all hidden entries. */
  readonly mse: Interval;
  /** Medians over genes of the correlations over the cells in which a gene is hidden. A constant prediction has 0. */
  readonly pearson: Interval;
  readonly spearman: Interval;
  /** Genes that the medians are over: at most 1,000, those of the greatest shares, hidden and expressed in 10 cells or more, and not the same in all. */
  readonly genes: number;
}

/** Places of hidden entries by gene, for genes that are correlated; made once for all methods. */
export class EntryPlaces {
  /** Place of a gene among those kept, by gene id; -1 for others. */
  readonly slot: Int32Array;
  /** Bounds of each kept gene's entries, [genes + 1]. */
  readonly offsets: Int32Array;
  /** Cell of each entry. */
  readonly cells: Int32Array;
  /** True value of each entry, once filled by `HiddenTotals.add`. */
  readonly truth: Float32Array;
  /** First entry of each kept gene in a cell that is not before `first`. */
  readonly start: Int32Array;

  /** @param first where the cells begin that are added here */
  constructor(hidden: HiddenGenes, share: Float64Array, first = 0) {
    const times = new Int32Array(share.length);
    for (const gene of hidden.genes) times[gene] = (times[gene] as number) + 1;
    const kept = Array.from(times.keys())
      .filter((gene) => (times[gene] as number) >= LEAST_EXPRESSED)
      .sort((a, b) => (share[b] as number) - (share[a] as number) || a - b)
      .slice(0, MOST_GENES);
    this.slot = new Int32Array(share.length).fill(-1);
    this.offsets = new Int32Array(kept.length + 1);
    kept.forEach((gene, slot) => {
      this.slot[gene] = slot;
      this.offsets[slot + 1] = (this.offsets[slot] as number) + (times[gene] as number);
    });
    this.cells = new Int32Array(this.offsets[kept.length] as number);
    this.truth = new Float32Array(this.cells.length);
    const next = this.offsets.slice(0, -1);
    this.start = next.slice();
    for (let cell = 0; cell + 1 < hidden.offsets.length; cell++) {
      if (cell === first) this.start = next.slice();
      for (let i = hidden.offsets[cell] as number; i < (hidden.offsets[cell + 1] as number); i++) {
        const slot = this.slot[hidden.genes[i] as number] as number;
        if (slot < 0) continue;
        const entry = next[slot] as number;
        next[slot] = entry + 1;
        this.cells[entry] = cell;
      }
    }
  }
}

/** Adds up one method's errors; cells must come in order, from that on which `places` begin. */
export class HiddenTotals {
  readonly #places: EntryPlaces;
  readonly #next: Int32Array;
  readonly #predicted: Float32Array;
  readonly #squares: Float64Array;
  readonly #entries: Float64Array;
  /** Genes that are correlated: places in `#places`. */
  #kept: readonly number[] = [];

  constructor(places: EntryPlaces, cells: number) {
    this.#places = places;
    this.#next = places.start.slice();
    this.#predicted = new Float32Array(places.cells.length);
    this.#squares = new Float64Array(cells);
    this.#entries = new Float64Array(cells);
  }

  /** Adds queries from..to, all of one cell with this true total. */
  add(
    cell: number,
    total: number,
    genes: Int32Array,
    answers: Int32Array,
    means: Float64Array,
    from: number,
    to: number,
  ): void {
    const { slot, truth } = this.#places;
    const scale = CP10K / Math.max(1, total);
    let squares = 0;
    for (let query = from; query < to; query++) {
      const count = answers[query] as number;
      const actual = count === 0 ? 0 : Math.log1p(count * scale);
      const predicted = Math.log1p((means[query] as number) * scale);
      squares += (predicted - actual) ** 2;
      const place = slot[genes[query] as number] as number;
      if (place < 0) continue;
      const entry = this.#next[place] as number;
      this.#next[place] = entry + 1;
      truth[entry] = actual;
      this.#predicted[entry] = predicted;
    }
    this.#squares[cell] = (this.#squares[cell] as number) + squares;
    this.#entries[cell] = (this.#entries[cell] as number) + to - from;
  }

  /** Fills in what the other ranks found of their cells. */
  async exchange(share: RankShare): Promise<void> {
    const { cells, truth } = this.#places;
    await share.exchange(this.#squares);
    await share.exchange(this.#entries);
    for (const values of [truth, this.#predicted])
      await share.exchange(values, (entry) => cells[entry] as number);
  }

  /** Squared errors and hidden entries by cell: for paired differences. */
  get byCell(): { readonly squares: Float64Array; readonly entries: Float64Array } {
    return { squares: this.#squares, entries: this.#entries };
  }

  /**
   * The scores. Spearman is Pearson of mid-ranks over all cells; a resample weighs these ranks, it does not rank anew.
   *
   * @param pause awaited between the two correlations
   */
  async scores(resamples: CellResamples, pause: () => Promise<void>): Promise<HiddenScores | undefined> {
    const mse = resamples.ratio(this.#squares, this.#entries);
    if (mse === undefined) return undefined;
    const { truth, offsets } = this.#places;
    this.#kept = Array.from({ length: offsets.length - 1 }, (_, gene) => gene).filter((gene) => {
      const entries = truth.subarray(offsets[gene], offsets[gene + 1]);
      return entries.reduce((sum, value) => (value > 0 ? sum + 1 : sum), 0) >= LEAST_EXPRESSED;
    });
    const { pearson, genes } = await this.#correlation(resamples, truth, this.#predicted, pause);
    const spearman = await this.#correlation(
      resamples,
      this.#ranks(truth),
      this.#ranks(this.#predicted),
      pause,
    );
    return { mse, pearson, spearman: spearman.pearson, genes };
  }

  async #correlation(
    resamples: CellResamples,
    actual: Float32Array,
    predicted: Float32Array,
    pause: () => Promise<void>,
  ): Promise<{ pearson: Interval; genes: number }> {
    const genes = correlations(
      this.#places,
      this.#kept,
      actual,
      predicted,
      new Uint8Array(resamples.cells).fill(1),
    ).length;
    await pause();
    const pearson = await resamples.statistic(
      (times) => median(correlations(this.#places, this.#kept, actual, predicted, times)),
      RESAMPLES,
    );
    await pause();
    return { pearson, genes };
  }

  /** Mid-ranks of each gene's entries. */
  #ranks(values: Float32Array): Float32Array {
    const { offsets } = this.#places;
    const ranks = new Float32Array(values.length);
    for (let gene = 0; gene + 1 < offsets.length; gene++) {
      const start = offsets[gene] as number;
      const order = Int32Array.from(
        { length: (offsets[gene + 1] as number) - start },
        (_, i) => start + i,
      ).sort((a, b) => (values[a] as number) - (values[b] as number));
      for (let i = 0; i < order.length; ) {
        let end = i + 1;
        while (end < order.length && values[order[end] as number] === values[order[i] as number]) end++;
        for (let j = i; j < end; j++) ranks[order[j] as number] = (i + end - 1) / 2;
        i = end;
      }
    }
    return ranks;
  }
}

/** Correlation of each gene whose true values vary; 0 where the predicted ones do not. */
function correlations(
  { offsets, cells }: EntryPlaces,
  kept: readonly number[],
  actual: Float32Array,
  predicted: Float32Array,
  times: Uint8Array,
): number[] {
  const found: number[] = [];
  for (const gene of kept) {
    let weight = 0;
    let sumX = 0;
    let sumY = 0;
    let sumXX = 0;
    let sumYY = 0;
    let sumXY = 0;
    const end = offsets[gene + 1] as number;
    for (let entry = offsets[gene] as number; entry < end; entry++) {
      const w = times[cells[entry] as number] as number;
      const x = actual[entry] as number;
      const y = predicted[entry] as number;
      weight += w;
      sumX += w * x;
      sumY += w * y;
      sumXX += w * x * x;
      sumYY += w * y * y;
      sumXY += w * x * y;
    }
    const varianceX = sumXX - (sumX * sumX) / weight;
    const varianceY = sumYY - (sumY * sumY) / weight;
    if (!(varianceX > 1e-9 * sumXX)) continue;
    found.push(
      varianceY > 1e-9 * sumYY ? (sumXY - (sumX * sumY) / weight) / Math.sqrt(varianceX * varianceY) : 0,
    );
  }
  return found;
}

/** The middle value; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
