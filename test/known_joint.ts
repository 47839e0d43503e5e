/** A joint distribution over a few values at a few positions, known exactly: the oracle of samplers and bounds. */
export class KnownJoint {
  readonly positions: number;
  readonly values: number;
  /** Probability of each outcome; outcome = sum of value_i * values^i. */
  readonly probabilities: readonly number[];
  readonly #outcomes: readonly (readonly number[])[];

  /** Normalises the weights, [values^positions]. */
  constructor(positions: number, values: number, weight: (outcome: readonly number[]) => number) {
    this.positions = positions;
    this.values = values;
    this.#outcomes = Array.from({ length: values ** positions }, (_, index) =>
      Array.from({ length: positions }, (_, i) => Math.floor(index / values ** i) % values),
    );
    const weights = this.#outcomes.map(weight);
    const total = weights.reduce((sum, w) => sum + w, 0);
    this.probabilities = weights.map((w) => w / total);
  }

  outcome(index: number): number[] {
    return Array.from(
      { length: this.positions },
      (_, i) => Math.floor(index / this.values ** i) % this.values,
    );
  }

  index(outcome: readonly number[]): number {
    return outcome.reduce((sum, value, i) => sum + value * this.values ** i, 0);
  }

  /** p(value of `position` | known values); unknown ones are undefined. [values] */
  conditional(position: number, known: readonly (number | undefined)[]): number[] {
    const result = new Array<number>(this.values).fill(0);
    for (const [index, probability] of this.probabilities.entries()) {
      const outcome = this.outcome(index);
      let fits = true;
      for (let i = 0; fits && i < known.length; i++) fits = known[i] === undefined || known[i] === outcome[i];
      if (fits) result[outcome[position]!]! += probability;
    }
    const total = result.reduce((sum, p) => sum + p, 0);
    return result.map((p) => p / total);
  }

  /** Entropy in nats. */
  get entropy(): number {
    return -this.probabilities.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0);
  }
}

/** Three positions of three values that hang together, with a few unlikely outcomes. */
export const correlated = new KnownJoint(
  3,
  3,
  ([a = 0, b = 0, c = 0]) =>
    (a === b ? 6 : 1) * (b + c === 2 ? 5 : 1) * (a === 2 && c === 0 ? 0.2 : 1) * (1 + a),
);
