import { setImmediate } from "node:timers/promises";
import { checkKind, checkOptions } from "../../base/arguments.js";
import { checkNumber, DdscError } from "../../base/errors.js";
import { CellResamples, type Interval } from "./bootstrap.js";
import {
  type CountBase,
  type CountCells,
  cellCount,
  checkBase,
  checkCells,
  measuredGenes,
} from "./count_cells.js";
import { type FittedBaselines, fitBaselines, thinnedBase } from "./fit_baselines.js";
import type { HiddenGenes } from "./masked_cells.js";
import { type MaskedTotals, predictHidden } from "./masked_evaluation.js";
import { crossValidate, type McvTotals } from "./molecular_cross_validation.js";
import type { CountDenoiser, CountPredictor } from "./predictor.js";
import {
  type BaselineCountScores,
  COUNT_BASELINES,
  type CountBaseline,
  type CountEvaluation,
  type CountGroup,
  type CountScores,
  type HiddenNats,
  type LikelihoodByRatio,
  type McvScores,
  type Nats,
  type PairedDifferences,
} from "./scores.js";
import { thinCells } from "./thinning.js";
import { type Rivalry, verdictOf } from "./verdict.js";

/** Cells below which a group is marked. */
const FEW_CELLS = 20;
/** Groups at most: a column with more values names cells rather than groups. */
const MOST_GROUPS = 1000;

/** What `evaluateCounts` compares, and on what. */
export interface EvaluateCountsOptions {
  /** The model, told the cells' conditions where it has any. */
  readonly model: CountPredictor;
  /** The model without conditions, where it has any. */
  readonly withoutConditions?: CountPredictor;
  /** The model as a denoiser, for molecular cross-validation; without it, only baselines take part. */
  readonly denoiser?: CountDenoiser;
  /** The cells to score. Their labels are their types, which the type mean is told. */
  readonly heldOut: CountCells;
  /** A sample of the training cells, for baselines and for what has to be chosen; 10,000 are enough. */
  readonly training: CountCells;
  /** Shares, sizes and depth of the training cells. */
  readonly base: CountBase;
  /** Hidden genes of the held-out cells by share hidden, written as a number ("0.5"). */
  readonly masks: Readonly<Record<string, HiddenGenes>>;
  /** Chance of a molecule to be tested on; default 0.1. Null: no molecular cross-validation. */
  readonly thin?: number | null;
  /** Whether to give the two numbers of Open Problems; default false. */
  readonly openProblems?: boolean;
  /** Group of each held-out cell to score by; undefined for none. Default: no groups. */
  readonly groups?: readonly (string | undefined)[];
  /** Resamples of cells for intervals; default 1,000. */
  readonly resamples?: number;
  /** Whole number below 2^53 - 1; default 0. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
}

/** Sums by cell of one method. */
interface MethodTotals {
  readonly hidden: ReadonlyMap<string, MaskedTotals>;
  readonly mcv: McvTotals | undefined;
  readonly chosen: Readonly<Record<string, string>>;
}

/**
 * Compares a count model with baselines that are fitted on the training cells and predict the same hidden genes and the same test
 * molecules: likelihood of hidden genes, molecular cross-validation, errors on hidden entries, calibration (the last two at the share
 * nearest to half), each with a 95% interval over held-out cells, differences paired. See docs/evaluation.md.
 *
 * Throws `ARGUMENT_*`, `BATCH_INVALID`, `EVALUATION_EMPTY` where there is no cell or no hidden gene, `EVALUATION_GROUPS` for too many
 * groups; rejects with the signal's reason when aborted.
 */
export async function evaluateCounts(options: EvaluateCountsOptions): Promise<CountEvaluation> {
  const ratios = checkAll(options);
  const { model, heldOut, training, base, masks, denoiser, signal } = options;
  const seed = options.seed ?? 0;
  const thin = options.thin === null ? undefined : (options.thin ?? 0.1);
  const pause = async () => {
    await setImmediate();
    signal?.throwIfAborted();
  };
  await pause();
  const fitted = await fitBaselines(training, base, { ratios, thin, denoiser, seed, pause, signal });
  const resamples = new CellResamples(cellCount(heldOut), options.resamples ?? 1000, seed);
  const half = nearestToHalf(ratios);
  const hidden = new Map<string, Map<string, MaskedTotals>>();
  for (const text of ratios.keys()) {
    const predictors = new Map<string, CountPredictor>([["model", model]]);
    if (options.withoutConditions !== undefined) {
      predictors.set("withoutConditions", options.withoutConditions);
    }
    for (const [name, { predictor }] of fitted.hidden.get(text) ?? []) predictors.set(name, predictor);
    const details = text === half ? { details: resamples } : {};
    const given = masks[text] as HiddenGenes;
    hidden.set(
      text,
      await predictHidden(predictors, heldOut, given, base, { seed, pause, signal, ...details }),
    );
  }
  const mcv =
    thin === undefined
      ? new Map<string, McvTotals>()
      : await crossValidate<string>(
          fitted.mcv,
          thinCells(heldOut, thin, seed),
          thinnedBase(base, thin),
          thin,
          { pause, signal },
        );
  const totalsOf = (name: string): MethodTotals => ({
    hidden: new Map(
      [...hidden].flatMap(([text, methods]) => {
        const totals = methods.get(name);
        return totals === undefined ? [] : [[text, totals] as const];
      }),
    ),
    mcv: mcv.get(name),
    chosen: chosenFor(fitted, name),
  });
  const report = new Report(resamples, half, options.openProblems ?? false);
  const own = totalsOf("model");
  const baselines = new Map<CountBaseline, MethodTotals>();
  for (const name of COUNT_BASELINES) {
    const totals = totalsOf(name);
    if (totals.hidden.size > 0 || totals.mcv !== undefined) baselines.set(name, totals);
  }
  const baselineScores: Partial<Record<CountBaseline, BaselineCountScores>> = {};
  for (const [name, totals] of baselines) {
    baselineScores[name] = { ...report.scores(totals), difference: report.difference(own, totals) };
    await pause();
  }
  const scores = report.scores(own);
  const without = totalsOf("withoutConditions");
  const measured = new Set<number>();
  for (const panel of new Set(heldOut.panels)) {
    for (const gene of heldOut.panelGenes[panel] as Int32Array) measured.add(gene);
  }
  return {
    cells: cellCount(heldOut),
    genes: measured.size,
    hiddenRatios: [...ratios.values()],
    ...scores,
    likelihood: scores.likelihood ?? {},
    ...(options.withoutConditions === undefined
      ? {}
      : { withoutConditions: { likelihood: report.scores(without).likelihood ?? {} } }),
    baselines: baselineScores,
    ...(options.groups === undefined
      ? {}
      : { groups: await report.groups(options.groups, own, baselines, pause) }),
    verdict: verdictOf(
      half,
      report.rivalry(own, baselines, (totals) => likelihoodSums(totals, half)) as Rivalry,
      report.rivalry(own, baselines, devianceSums),
    ),
  };
}

/** Numerator and denominator of a ratio over cells. */
interface Sums {
  readonly top: Float64Array;
  readonly bottom: Float64Array;
}

/** Turns sums by cell into scores with intervals. */
class Report {
  readonly #resamples: CellResamples;
  readonly #half: string;
  readonly #openProblems: boolean;

  constructor(resamples: CellResamples, half: string, openProblems: boolean) {
    this.#resamples = resamples;
    this.#half = half;
    this.#openProblems = openProblems;
  }

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

function likelihoodSums({ hidden }: MethodTotals, text: string): Sums | undefined {
  const totals = hidden.get(text);
  return totals === undefined ? undefined : { top: totals.nats, bottom: totals.genes };
}

function devianceSums({ mcv }: MethodTotals): Sums | undefined {
  return mcv === undefined ? undefined : { top: mcv.deviance, bottom: mcv.genes };
}

function minus(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value - (b[i] as number));
}

function total(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function chosenFor(fitted: FittedBaselines, name: string): Record<string, string> {
  const chosen: Record<string, string> = {};
  for (const [text, methods] of fitted.hidden) {
    const found = methods.get(name as CountBaseline);
    if (found !== undefined) chosen[text] = found.chosen;
  }
  const mcv = fitted.mcv.get(name as CountBaseline);
  if (mcv !== undefined) chosen.mcv = mcv.chosen;
  return chosen;
}

function nearestToHalf(ratios: ReadonlyMap<string, number>): string {
  return [...ratios].reduce((best, each) =>
    Math.abs(each[1] - 0.5) < Math.abs(best[1] - 0.5) ? each : best,
  )[0];
}

/** Checks what was given; the shares hidden, as text and number, ascending. */
function checkAll(options: EvaluateCountsOptions): ReadonlyMap<string, number> {
  checkOptions(options, { openProblems: "switch", groups: "list", signal: "signal" });
  const { model, withoutConditions, denoiser, heldOut, training, base, masks } = options;
  checkBase(base);
  checkCells("heldOut", heldOut, base);
  checkCells("training", training, base);
  checkKind("model", model, "object");
  checkKind("model.predict", model.predict, "function");
  if (withoutConditions !== undefined) {
    checkKind("withoutConditions", withoutConditions, "object");
    checkKind("withoutConditions.predict", withoutConditions.predict, "function");
  }
  if (denoiser !== undefined) {
    checkKind("denoiser", denoiser, "object");
    checkKind("denoiser.denoise", denoiser.denoise, "function");
  }
  const { thin, seed, resamples, groups } = options;
  if (thin !== undefined && thin !== null) checkNumber("thin", thin, { min: 0.001, max: 0.999 });
  checkNumber("seed", seed ?? 0, { min: 0, max: Number.MAX_SAFE_INTEGER - 1, integer: true });
  checkNumber("resamples", resamples ?? 1000, { min: 20, max: 100_000, integer: true });
  if (cellCount(heldOut) === 0 || cellCount(training) < 2) {
    throw new DdscError(
      "EVALUATION_EMPTY",
      `${cellCount(heldOut)} held-out and ${cellCount(training)} training cells; hold out at least one cell and give at least two to fit baselines on`,
      { argument: cellCount(heldOut) === 0 ? "heldOut" : "training" },
    );
  }
  if (groups !== undefined && groups.length !== cellCount(heldOut)) {
    throw new DdscError(
      "ARGUMENT_RANGE",
      `expected a group for each of the ${cellCount(heldOut)} held-out cells for groups but received ${groups.length}`,
      { argument: "groups" },
    );
  }
  return checkMasks(masks, heldOut);
}

function checkMasks(
  masks: Readonly<Record<string, HiddenGenes>>,
  heldOut: CountCells,
): ReadonlyMap<string, number> {
  checkKind("masks", masks, "object");
  const ratios = Object.keys(masks).map(
    (text) => [text, checkNumber("masks", Number(text), { min: 1e-6, max: 1 })] as const,
  );
  for (const [text] of ratios) {
    checkKind(`masks.${text}`, masks[text], "object");
    const { offsets, genes } = masks[text] as HiddenGenes;
    checkKind(`masks.${text}.offsets`, offsets, "rows");
    checkKind(`masks.${text}.genes`, genes, "rows");
    let good =
      offsets.length === cellCount(heldOut) + 1 && offsets[0] === 0 && offsets.at(-1) === genes.length;
    for (let cell = 0; good && cell + 1 < offsets.length; cell++) {
      good =
        ascendingPart(genes, offsets, cell) && endsWithin(measuredGenes(heldOut, cell), genes, offsets, cell);
    }
    if (!good) {
      throw new DdscError(
        "ARGUMENT_RANGE",
        `expected measured genes, ascending in each of the ${cellCount(heldOut)} held-out cells, for masks ${text}`,
        { argument: "masks" },
      );
    }
  }
  if (ratios.some(([text]) => (masks[text] as HiddenGenes).genes.length === 0) || ratios.length === 0) {
    throw new DdscError(
      "EVALUATION_EMPTY",
      "no gene is hidden, so there is nothing to predict; hide some genes at every share",
      { argument: "masks" },
    );
  }
  return new Map(ratios.sort((a, b) => a[1] - b[1]));
}

function ascendingPart(genes: Int32Array, offsets: Int32Array, cell: number): boolean {
  for (let i = (offsets[cell] as number) + 1; i < (offsets[cell + 1] as number); i++) {
    if ((genes[i] as number) <= (genes[i - 1] as number)) return false;
  }
  return true;
}

/** Whether the first and last hidden genes are within the panel's; the rest is checked as cells are masked. */
function endsWithin(measured: Int32Array, genes: Int32Array, offsets: Int32Array, cell: number): boolean {
  const from = offsets[cell] as number;
  const to = offsets[cell + 1] as number;
  if (from === to) return true;
  return (
    (genes[from] as number) >= (measured[0] as number) &&
    (genes[to - 1] as number) <= (measured.at(-1) as number)
  );
}
