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

/** Quantiles by linear interpolation between order statistics, as NumPy's default; `at` gives the place-th lowest of `count`. */
export function interpolate(count: number, at: (place: number) => number, mean: number): Quantiles {
  const quantile = (share: number): number => {
    if (count === 0) return 0;
    const place = share * (count - 1);
    const low = at(Math.floor(place));
    return low + (at(Math.ceil(place)) - low) * (place - Math.floor(place));
  };
  return {
    min: quantile(0),
    q25: quantile(0.25),
    median: quantile(0.5),
    q75: quantile(0.75),
    max: quantile(1),
    mean,
  };
}
