/**
 * Figures of runs, evaluations, comparisons and cells, as SVG text, PNG and GIF: `ddsc/plots`.
 *
 * Each function gives the SVG text of a figure; `figures` has functions of the same names that give a `Figure`, with its title,
 * its description in words and its data as a table, too.
 */
import { wrongType } from "../base/errors.js";
import type { CellComparison } from "../comparison/index.js";
import type { CountEvaluation, EvaluationResult } from "../evaluation/index.js";
import type { Figure } from "./figure.js";
import { accuracyFigure } from "./figures/accuracy.js";
import { calibrationFigure, coverageFigure } from "./figures/calibration.js";
import { cellMapFigure } from "./figures/cell_map.js";
import { classifierFigure } from "./figures/classifier.js";
import { fillingFigure } from "./figures/filling.js";
import { geneCorrelationsFigure } from "./figures/gene_correlations.js";
import { genesFigure } from "./figures/genes.js";
import { groupsFigure } from "./figures/groups.js";
import { learningCurvesFigure, learningRateFigure } from "./figures/learning_curves.js";
import { likelihoodFigure } from "./figures/likelihood.js";
import { meanVarianceFigure } from "./figures/mean_variance.js";
import { totalsFigure } from "./figures/totals.js";
import { zeroFractionsFigure } from "./figures/zero_fractions.js";

import type {
  CellMapInput,
  FillingInput,
  FillingOptions,
  GeneCorrelationsInput,
  GeneNats,
  MeanVarianceInput,
  PlotOptions,
  RunMetrics,
  TotalsInput,
  ZeroFractionsInput,
} from "./inputs.js";

export {
  type MetricsLine,
  type MetricsRead,
  readMetrics,
  type ValidationLine,
} from "../training/metrics_lines.js";
export { Figure, type FigureParts, type FigureTable, NOTEBOOK_DISPLAY } from "./figure.js";
export { type GifOptions, renderGif } from "./gif.js";
export { html, type Shown } from "./html.js";
export type * from "./inputs.js";
export { type Pixels, type PngOptions, renderPixels, renderPng } from "./png.js";
export { type Theme, themed, themeProperties } from "./theme.js";

/** Functions that draw figures: each takes what the function of its name takes, and throws what that throws. */
export interface Figures {
  /** What runs learnt, step by step: loss, raw and smoothed, and what held-out cells had. */
  learningCurves(runs: readonly RunMetrics[], options?: PlotOptions): Figure;
  /** The learning rate of runs, step by step. */
  learningRate(runs: readonly RunMetrics[], options?: PlotOptions): Figure;
  /** Nats a hidden gene of a model of counts and of the baselines at each share of hidden genes, and their differences, with 95% intervals. */
  likelihood(evaluation: CountEvaluation, options?: PlotOptions): Figure;
  /** Accuracy of a model of ranks beside the baselines at each share of masked tokens, of all tokens as published and of the masked ones. */
  accuracy(evaluation: EvaluationResult, options?: PlotOptions): Figure;
  /** The share of hidden genes that is expressed against the chance that the model gave them, with 95% intervals. */
  calibration(evaluation: CountEvaluation, options?: PlotOptions): Figure;
  /** The share of hidden counts inside the central 90% of what the model predicted of them, by expected count, with 95% intervals. */
  coverage(evaluation: CountEvaluation, options?: PlotOptions): Figure;
  /** Nats a hidden gene by group, such as by type, of the model and of the baseline that is best there. */
  groups(evaluation: CountEvaluation, options?: PlotOptions): Figure;
  /** The genes that a model predicts best and worst beside their own marginal. */
  genes(rows: readonly GeneNats[], options?: PlotOptions): Figure;
  /** How the total counts of real and generated cells are distributed. */
  totals(input: TotalsInput, options?: PlotOptions): Figure;
  /** The share of real and of generated cells without a count, gene by gene. */
  zeroFractions(input: ZeroFractionsInput, options?: PlotOptions): Figure;
  /** Variances of counts against their means, gene by gene, among real and generated cells. */
  meanVariance(input: MeanVarianceInput, options?: PlotOptions): Figure;
  /** Correlations of genes, of real cells above the diagonal and of generated ones below. */
  geneCorrelations(input: GeneCorrelationsInput, options?: PlotOptions): Figure;
  /** Real and generated cells in one plane, side by side, coloured and numbered by label. */
  cellMap(input: CellMapInput, options?: PlotOptions): Figure;
  /** Whether a classifier can tell generated cells from real ones: AUC beside other real cells and simple generators. */
  classifier(comparison: CellComparison, options?: PlotOptions): Figure;
  /** One moment of a cell being filled in, gene by gene; all moments have one size. */
  filling(input: FillingInput, options?: FillingOptions): Figure;
}

/** The figures by name, with their titles, descriptions and data. */
export const figures: Readonly<Figures> = {
  learningCurves: checked(
    "runs",
    "runs, each with its name and the lines that readMetrics gives",
    learningCurvesFigure,
  ),
  learningRate: checked(
    "runs",
    "runs, each with its name and the lines that readMetrics gives",
    learningRateFigure,
  ),
  likelihood: checked("evaluation", "the result of evaluateCounts", likelihoodFigure),
  accuracy: checked("evaluation", "the result of evaluate, of a model of ranks,", accuracyFigure),
  calibration: checked("evaluation", "the result of evaluateCounts", calibrationFigure),
  coverage: checked("evaluation", "the result of evaluateCounts", coverageFigure),
  groups: checked("evaluation", "the result of evaluateCounts", groupsFigure),
  genes: checked("rows", "genes with their nats", genesFigure),
  totals: totalsFigure,
  zeroFractions: zeroFractionsFigure,
  meanVariance: meanVarianceFigure,
  geneCorrelations: geneCorrelationsFigure,
  cellMap: cellMapFigure,
  classifier: checked("comparison", "the result of compareCells", classifierFigure),
  filling: fillingFigure,
} as const;

/** What runs learnt, step by step: loss, raw and smoothed, and what held-out cells had. SVG text; throws `PLOT_EMPTY` without a loss, `ARGUMENT_*`. */
export function learningCurves(runs: readonly RunMetrics[], options?: PlotOptions): string {
  return figures.learningCurves(runs, options).svg;
}

/** The learning rate of runs, step by step. SVG text; throws `PLOT_EMPTY`, `ARGUMENT_*`. */
export function learningRate(runs: readonly RunMetrics[], options?: PlotOptions): string {
  return figures.learningRate(runs, options).svg;
}

/** Nats a hidden gene of a model of counts and of the baselines at each share of hidden genes, and their differences, with 95% intervals. SVG text; throws `PLOT_EMPTY`, `ARGUMENT_*`. */
export function likelihood(evaluation: CountEvaluation, options?: PlotOptions): string {
  return figures.likelihood(evaluation, options).svg;
}

/** Accuracy of a model of ranks beside the baselines at each share of masked tokens, of all tokens as published and of the masked ones. SVG text; throws `PLOT_EMPTY`, `ARGUMENT_*`. */
export function accuracy(evaluation: EvaluationResult, options?: PlotOptions): string {
  return figures.accuracy(evaluation, options).svg;
}

/** The share of hidden genes that is expressed against the chance that the model gave them, with 95% intervals. SVG text; throws `PLOT_EMPTY` for an evaluation without calibration, `ARGUMENT_*`. */
export function calibration(evaluation: CountEvaluation, options?: PlotOptions): string {
  return figures.calibration(evaluation, options).svg;
}

/** The share of hidden counts inside the central 90% of what the model predicted of them, by expected count, with 95% intervals. SVG text; throws `PLOT_EMPTY` for an evaluation without calibration, `ARGUMENT_*`. */
export function coverage(evaluation: CountEvaluation, options?: PlotOptions): string {
  return figures.coverage(evaluation, options).svg;
}

/** Nats a hidden gene by group, such as by type, of the model and of the baseline that is best there. SVG text; throws `PLOT_EMPTY` for an evaluation without groups, `ARGUMENT_*`. */
export function groups(evaluation: CountEvaluation, options?: PlotOptions): string {
  return figures.groups(evaluation, options).svg;
}

/** The genes that a model predicts best and worst beside their own marginal. SVG text; throws `PLOT_EMPTY` without genes, `ARGUMENT_*`. */
export function genes(rows: readonly GeneNats[], options?: PlotOptions): string {
  return figures.genes(rows, options).svg;
}

/** How the total counts of real and generated cells are distributed. SVG text; throws `PLOT_EMPTY` where no cell has a count, `ARGUMENT_*`. */
export function totals(input: TotalsInput, options?: PlotOptions): string {
  return figures.totals(input, options).svg;
}

/** The share of real and of generated cells without a count, gene by gene. SVG text; throws `PLOT_EMPTY` without genes, `ARGUMENT_*`. */
export function zeroFractions(input: ZeroFractionsInput, options?: PlotOptions): string {
  return figures.zeroFractions(input, options).svg;
}

/** Variances of counts against their means, gene by gene, among real and generated cells. SVG text; throws `PLOT_EMPTY` where no gene varies, `ARGUMENT_*`. */
export function meanVariance(input: MeanVarianceInput, options?: PlotOptions): string {
  return figures.meanVariance(input, options).svg;
}

/** Correlations of genes, of real cells above the diagonal and of generated ones below. SVG text; throws `PLOT_EMPTY` where no two genes have one, `ARGUMENT_*`. */
export function geneCorrelations(input: GeneCorrelationsInput, options?: PlotOptions): string {
  return figures.geneCorrelations(input, options).svg;
}

/** Real and generated cells in one plane, side by side, coloured and numbered by label. SVG text; throws `PLOT_EMPTY` without cells, `ARGUMENT_*`. */
export function cellMap(input: CellMapInput, options?: PlotOptions): string {
  return figures.cellMap(input, options).svg;
}

/** Whether a classifier can tell generated cells from real ones: AUC beside other real cells and simple generators. SVG text; throws `PLOT_EMPTY`, `ARGUMENT_*`. */
export function classifier(comparison: CellComparison, options?: PlotOptions): string {
  return figures.classifier(comparison, options).svg;
}

/** One moment of a cell being filled in, gene by gene; all moments have one size. SVG text; throws `PLOT_EMPTY` without genes, `ARGUMENT_*`. */
export function filling(input: FillingInput, options?: FillingOptions): string {
  return figures.filling(input, options).svg;
}

/** A figure's function that tells of objects without what they should have as `ARGUMENT_TYPE`: they may come from files of JSON. */
function checked<Input, Options>(
  argument: string,
  expected: string,
  draw: (input: Input, options?: Options) => Figure,
): (input: Input, options?: Options) => Figure {
  return (input, options) => {
    try {
      return draw(input, options);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw wrongType(argument, input, expected);
    }
  };
}
