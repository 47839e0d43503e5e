import type { DType } from "../../lib/native/types.js";

/** One tensor of a fixture beside ours. */
export interface Comparison {
  /** Name in the fixture. */
  readonly name: string;
  /** Relative error in the 2-norm; the share of wrong values where they must be equal. */
  readonly error: number;
  /** Largest error that passes. */
  readonly tolerance: number;
  readonly passed: boolean;
}

/** What is asked of a tensor: how near it must be. */
export type Kind = "output" | "gradient" | "exact";

const TOLERANCES: Readonly<Record<DType, Readonly<Record<Kind, number>>>> = {
  fp32: { output: 1e-5, gradient: 1e-4, exact: 0 },
  bf16: { output: 2e-2, gradient: 5e-2, exact: 0 },
};

/** Collects comparisons under the tolerances of one compute type. */
export class Comparisons {
  readonly list: Comparison[] = [];
  readonly #tolerances: Readonly<Record<Kind, number>>;

  constructor(dtype: DType) {
    this.#tolerances = TOLERANCES[dtype];
  }

  /** Compares values in the same order; of different length, they are infinitely far apart. */
  add(name: string, kind: Kind, ours: ArrayLike<number>, theirs: ArrayLike<number>): void {
    const error = kind === "exact" ? shareUnequal(ours, theirs) : relativeError(ours, theirs);
    const tolerance = this.#tolerances[kind];
    this.list.push({ name, error, tolerance, passed: error <= tolerance });
  }
}

/** |ours - theirs| / |theirs| in the 2-norm; |ours| where theirs is zero. Infinite where a value is not finite. */
export function relativeError(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  if (ours.length !== theirs.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < theirs.length; i++) {
    const value = theirs[i] as number;
    difference += ((ours[i] as number) - value) ** 2;
    norm += value ** 2;
  }
  const error = Math.sqrt(norm > 0 ? difference / norm : difference);
  return Number.isFinite(error) ? error : Number.POSITIVE_INFINITY;
}

function shareUnequal(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  if (ours.length !== theirs.length) return Number.POSITIVE_INFINITY;
  let unequal = 0;
  for (let i = 0; i < theirs.length; i++) if (ours[i] !== theirs[i]) unequal++;
  return theirs.length === 0 ? 0 : unequal / theirs.length;
}
