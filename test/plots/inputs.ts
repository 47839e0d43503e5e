import type { CellComparison, ComparisonScores } from "../../lib/comparison/index.js";
import type { CountEvaluation, EvaluationResult, HiddenNats } from "../../lib/evaluation/index.js";
import type { Figures } from "../../lib/plots/index.js";

/** What each figure is drawn from. */
export type FigureInputs = { readonly [Name in keyof Figures]: Parameters<Figures[Name]>[0] };

const ratios = ["0.2", "0.5", "0.8"] as const;

function nats(value: number): HiddenNats {
  return { all: { nats: value, low: value - 0.01, high: value + 0.012 } };
}

function byRatio(value: number): Record<string, HiddenNats> {
  return Object.fromEntries(ratios.map((ratio, i) => [ratio, nats(value + i / 100)]));
}

/** An evaluation of a model of counts with everything in it; `names` are those of its groups. */
export function countEvaluation(
  names: readonly string[] = ["T cells", "B cells", "Monocytes"],
): CountEvaluation {
  const baseline = (value: number) => ({
    likelihood: byRatio(value),
    difference: { likelihood: byRatio(0.2 - value) },
  });
  const interval = { value: 0.9, low: 0.88, high: 0.91 };
  return {
    cells: 40,
    genes: 12,
    hiddenRatios: [0.2, 0.5, 0.8],
    likelihood: byRatio(0.2),
    withoutConditions: { likelihood: byRatio(0.205) },
    baselines: { geneMarginal: baseline(0.25), svd: baseline(0.21), knn: baseline(0.22) },
    calibration: {
      pit: { queries: 300, inside: interval, histogram: [] },
      strata: [
        { from: 0, to: 0.1, queries: 200, inside: interval, histogram: [] },
        { from: 0.1, to: null, queries: 100, inside: { value: 0.93, low: 0.91, high: 0.95 }, histogram: [] },
      ],
      expressed: [
        {
          from: 0,
          to: 0.02,
          queries: 200,
          predicted: 0.01,
          observed: { value: 0.02, low: 0.015, high: 0.03 },
        },
        { from: 0.4, to: 0.5, queries: 50, predicted: 0.45, observed: { value: 0.43, low: 0.4, high: 0.47 } },
        { from: 0.9, to: 1, queries: 50, predicted: 0.95, observed: { value: 0.96, low: 0.93, high: 0.99 } },
      ],
    },
    groups: Object.fromEntries(
      names.map((name, i) => [
        name,
        {
          cells: 20 - i,
          few: i > 0,
          likelihood: byRatio(0.2 + i / 50),
          baselines: { svd: { likelihood: byRatio(0.21 + i / 60) }, knn: { likelihood: byRatio(0.3) } },
        },
      ]),
    ),
    verdict: {
      best: "svd",
      difference: -0.01,
      low: -0.02,
      high: -0.005,
      beaten: true,
      sentence: "The model beats it.",
    },
  };
}

/** An evaluation of a model of ranks. */
export function rankEvaluation(): EvaluationResult {
  const scores = (value: number) => ({ maskedAccuracy: value, accuracy: 1 - (1 - value) / 2, rankMae: 3 });
  const of = (value: number) => Object.fromEntries(ratios.map((ratio, i) => [ratio, scores(value - i / 20)]));
  const baseline = (value: number) => ({ ...scores(value), ratios: of(value) });
  return {
    cells: 40,
    tokens: 900,
    ratios: of(0.6),
    baselines: { globalMode: baseline(0.2), geneMode: baseline(0.4), geneMarginal: baseline(0.41) },
  };
}

/** A comparison of which the figure needs the AUCs alone. */
export function comparison(): CellComparison {
  const scores = (value: number) =>
    ({
      auc: { value, low: value - 0.02, high: value + 0.03, logistic: value, forest: value - 0.01 },
    }) as ComparisonScores;
  return {
    ...scores(0.7),
    ...{ cells: 50, genes: 12, reference: "training", trainingCells: 100 },
    ceiling: scores(0.52),
    floors: { negativeBinomial: scores(0.8), shuffled: scores(0.9) },
  };
}

/** Numbers that look random and are not. */
export function numbers(count: number, seed = 1): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  });
}

/** Input of every figure, of some genes and cells. */
export function inputs(genes: readonly string[] = ["Actb", "Gapdh", "Xist", "Malat1"]): FigureInputs {
  const lines = Array.from({ length: 50 }, (_, i) => ({
    ...{ step: i + 1, loss: 2 / (i + 2) + 0.2, gradientNorm: 1, learningRate: 0.001 * Math.min(1, i / 10) },
    ...{ seconds: 1, tokensPerSecond: 100, epoch: 0 },
    validation: i % 10 === 9 ? { nll: 2 / (i + 2) + 0.25, crossEntropy: null, accuracy: null } : null,
  }));
  const count = genes.length;
  const correlations = (seed: number) =>
    Float64Array.from(numbers(count * count, seed), (value) => 2 * value - 1);
  const moments = (seed: number) => ({
    means: Float64Array.from(numbers(count, seed)),
    variances: Float64Array.from(numbers(count, seed), (value) => value + value * value),
  });
  const evaluation = countEvaluation();
  return {
    learningCurves: [{ name: "first", lines }],
    learningRate: [{ name: "first", lines }],
    likelihood: evaluation,
    accuracy: rankEvaluation(),
    calibration: evaluation,
    coverage: evaluation,
    groups: evaluation,
    genes: genes.map((gene, i) => ({ gene, model: 0.2, baseline: 0.2 + (i - 1) / 50, expressed: 10 * i })),
    totals: { real: Float64Array.of(100, 150, 900, 0), generated: Float64Array.of(120, 130, 140) },
    zeroFractions: {
      real: Float64Array.from(numbers(count)),
      generated: Float64Array.from(numbers(count, 2)),
      genes,
    },
    meanVariance: { real: moments(1), generated: moments(2) },
    geneCorrelations: { genes, real: correlations(1), generated: correlations(2) },
    cellMap: {
      points: Float64Array.from(numbers(16)),
      isGenerated: Uint8Array.of(0, 1, 0, 1, 0, 1, 0, 1),
      labels: ["T", "T", "B", "B", "T", "B", "T", "T"],
      method: "UMAP",
    },
    classifier: comparison(),
    filling: {
      genes,
      steps: 3,
      revealedAt: Int32Array.from(genes, (_, i) => i % 4),
      values: Int32Array.from(genes, (_, i) => 3 * i),
      truth: Int32Array.from(genes, (_, i) => 2 * i),
      kind: "counts",
    },
  };
}

/** Names of all figures. */
export const FIGURES = Object.keys(inputs()) as (keyof Figures)[];
