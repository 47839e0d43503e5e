import { checkKind } from "../base/arguments.js";
import { DdscError } from "../base/errors.js";
import { upperBound } from "../base/search.js";
import { refusedCount } from "./count_errors.js";
import type { TokenStrategy } from "./strategy.js";

/** Counts below it are values of their own. */
const EXACT = 64;
/** Bins an octave above. */
const PER_OCTAVE = 8;
/** The last bin begins here and has no end. */
const TOP = 2 ** 20;

/** The largest count that there may be: counts are kept as signed 32-bit numbers. */
export const MOST_COUNT = 2 ** 31 - 1;

/** Lowest count of each value: 0..63, then ceil(64 * 2^(j / 8)) up to 2^20. */
function lowest(): Int32Array {
  const low = Array.from({ length: EXACT + 1 }, (_, count) => count);
  for (let bin = 1; (low.at(-1) as number) < TOP; bin++) {
    const edge = Math.ceil(EXACT * 2 ** (bin / PER_OCTAVE));
    if (edge > (low.at(-1) as number)) low.push(edge);
  }
  return Int32Array.from(low);
}

/**
 * The values of the count model: a count says what it is and nothing about its cell. Counts below 64 are their own
 * values; above, a value stands for a bin, 8 of them an octave, value j above 64 from ceil(64 * 2^(j / 8)) on, up to
 * 2^20, where the last one begins, which has no end and is treated as one longer than the one before. 177 values in all,
 * those of native/ops/count_values.h. An unexpressed gene is the value 0.
 *
 * Counts are whole numbers up to 2^31 - 1. Others are refused, or rounded (half up) where `allowFractional` is set: one
 * that rounds to 0 is an unexpressed gene.
 */
export class CountTokens implements TokenStrategy {
  readonly kind = "counts";
  /** Number of values: 177. */
  readonly values: number;
  /** Whether counts that are no whole numbers are rounded; otherwise they are refused. */
  readonly allowFractional: boolean;
  /** Lowest count of each value, [values]. */
  readonly low: Int32Array;
  /** Highest count of each value, [values]; of the last, which has none, the highest of a bin one longer than the one before. */
  readonly high: Int32Array;
  /** Middle of each value's counts, (low + high) / 2, [values]. */
  readonly middle: Float64Array;
  /** Log of how many counts a value stands for, log(high - low + 1), nats, [values]. */
  readonly logWidth: Float64Array;
  readonly #decoded: Float32Array;

  /** @param options.allowFractional whether to round counts that are no whole numbers; default false: refuse them. */
  constructor(options: { readonly allowFractional?: boolean } = {}) {
    if (options.allowFractional !== undefined)
      checkKind("allowFractional", options.allowFractional, "switch");
    this.allowFractional = options.allowFractional ?? false;
    const low = lowest();
    const last = low.length - 1;
    this.low = low;
    this.values = low.length;
    this.high = low.map((count, value) =>
      value < last ? (low[value + 1] as number) - 1 : 2 * count - (low[value - 1] as number),
    );
    this.middle = Float64Array.from(low, (count, value) => (count + (this.high[value] as number)) / 2);
    this.logWidth = Float64Array.from(low, (count, value) =>
      Math.log((this.high[value] as number) - count + 1),
    );
    this.#decoded = Float32Array.from(this.middle, Math.round);
  }

  /** The value of a count, which is a whole number >= 0. */
  valueOf(count: number): number {
    return count < EXACT ? count : upperBound(this.low, count) - 1;
  }

  /**
   * Values of counts, zeros included, written to `out`. Throws `DATA_FRACTIONAL_COUNT` for a count that is no whole
   * number unless those are allowed, `DATA_NEGATIVE_COUNT`, `DATA_NOT_FINITE`, `DATA_TOO_LARGE` for one above
   * 2^31 - 1, `ARGUMENT_RANGE` for an `out` of another length.
   */
  encode(counts: Float32Array, out: Int32Array): void {
    if (out.length !== counts.length) {
      throw new DdscError(
        "ARGUMENT_RANGE",
        `expected out of length ${counts.length} (one value a count) but received length ${out.length}`,
        { argument: "out" },
      );
    }
    for (let i = 0; i < counts.length; i++) {
      const count = counts[i] as number;
      const whole = this.wholeCount(count);
      if (Number.isNaN(whole)) throw refusedCount(`count ${i}`, count, {});
      out[i] = this.valueOf(whole);
    }
  }

  /**
   * The counts that values stand for: the count itself below 64, above the middle of the bin, rounded half up; of the last
   * value, which has no end, the middle of a bin one longer than the one before. Nothing is taken from the reference.
   * Throws `STRATEGY_VALUE_RANGE` for a value outside 0..176.
   */
  decode(values: Int32Array, _reference?: Float32Array): Float32Array {
    return Float32Array.from(values, (value) => {
      const count = this.#decoded[value];
      if (count !== undefined) return count;
      throw new DdscError(
        "STRATEGY_VALUE_RANGE",
        `value ${value} is none of a count: expected 0..${this.values - 1}; were tokens passed without subtracting 2?`,
        { argument: "values" },
      );
    });
  }

  toJSON(): { readonly kind: "counts"; readonly allowFractional: boolean } {
    return { kind: this.kind, allowFractional: this.allowFractional };
  }

  /** The whole number that a count is taken for: itself, or rounded where that is allowed; NaN where `encode` refuses it. */
  wholeCount(count: number): number {
    const whole = this.allowFractional ? Math.round(count) : count;
    return count >= 0 && whole <= MOST_COUNT && whole % 1 === 0 ? whole : Number.NaN;
  }
}
