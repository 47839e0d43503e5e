import { quantile } from "../../base/quantile.js";
import { Purpose, RandomStream } from "../../base/random.js";
import { isTurnOver, takeTurn } from "../../base/turns.js";
import type { Cluster } from "../../cluster/cluster.js";
import { RankShare } from "../rank_share.js";

/** A number and its 95% interval. */
export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Step of the stream `Purpose.shuffle` that resamples are drawn from, apart from an epoch's. */
const BOOTSTRAP_STEP = 2 ** 43;

/** Means of as many cells' values, drawn with replacement as `CellResamples` draws them, one by one without a table of all. [resamples] */
export async function resampledMeans(
  values: Float64Array,
  resamples: number,
  seed: number,
  signal: AbortSignal | undefined,
): Promise<Float64Array> {
  const means = new Float64Array(resamples);
  for (let resample = 0; resample < resamples; resample++) {
    const stream = new RandomStream(seed, Purpose.shuffle, BOOTSTRAP_STEP, resample);
    let sum = 0;
    for (let draw = 0; draw < values.length; draw++) sum += values[stream.below(values.length)] as number;
    means[resample] = sum / values.length;
    if (isTurnOver()) await takeTurn(signal);
  }
  return means;
}

/**
 * Resamples of cells with replacement, the same ones for every statistic, so that differences are paired: how often each cell
 * is in each resample. Intervals are percentiles (2.5% and 97.5%) over the resamples.
 */
export class CellResamples {
  readonly cells: number;
  readonly resamples: number;
  /** Times that each cell was drawn, [resamples x cells]. */
  readonly #times: Uint8Array;
  readonly #cluster: Cluster | undefined;

  /** @param cluster shares out the work of `statistic` */
  constructor(cells: number, resamples: number, seed: number, cluster?: Cluster) {
    this.#cluster = cluster;
    this.cells = cells;
    this.resamples = resamples;
    this.#times = new Uint8Array(cells * resamples);
    for (let resample = 0; resample < resamples; resample++) {
      const stream = new RandomStream(seed, Purpose.shuffle, BOOTSTRAP_STEP, resample);
      const times = this.times(resample);
      for (let draw = 0; draw < cells; draw++) {
        const cell = stream.below(cells);
        times[cell] = (times[cell] as number) + 1;
      }
    }
  }

  /** Times that each cell is in a resample, [cells]. */
  times(resample: number): Uint8Array {
    return this.#times.subarray(resample * this.cells, (resample + 1) * this.cells);
  }

  /**
   * A ratio of sums over cells, such as nats over hidden genes; undefined where the denominator is 0. Resamples in which it
   * is 0 are left out, as may happen for a group of few cells.
   *
   * @param numerator by cell, [cells]
   * @param denominator by cell, [cells]
   * @param some places of the cells that are summed; default all
   */
  ratio(numerator: Float64Array, denominator: Float64Array, some?: Int32Array): Interval | undefined {
    const places = some ?? Int32Array.from({ length: this.cells }, (_, cell) => cell);
    const above = Float64Array.from(places, (cell) => numerator[cell] as number);
    const below = Float64Array.from(places, (cell) => denominator[cell] as number);
    if (!(sum(below) > 0)) return undefined;
    const values: number[] = [];
    for (let resample = 0; resample < this.resamples; resample++) {
      const times = this.times(resample);
      let top = 0;
      let bottom = 0;
      for (let i = 0; i < places.length; i++) {
        const count = times[places[i] as number] as number;
        top += count * (above[i] as number);
        bottom += count * (below[i] as number);
      }
      if (bottom > 0) values.push(top / bottom);
    }
    return { value: sum(above) / sum(below), ...percentiles(values) };
  }

  /** Any statistic of how often each cell counts; the first `resamples` resamples. NaN is left out. */
  async statistic(of: (times: Uint8Array) => number, resamples: number = this.resamples): Promise<Interval> {
    const value = of(new Uint8Array(this.cells).fill(1));
    const values = new Float64Array(Math.min(resamples, this.resamples));
    const share = new RankShare(values.length, this.#cluster);
    for (let resample = share.first; resample < share.end; resample++) {
      values[resample] = of(this.times(resample));
    }
    await share.exchange(values);
    return { value, ...percentiles([...values].filter((each) => !Number.isNaN(each))) };
  }
}

/** 2.5% and 97.5% of some values, between neighbours linearly. */
export function percentiles(values: readonly number[]): { low: number; high: number } {
  const sorted = Float64Array.from(values).sort();
  const at = (place: number) => sorted[place] as number;
  return { low: quantile(sorted.length, at, 0.025), high: quantile(sorted.length, at, 0.975) };
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}
