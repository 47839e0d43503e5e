import type { CurveChange, RunInfo, ValidationChange } from "../messages.js";

/** Curves of a run, a number for each of its points. */
export interface Curves {
  steps: number[];
  loss: (number | null)[];
  tokensPerSecond: (number | null)[];
  learningRate: (number | null)[];
  gradientNorm: (number | null)[];
}

/** A run as the page knows it. */
export interface ShownRun {
  readonly id: string;
  info: RunInfo | undefined;
  readonly curves: Curves;
  readonly validations: { steps: number[]; crossEntropy: (number | null)[] };
  /** Which colour and dash it has: the same for as long as the page is open. */
  readonly look: number;
  shown: boolean;
}

const COLOURS = 8;
const DASHES: readonly (readonly number[])[] = [[], [7, 4], [2, 3], [10, 3, 2, 3]];

/** All runs, in the order in which they came. */
export class Runs {
  #runs = new Map<string, ShownRun>();
  /** Choices of the reader and looks survive a reconnection. */
  readonly #looks = new Map<string, number>();
  readonly #hidden = new Set<string>();

  get all(): ShownRun[] {
    return [...this.#runs.values()].filter((run) => run.info !== undefined);
  }

  clear(): void {
    this.#runs = new Map();
  }

  remove(id: string): void {
    this.#runs.delete(id);
  }

  setInfo(info: RunInfo): void {
    this.#run(info.id).info = info;
  }

  /** Replaces the points of a run from one on. */
  changeCurve({ id, from, ...points }: CurveChange): void {
    const { curves } = this.#run(id);
    for (const name of ["steps", "loss", "tokensPerSecond", "learningRate", "gradientNorm"] as const) {
      const values: (number | null)[] = curves[name];
      values.splice(from, values.length, ...points[name]);
    }
  }

  changeValidations({ id, from, steps, crossEntropy }: ValidationChange): void {
    const { validations } = this.#run(id);
    validations.steps.splice(from, validations.steps.length, ...steps);
    validations.crossEntropy.splice(from, validations.crossEntropy.length, ...crossEntropy);
  }

  show(id: string, shown: boolean): void {
    const run = this.#run(id);
    run.shown = shown;
    if (shown) this.#hidden.delete(id);
    else this.#hidden.add(id);
  }

  #run(id: string): ShownRun {
    let run = this.#runs.get(id);
    if (run === undefined) {
      const look = this.#looks.get(id) ?? this.#looks.size;
      this.#looks.set(id, look);
      run = {
        id,
        info: undefined,
        curves: { steps: [], loss: [], tokensPerSecond: [], learningRate: [], gradientNorm: [] },
        validations: { steps: [], crossEntropy: [] },
        look,
        shown: !this.#hidden.has(id),
      };
      this.#runs.set(id, run);
    }
    return run;
  }
}

/** The colour of a run, as the page's style has it for light and dark. */
export function colourOf({ look }: ShownRun): string {
  return `var(--curve-${look % COLOURS})`;
}

/** The dash of a run: more runs than colours differ by it. */
export function dashOf({ look }: ShownRun): readonly number[] {
  return DASHES[Math.floor(look / COLOURS) % DASHES.length] ?? [];
}
