import { DdscError } from "../../base/errors.js";
import { FEW_CELLS } from "../defaults.js";
import type { CellResamples, Interval } from "./bootstrap.js";
import type { MaskedTotals } from "./masked_evaluation.js";
import type { McvTotals } from "./molecular_cross_validation.js";
import type {
  CountBaseline,
  CountGroup,
  CountScores,
  HiddenNats,
  LikelihoodByRatio,
  McvScores,
  Nats,
  PairedDifferences,
} from "./scores.js";
import type { Rivalry } from "./verdict.js";

/** Groups at most: a column with more values names cells rather than groups. */
const MOST_GROUPS = 1000;

/** Sums by cell of one method. */
export interface MethodTotals {
  readonly hidden: ReadonlyMap<string, MaskedTotals>;
  readonly mcv: McvTotals | undefined;
  readonly chosen: Readonly<Record<string, string>>;
}

/** Numerator and denominator of a ratio over cells. */
export interface Sums {
  readonly top: Float64Array;
  readonly bottom: Float64Array;
}

/** Turns sums by cell into scores with intervals. */
export class CountReport {
  readonly #resamples: CellResamples;
  readonly #half: string;
  readonly #openProblems: boolean;

  constructor(resamples: CellResamples, half: string, openProblems: boolean) {
    this.#resamples = resamples;
    this.#half = half;
    this.#openProblems = openProblems;
  }

  /** Everything that a method has. */
  scores({ hidden, mcv, chosen }: MethodTotals): CountScores {
    const details = hidden.get(this.#half);
    return {
      ...(hidden.size === 0 ? {} : { likelihood: this.#likelihood(hidden) }),
      ...(mcv === undefined ? {} : { mcv: this.#mcv(mcv) }),
      ...(details?.hidden === undefined ? {} : { hidden: details.hidden }),
      ...(details?.calibration === undefined ? {} : { calibration: details.calibration }),
      ...(mcv === undefined || !this.#openProblems ? {} : { openProblems: mcv.openProblems }),
      ...(Object.keys(chosen).length === 0 ? {} : { chosen }),
    };
  }

  /** The model's scores less a baseline's, where both have them. */
  difference(model: MethodTotals, baseline: MethodTotals): PairedDifferences {
    const texts = [...model.hidden.keys()].filter((text) => baseline.hidden.has(text));
    const less = new Map(
      texts.map((text) => {
        const a = model.hidden.get(text) as MaskedTotals;
        const b = baseline.hidden.get(text) as MaskedTotals;
        return [
          text,
          { ...a, nats: minus(a.nats, b.nats), expressedNats: minus(a.expressedNats, b.expressedNats) },
        ] as const;
      }),
    );
    const a = model.hidden.get(this.#half);
    const b = baseline.hidden.get(this.#half);
    const squares =
      a?.squares === undefined || b?.squares === undefined
        ? undefined
        : this.#resamples.ratio(minus(a.squares, b.squares), a.genes);
    const mcv =
      model.mcv === undefined || baseline.mcv === undefined
        ? undefined
        : {
            ...model.mcv,
            deviance: minus(model.mcv.deviance, baseline.mcv.deviance),
            squares: minus(model.mcv.squares, baseline.mcv.squares),
          };
    return {
      ...(less.size === 0 ? {} : { likelihood: this.#likelihood(less) }),
      ...(mcv === undefined ? {} : { mcv: this.#mcv(mcv) }),
      ...(squares === undefined ? {} : { hidden: { mse: squares } }),
    };
  }

  /** The baseline with the lowest value, and the model's less its; undefined where the model has none. */
  rivalry(
    model: MethodTotals,
    baselines: ReadonlyMap<CountBaseline, MethodTotals>,
    sumsOf: (totals: MethodTotals) => Sums | undefined,
  ): Rivalry | undefined {
    const own = sumsOf(model);
    let best: { name: CountBaseline; sums: Sums; value: number } | undefined;
    for (const [name, totals] of baselines) {
      const sums = sumsOf(totals);
      if (sums === undefined) continue;
      const value = total(sums.top) / total(sums.bottom);
      if (best === undefined || value < best.value) best = { name, sums, value };
    }
    if (own === undefined || best === undefined) return undefined;
    const difference = this.#resamples.ratio(minus(own.top, best.sums.top), own.bottom);
    return difference === undefined ? undefined : { best: best.name, difference };
  }

  /** Scores of the cells of each label, those of most cells first. Throws `EVALUATION_GROUPS`. */
  async groups(
    labels: readonly (string | undefined)[],
    model: MethodTotals,
    baselines: ReadonlyMap<CountBaseline, MethodTotals>,
    pause: () => Promise<void>,
  ): Promise<Record<string, CountGroup>> {
    const places = new Map<string, number[]>();
    labels.forEach((label, cell) => {
      if (label === undefined) return;
      const known = places.get(label);
      if (known === undefined) places.set(label, [cell]);
      else known.push(cell);
    });
    if (places.size > MOST_GROUPS) {
      throw new DdscError(
        "EVALUATION_GROUPS",
        `there are ${places.size} groups, more than ${MOST_GROUPS}; choose a column that several cells share`,
        { argument: "groups" },
      );
    }
    const sorted = [...places].sort(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1));
    const groups: [string, CountGroup][] = [];
    for (const [label, cells] of sorted) {
      const some = Int32Array.from(cells);
      const of = ({ hidden, mcv }: MethodTotals) => ({
        likelihood: this.#likelihood(hidden, some),
        ...(mcv === undefined ? {} : { mcv: this.#mcv(mcv, some) }),
      });
      groups.push([
        label,
        {
          cells: cells.length,
          few: cells.length < FEW_CELLS,
          ...of(model),
          baselines: Object.fromEntries([...baselines].map(([name, totals]) => [name, of(totals)])),
        },
      ]);
      await pause();
    }
    return Object.fromEntries(groups);
  }

  #likelihood(hidden: ReadonlyMap<string, MaskedTotals>, some?: Int32Array): LikelihoodByRatio {
    return Object.fromEntries(
      [...hidden].flatMap(([text, totals]): [string, HiddenNats][] => {
        const all = this.#resamples.ratio(totals.nats, totals.genes, some);
        if (all === undefined) return [];
        const expressed = this.#resamples.ratio(totals.expressedNats, totals.expressedGenes, some);
        return [
          [text, { all: nats(all), ...(expressed === undefined ? {} : { expressed: nats(expressed) }) }],
        ];
      }),
    );
  }

  #mcv({ deviance, squares, genes }: McvTotals, some?: Int32Array): McvScores {
    const of = (sums: Float64Array) => this.#resamples.ratio(sums, genes, some) as Interval;
    return { poisson: of(deviance), mse: of(squares) };
  }
}

function nats({ value, low, high }: Interval): Nats {
  return { nats: value, low, high };
}

/** Nats at one share hidden, over all hidden genes. */
export function likelihoodSums({ hidden }: MethodTotals, text: string): Sums | undefined {
  const totals = hidden.get(text);
  return totals === undefined ? undefined : { top: totals.nats, bottom: totals.genes };
}

/** Poisson deviance over measured genes. */
export function devianceSums({ mcv }: MethodTotals): Sums | undefined {
  return mcv === undefined ? undefined : { top: mcv.deviance, bottom: mcv.genes };
}

function minus(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value - (b[i] as number));
}

function total(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}
