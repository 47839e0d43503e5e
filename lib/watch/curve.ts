/** Quantities of a step that are shown as curves. */
export const CURVES = ["loss", "tokensPerSecond", "learningRate", "gradientNorm"] as const;

/** A name of a curve. */
export type CurveName = (typeof CURVES)[number];

/** What a curve is made of: a step with its values, null where there is none. */
export type CurveStep = { readonly step: number } & { readonly [Name in CurveName]: number | null };

/** Several steps that are shown as one point. */
interface Point {
  /** Number of its first step divided by the width, which all of its steps share. */
  readonly place: number;
  /** Its last step. */
  step: number;
  readonly sums: Record<CurveName, number>;
  readonly counts: Record<CurveName, number>;
}

/**
 * The curves of a run in a bounded number of points: each is the mean of `width` steps, and the width doubles whenever there are too
 * many. Which steps share a point depends on their numbers alone, so that a run that is read again gives the same curve.
 */
export class Curve {
  readonly #most: number;
  #width = 1;
  #points: Point[] = [];
  /** The first point that changed since `takeChange`. */
  #changed = 0;

  /** @param most points at most */
  constructor(most: number) {
    this.#most = most;
  }

  /** Steps that a point is the mean of. */
  get width(): number {
    return this.#width;
  }

  get length(): number {
    return this.#points.length;
  }

  /** The last step; 0: none. */
  get lastStep(): number {
    return this.#points.at(-1)?.step ?? 0;
  }

  /** Takes in a step, which undoes all that are not before it. */
  add(step: CurveStep): void {
    this.undo(step.step);
    const place = Math.floor((step.step - 1) / this.#width);
    let point = this.#points.at(-1);
    if (point?.place !== place) {
      point = { place, step: step.step, sums: zeros(), counts: zeros() };
      this.#points.push(point);
    }
    this.#changed = Math.min(this.#changed, this.#points.length - 1);
    point.step = step.step;
    for (const name of CURVES) {
      const value = step[name];
      if (value === null) continue;
      point.sums[name] += value;
      point.counts[name]++;
    }
    while (this.#points.length > this.#most) this.#widen();
  }

  /** Forgets the steps from `step` on; those before it that share a point with them go, too. */
  undo(step: number): void {
    while (this.lastStep >= step) this.#points.pop();
    this.#changed = Math.min(this.#changed, this.#points.length);
  }

  /** Forgets everything. */
  clear(): void {
    this.#points = [];
    this.#width = 1;
    this.#changed = 0;
  }

  /** The mean of a quantity at a point. */
  value(name: CurveName, index: number): number | null {
    const point = this.#points[index];
    return point === undefined || point.counts[name] === 0 ? null : point.sums[name] / point.counts[name];
  }

  /** The points from one on, as they are sent. */
  from(first: number): { readonly steps: number[] } & { readonly [Name in CurveName]: (number | null)[] } {
    const places = Array.from({ length: this.length - first }, (_, i) => first + i);
    const values = (name: CurveName) => places.map((index) => rounded(this.value(name, index)));
    return {
      steps: this.#points.slice(first).map(({ step }) => step),
      loss: values("loss"),
      tokensPerSecond: values("tokensPerSecond"),
      learningRate: values("learningRate"),
      gradientNorm: values("gradientNorm"),
    };
  }

  /** The first point that changed since the last call (`length`: none was added, some may have gone); undefined: nothing has. */
  takeChange(): number | undefined {
    const changed = this.#changed;
    this.#changed = Number.POSITIVE_INFINITY;
    return Number.isFinite(changed) ? changed : undefined;
  }

  #widen(): void {
    this.#width *= 2;
    const merged: Point[] = [];
    for (const point of this.#points) {
      const place = Math.floor(point.place / 2);
      const last = merged.at(-1);
      if (last?.place !== place) {
        merged.push({ ...point, place });
        continue;
      }
      last.step = point.step;
      for (const name of CURVES) {
        last.sums[name] += point.sums[name];
        last.counts[name] += point.counts[name];
      }
    }
    this.#points = merged;
    this.#changed = 0;
  }
}

function zeros(): Record<CurveName, number> {
  return { loss: 0, tokensPerSecond: 0, learningRate: 0, gradientNorm: 0 };
}

/** Six digits: more cannot be seen. */
export function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(6));
}
