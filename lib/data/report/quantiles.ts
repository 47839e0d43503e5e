import { quantile } from "../../base/quantile.js";
import { Purpose, RandomStream } from "../../base/random.js";

/** Minimum, quartiles, maximum and mean of a quantity. */
export interface Quantiles {
  readonly min: number;
  readonly q25: number;
  readonly median: number;
  readonly q75: number;
  readonly max: number;
  readonly mean: number;
}

/** Numbers that are kept. */
const SAMPLE = 65_536;

/** Quantiles of numbers that come one by one; beyond 65,536 of them the quartiles are those of a random sample of that many. */
export class RunningQuantiles {
  readonly #sample: number[] = [];
  readonly #random = new RandomStream(0, Purpose.split, 3);
  #count = 0;
  #sum = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;

  add(value: number): void {
    this.#count++;
    this.#sum += value;
    this.#min = Math.min(this.#min, value);
    this.#max = Math.max(this.#max, value);
    if (this.#sample.length < SAMPLE) {
      this.#sample.push(value);
      return;
    }
    // Each number stays with the same chance (Vitter's algorithm R).
    const place = Math.floor(this.#random.uniform() * this.#count);
    if (place < SAMPLE) this.#sample[place] = value;
  }

  quantiles(): Quantiles {
    const sorted = Float64Array.from(this.#sample).sort();
    const mean = this.#count === 0 ? 0 : this.#sum / this.#count;
    const found = interpolate(sorted.length, (place) => sorted[place] ?? 0, mean);
    return this.#count === 0 ? found : { ...found, min: this.#min, max: this.#max };
  }
}

/** Quantiles as `quantile` has them; 0 of no value. */
export function interpolate(count: number, at: (place: number) => number, mean: number): Quantiles {
  const found = (share: number): number => (count === 0 ? 0 : quantile(count, at, share));
  return {
    min: found(0),
    q25: found(0.25),
    median: found(0.5),
    q75: found(0.75),
    max: found(1),
    mean,
  };
}
