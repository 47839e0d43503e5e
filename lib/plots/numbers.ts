/** Numbers and texts that figures say. */
import { DdscError } from "../base/errors.js";

/** A number of a figure; null: there is none, or it is not finite (JSON has null in place of it). */
export function finite(value: number | null | undefined): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** A number to some digits behind the point. */
export function fixed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  // No minus before a zero.
  return /^-0(?:\.0*)?$/.test(text) ? text.slice(1) : text;
}

/** 0.123 as "12.3%". */
export function percent(share: number, digits = 1): string {
  return `${fixed(100 * share, digits)}%`;
}

/** "0.5" as "50%", as shares of hidden genes are written. */
export function percentOf(ratio: string): string {
  return `${Number((100 * Number(ratio)).toFixed(2))}%`;
}

/** "0.197 (95% 0.193 to 0.201)". */
export function intervalText(value: number, low: number | null, high: number | null, digits: number): string {
  if (low === null || high === null) return fixed(value, digits);
  return `${fixed(value, digits)} (95% ${fixed(low, digits)} to ${fixed(high, digits)})`;
}

/** "1 cell", "2,000 cells". */
export function counted(count: number, one: string): string {
  return `${count.toLocaleString("en-US")} ${count === 1 ? one : `${one}s`}`;
}

/** The error `PLOT_EMPTY`: nothing to draw, and what would give something. */
export function nothingToDraw(what: string, remedy: string): DdscError {
  return new DdscError("PLOT_EMPTY", `there is nothing to draw: ${what}; ${remedy}`);
}

/** Least and largest of the finite numbers; undefined where there is none. */
export function extent(values: Iterable<number | null>): readonly [number, number] | undefined {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value === null || !Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low > high ? undefined : [low, high];
}

/** A range with room at both ends, and some where all values are equal. */
export function widened([low, high]: readonly [number, number], share = 0.05): [number, number] {
  const room = (high - low) * share || Math.abs(high) * share || 1;
  return [low - room, high + room];
}

/** Values by what they have in common, in the order in which that was first met. */
export function groupedBy<Value, Key>(
  values: Iterable<Value>,
  keyOf: (value: Value) => Key,
): Map<Key, Value[]> {
  const groups = new Map<Key, Value[]>();
  for (const value of values) {
    const key = keyOf(value);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [value]);
    else group.push(value);
  }
  return groups;
}
