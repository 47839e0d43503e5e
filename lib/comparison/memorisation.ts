import { type CellResamples, percentiles } from "../evaluation/counts/bootstrap.js";
import type { MemorisationScores } from "./scores.js";
import { mean, median } from "./statistics.js";

/** Distances of cells to the nearest training cell. */
export interface NearestDistances {
  readonly real: Float64Array;
  readonly generated: Float64Array;
}

/** Whether generated cells lie nearer to the training cells than held-out real cells do. */
export function compareNearest(
  { real, generated }: NearestDistances,
  resamples: { readonly real: CellResamples; readonly generated: CellResamples },
): MemorisationScores {
  const [ofReal, ofGenerated] = [new ResampledMedian(real), new ResampledMedian(generated)];
  const values: number[] = [];
  for (let resample = 0; resample < resamples.real.resamples; resample++) {
    const below = ofReal.value(resamples.real.times(resample));
    if (below > 0) values.push(ofGenerated.value(resamples.generated.times(resample)) / below);
  }
  const [heldOut, ofAll] = [median(real), median(generated)];
  const isDefined = heldOut > 0 && values.length > 0;
  const interval = isDefined ? percentiles(values) : { low: null, high: null };
  return {
    generated: ofAll,
    heldOut,
    ratio: isDefined ? ofAll / heldOut : null,
    ...interval,
    copies: mean(generated.map((distance) => (distance === 0 ? 1 : 0))),
    heldOutCopies: mean(real.map((distance) => (distance === 0 ? 1 : 0))),
  };
}

/** Median of values that count so many times each. */
export class ResampledMedian {
  readonly #values: Float64Array;
  readonly #order: Int32Array;

  constructor(values: Float64Array) {
    this.#values = values;
    this.#order = Int32Array.from(values.keys()).sort(
      (a, b) => (values[a] as number) - (values[b] as number),
    );
  }

  /** `times` sum to the number of values. */
  value(times: Uint8Array): number {
    const size = this.#values.length;
    return ((this.#at(times, (size - 1) >> 1) as number) + (this.#at(times, size >> 1) as number)) / 2;
  }

  /** The value at a place of the resample in ascending order. */
  #at(times: Uint8Array, place: number): number {
    let passed = 0;
    for (const i of this.#order) {
      passed += times[i] as number;
      if (passed > place) return this.#values[i] as number;
    }
    return Number.NaN;
  }
}
