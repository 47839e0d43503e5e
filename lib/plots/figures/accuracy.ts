import * as Plot from "@observablehq/plot";
import { checkKind } from "../../base/arguments.js";
import {
  BASELINE_KINDS,
  type BaselineKind,
  type EvaluationResult,
  type EvaluationScores,
} from "../../evaluation/index.js";
import { RANK_BASELINE_LABELS } from "../../evaluation/table.js";
import { drawFigure, widthOf } from "../drawing.js";
import type { Figure } from "../figure.js";
import type { PlotOptions } from "../inputs.js";
import { extent, finite, nothingToDraw, percent, percentOf, widened } from "../numbers.js";
import { COLOURS } from "../palette.js";
import { plotPanel } from "../panel.js";

const BASELINES: Readonly<
  Record<BaselineKind, { label: string; colour: string; symbol: "square" | "triangle" | "diamond" }>
> = {
  globalMode: { label: RANK_BASELINE_LABELS.globalMode, colour: COLOURS.grey, symbol: "square" },
  geneMode: { label: RANK_BASELINE_LABELS.geneMode, colour: COLOURS.vermillion, symbol: "triangle" },
  geneMarginal: { label: RANK_BASELINE_LABELS.geneMarginal, colour: COLOURS.green, symbol: "diamond" },
};

interface Point {
  readonly ratio: string;
  readonly method: string;
  readonly colour: string;
  readonly symbol: string;
  readonly accuracy: number;
  readonly maskedAccuracy: number;
}

/**
 * Accuracy of a model of ranks beside its baselines at each share of masked tokens: as published, over all tokens with those that
 * were visible counted as right, and over the masked ones alone. Throws `PLOT_EMPTY`, `ARGUMENT_*`.
 */
export function accuracyFigure(evaluation: EvaluationResult, options: PlotOptions = {}): Figure {
  checkKind("evaluation", evaluation, "object");
  checkKind("evaluation.ratios", evaluation.ratios, "object");
  checkKind("evaluation.baselines", evaluation.baselines, "object");
  const ratios = Object.keys(evaluation.ratios);
  const points = ratios.flatMap((ratio): Point[] => [
    ...pointOf(ratio, evaluation.ratios[ratio], { label: "model", colour: COLOURS.blue, symbol: "circle" }),
    ...BASELINE_KINDS.flatMap((kind) =>
      pointOf(ratio, evaluation.baselines[kind]?.ratios?.[ratio], BASELINES[kind]),
    ),
  ]);
  if (points.length === 0) throw nothingToDraw("the evaluation has no accuracy", "evaluate a model of ranks");
  const columns = widthOf(options) >= 520 ? 2 : 1;
  const panels = (
    [
      ["accuracy", "All tokens, the visible ones counted as right"],
      ["maskedAccuracy", "Masked tokens alone"],
    ] as const
  ).map(([measure, title]) =>
    plotPanel(
      260,
      {
        x: { domain: ratios, type: "point", padding: 0.4, label: "tokens masked", tickFormat: percentOf },
        y: {
          domain: shareDomain(points.map((point) => point[measure])),
          grid: true,
          label: "right",
          tickFormat: "%",
          ticks: 6,
        },
        color: { type: "identity" },
        symbol: { type: "identity" } as never,
        marks: [
          Plot.line(points, { x: "ratio", y: measure, z: "method", stroke: "colour", strokeWidth: 1.75 }),
          Plot.dot(points, { x: "ratio", y: measure, fill: "colour", symbol: "symbol", r: 5 }),
        ],
      },
      title,
    ),
  );
  const methods = [...new Map(points.map((point) => [point.method, point])).values()];
  return drawFigure(
    {
      name: "accuracy",
      title: "How many ranks does the model name right, and how many do simple rules?",
      description: ratios
        .map((ratio) => {
          const here = points.filter((point) => point.ratio === ratio);
          const texts = here.map(
            ({ method, accuracy, maskedAccuracy }) =>
              `${method} ${percent(accuracy)} of all tokens and ${percent(maskedAccuracy)} of the masked ones`,
          );
          return `Right with ${percentOf(ratio)} masked: ${texts.join(", ")}.`;
        })
        .join(" "),
      table: {
        columns: ["tokens masked", "method", "right of all tokens", "right of the masked ones"],
        rows: points.map(({ ratio, method, accuracy, maskedAccuracy }) => [
          percentOf(ratio),
          method,
          accuracy,
          maskedAccuracy,
        ]),
      },
      legend: methods.map(({ method, colour }) => ({ label: method, colour })),
      panels,
      columns,
    },
    options,
  );
}

function pointOf(
  ratio: string,
  scores: EvaluationScores | undefined,
  { label: method, colour, symbol }: { label: string; colour: string; symbol: string },
): Point[] {
  const accuracy = finite(scores?.accuracy);
  const maskedAccuracy = finite(scores?.maskedAccuracy);
  if (accuracy === null || maskedAccuracy === null) return [];
  return [{ ratio, method, colour, symbol, accuracy, maskedAccuracy }];
}

function shareDomain(shares: readonly number[]): [number, number] {
  const [low, high] = widened(extent(shares) ?? [0, 1], 0.1);
  return [Math.max(0, low), Math.min(1, high)];
}
