import type { RankShare } from "../rank_share.js";
import type { CellResamples, Interval } from "./bootstrap.js";
import type { QueryPredictions } from "./predictor.js";

/** Bounds of the strata of expected count. */
const STRATA = [0, 0.1, 0.3, 1, 3, 10, Number.POSITIVE_INFINITY] as const;
/** Bounds of the predicted chances of being expressed. */
const CHANCES = [0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1] as const;
/** Bars of a histogram of PIT values. */
const BARS = 20;

/** Randomised PIT values: uniform on 0..1 where the predicted distributions are right. */
export interface PitScores {
  readonly queries: number;
  /** Share of the values between 0.05 and 0.95; 0.9 where the distributions are right. */
  readonly inside: Interval;
  /** Shares of 20 equal parts of 0..1. */
  readonly histogram: readonly number[];
}

/** PIT values of the queries whose expected count is in [from, to). */
export interface PitStratum extends PitScores {
  readonly from: number;
  /** null: no bound. */
  readonly to: number | null;
}

/** Queries whose predicted chance of being expressed is in [from, to). */
export interface ExpressedBin {
  readonly from: number;
  readonly to: number;
  readonly queries: number;
  /** Mean predicted chance. */
  readonly predicted: number;
  /** Share that is expressed. */
  readonly observed: Interval;
}

/** Whether the predicted distributions can be believed. */
export interface Calibration {
  readonly pit: PitScores;
  /** By expected count; strata without a query are left out. */
  readonly strata: readonly PitStratum[];
  /** Reliability of P(expressed); bins without a query are left out. */
  readonly expressed: readonly ExpressedBin[];
}

/** Adds up calibration, cell by cell. */
export class CalibrationTotals {
  readonly #cells: number;
  /** Queries, and those with a PIT value inside, [strata x cells]. */
  readonly #queries: Float64Array;
  readonly #inside: Float64Array;
  /** PIT values by bar, [strata x bars]. */
  readonly #histogram: Float64Array;
  /** Queries, their predicted chances and expressed ones, [bins x cells]. */
  readonly #asked: Float64Array;
  readonly #predicted: Float64Array;
  readonly #expressed: Float64Array;

  constructor(cells: number) {
    const strata = STRATA.length - 1;
    const bins = CHANCES.length - 1;
    this.#cells = cells;
    this.#queries = new Float64Array(strata * cells);
    this.#inside = new Float64Array(strata * cells);
    this.#histogram = new Float64Array(strata * BARS);
    this.#asked = new Float64Array(bins * cells);
    this.#predicted = new Float64Array(bins * cells);
    this.#expressed = new Float64Array(bins * cells);
  }

  /**
   * Adds queries from..to of some predictions, all of one cell.
   *
   * @param draws uniform numbers, one a query: u = P(X < x) + draw P(X = x)
   */
  add(
    cell: number,
    predictions: QueryPredictions,
    answers: Int32Array,
    draws: Float64Array,
    from: number,
    to: number,
  ): void {
    for (let query = from; query < to; query++) {
      const u =
        (predictions.below[query] as number) + (draws[query] as number) * (predictions.at[query] as number);
      const stratum = binOf(STRATA, predictions.mean[query] as number);
      const place = stratum * this.#cells + cell;
      increase(this.#queries, place, 1);
      if (u >= 0.05 && u <= 0.95) increase(this.#inside, place, 1);
      increase(this.#histogram, stratum * BARS + Math.min(BARS - 1, Math.max(0, Math.floor(u * BARS))), 1);
      const chance = predictions.expressed[query] as number;
      const bin = binOf(CHANCES, chance) * this.#cells + cell;
      increase(this.#asked, bin, 1);
      increase(this.#predicted, bin, chance);
      if ((answers[query] as number) > 0) increase(this.#expressed, bin, 1);
    }
  }

  /** Fills in what the other ranks found of their cells. */
  async exchange(share: RankShare): Promise<void> {
    const cellOf = (place: number) => place % this.#cells;
    for (const table of [this.#queries, this.#inside, this.#asked, this.#predicted, this.#expressed]) {
      await share.exchange(table, cellOf);
    }
    this.#histogram.set(await share.sum(this.#histogram));
  }

  scores(resamples: CellResamples): Calibration {
    const strata = STRATA.slice(0, -1).flatMap((from, stratum): PitStratum[] => {
      const to = STRATA[stratum + 1] as number;
      const scores = this.#pit(resamples, [stratum]);
      return scores === undefined ? [] : [{ from, to: Number.isFinite(to) ? to : null, ...scores }];
    });
    const all = this.#pit(
      resamples,
      STRATA.slice(0, -1).map((_, stratum) => stratum),
    );
    const expressed = CHANCES.slice(0, -1).flatMap((from, bin): ExpressedBin[] => {
      const asked = this.#row(this.#asked, bin);
      const observed = resamples.ratio(this.#row(this.#expressed, bin), asked);
      if (observed === undefined) return [];
      const queries = sum(asked);
      const predicted = sum(this.#row(this.#predicted, bin)) / queries;
      return [{ from, to: CHANCES[bin + 1] as number, queries, predicted, observed }];
    });
    const nothing = { queries: 0, inside: { value: 0, low: 0, high: 0 }, histogram: [] };
    return { pit: all ?? nothing, strata, expressed };
  }

  #pit(resamples: CellResamples, strata: readonly number[]): PitScores | undefined {
    const queries = new Float64Array(this.#cells);
    const inside = new Float64Array(this.#cells);
    const histogram = new Float64Array(BARS);
    for (const stratum of strata) {
      this.#row(this.#queries, stratum).forEach((value, cell) => {
        increase(queries, cell, value);
      });
      this.#row(this.#inside, stratum).forEach((value, cell) => {
        increase(inside, cell, value);
      });
      for (let bar = 0; bar < BARS; bar++) {
        increase(histogram, bar, this.#histogram[stratum * BARS + bar] as number);
      }
    }
    const share = resamples.ratio(inside, queries);
    if (share === undefined) return undefined;
    const total = sum(queries);
    return { queries: total, inside: share, histogram: Array.from(histogram, (count) => count / total) };
  }

  #row(table: Float64Array, row: number): Float64Array {
    return table.subarray(row * this.#cells, (row + 1) * this.#cells);
  }
}

/** Place of the bin that holds a value; the last one holds its upper bound. */
function binOf(bounds: readonly number[], value: number): number {
  let bin = 0;
  while (bin < bounds.length - 2 && value >= (bounds[bin + 1] as number)) bin++;
  return bin;
}

function increase(table: Float64Array, place: number, by: number): void {
  table[place] = (table[place] as number) + by;
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}
