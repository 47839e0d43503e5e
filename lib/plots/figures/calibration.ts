import * as Plot from "@observablehq/plot";
import { checkKind } from "../../base/arguments.js";
import type { Calibration, CountEvaluation } from "../../evaluation/index.js";
import { checkCountEvaluation, halfOf } from "../checks.js";
import { drawFigure, TEXT_SIZE, widthOf } from "../drawing.js";
import type { Figure } from "../figure.js";
import type { PlotOptions } from "../inputs.js";
import { counted, extent, finite, nothingToDraw, percent, percentOf } from "../numbers.js";
import { COLOURS } from "../palette.js";
import { plotPanel } from "../panel.js";
import { rowsPanel } from "../rows.js";

const DIAGONAL = { stroke: COLOURS.muted, strokeDasharray: "4,3", strokeWidth: 1.25 } as const;

/** Share of the PIT values that the interval should hold. */
const WANTED = 0.9;

/**
 * Whether predicted chances of being expressed come true: the share of hidden genes that are expressed against the share predicted,
 * with 95% intervals; on the diagonal where they do. Throws `PLOT_EMPTY` without calibration, `ARGUMENT_*`.
 */
export function calibrationFigure(evaluation: CountEvaluation, options: PlotOptions = {}): Figure {
  const bins = calibrationOf(evaluation).expressed.flatMap(({ from, to, queries, predicted, observed }) => {
    const [at, value] = [finite(predicted), finite(observed?.value)];
    if (at === null || value === null) return [];
    return [
      { from, to, queries, predicted: at, value, low: finite(observed.low), high: finite(observed.high) },
    ];
  });
  if (bins.length === 0) throw withoutCalibration();
  const worst = bins.reduce((most, bin) => (distance(bin) > distance(most) ? bin : most));
  const off = bins.filter(
    ({ predicted, low, high }) => low !== null && high !== null && (predicted < low || predicted > high),
  );
  const columns = widthOf(options) >= 520 ? 2 : 1;
  const withInterval = bins.filter(({ low, high }) => low !== null && high !== null);
  const chance = {
    domain: [0, 1],
    grid: true,
    label: "predicted chance of being expressed",
    tickFormat: "%",
    ticks: 5,
  };
  const shares = plotPanel(columns === 2 ? 330 : 300, {
    x: chance,
    y: { domain: [0, 1], grid: true, label: "share that is expressed", tickFormat: "%", ticks: 5 },
    marks: [
      Plot.line(
        [
          [0, 0],
          [1, 1],
        ],
        DIAGONAL,
      ),
      Plot.ruleX(withInterval, {
        x: "predicted",
        y1: "low",
        y2: "high",
        stroke: COLOURS.blue,
        strokeWidth: 2,
      }),
      Plot.dot(bins, { x: "predicted", y: "value", fill: COLOURS.blue, r: 4 }),
    ],
  });
  const points = (share: number, predicted: number) => 100 * (share - predicted);
  const differences = plotPanel(columns === 2 ? 330 : 240, {
    x: chance,
    y: { grid: true, label: "percentage points more than predicted", ticks: 6, nice: true },
    marks: [
      Plot.ruleY([0], DIAGONAL),
      Plot.ruleX(withInterval, {
        x: "predicted",
        y1: ({ low, predicted }) => points(low, predicted),
        y2: ({ high, predicted }) => points(high, predicted),
        ...{ stroke: COLOURS.blue, strokeWidth: 2 },
      }),
      Plot.dot(bins, {
        x: "predicted",
        y: ({ value, predicted }) => points(value, predicted),
        fill: COLOURS.blue,
        r: 4,
      }),
    ],
  });
  const half = halfOf(evaluation);
  return drawFigure(
    {
      name: "calibration",
      title: "When the model says that a gene is expressed, is it?",
      description:
        `With ${percentOf(half)} of the genes hidden, predicted chances of being expressed are compared with the share that is, in ${counted(bins.length, "bin")}. ` +
        `They are furthest apart at a predicted ${percent(worst.predicted)}, where ${percent(worst.value)} are expressed. ` +
        `In ${off.length} of ${bins.length} bins the prediction is outside of the 95% interval.`,
      table: {
        columns: [
          "predicted from",
          "to",
          "hidden genes",
          "mean predicted chance",
          "share expressed",
          "95% from",
          "to",
        ],
        rows: bins.map(({ from, to, queries, predicted, value, low, high }) => [
          finite(from),
          finite(to),
          finite(queries),
          predicted,
          value,
          low,
          high,
        ]),
      },
      legend: [
        { label: "the model, with 95% intervals", colour: COLOURS.blue },
        { label: "as predicted", colour: COLOURS.muted, shape: "dashes" },
      ],
      panels: [shares, differences],
      columns,
      note: `${percentOf(half)} of the genes hidden. Below the line the model is too sure that genes are expressed, above it too sure that they are not.`,
    },
    options,
  );
}

/**
 * Whether predicted distributions are as wide as they should be: the share of hidden counts inside the central 90% of their predicted
 * distribution (randomised PIT values between 0.05 and 0.95), by expected count. Throws `PLOT_EMPTY` without calibration, `ARGUMENT_*`.
 */
export function coverageFigure(evaluation: CountEvaluation, options: PlotOptions = {}): Figure {
  const { pit, strata } = calibrationOf(evaluation);
  const rows = [
    ...strata.map(({ from, to, queries, inside }) => ({
      label: finite(to) === null ? `${finite(from) ?? "?"} and more` : `${finite(from) ?? "?"} to ${to}`,
      ...{ queries, inside },
    })),
    { label: "all", queries: pit.queries, inside: pit.inside },
  ].flatMap(({ label, queries, inside }) => {
    const value = finite(inside?.value);
    return value === null || !(queries > 0)
      ? []
      : [{ label, queries, value, low: finite(inside.low), high: finite(inside.high) }];
  });
  if (rows.length === 0) throw withoutCalibration();
  const [low, high] = extent([
    WANTED - 0.03,
    WANTED + 0.03,
    ...rows.flatMap((row) => [row.value, row.low, row.high]),
  ]) as [number, number];
  const panel = rowsPanel({
    rows: rows.map(({ label, queries, value, low, high }) => ({
      label: `${label} (${queries.toLocaleString("en-US")})`,
      estimates: [{ value, low, high, colour: label === "all" ? COLOURS.ink : COLOURS.blue }],
    })),
    xLabel: "hidden counts inside the central 90%",
    domain: [Math.max(0, low - 0.005), Math.min(1, high + 0.005)],
    reference: WANTED,
    tickFormat: "%",
    rowHeight: TEXT_SIZE * 2.2,
  });
  const all = rows.at(-1);
  const half = halfOf(evaluation);
  return drawFigure(
    {
      name: "coverage",
      title: "Are the model's intervals as wide as they claim?",
      description:
        `With ${percentOf(half)} of the genes hidden, ${all?.label === "all" ? percent(all.value) : "some"} of the hidden counts are inside the central 90% of what was predicted of them. ` +
        `By expected count: ${rows
          .filter(({ label }) => label !== "all")
          .map(({ label, value }) => `${label}: ${percent(value)}`)
          .join(", ")}.`,
      table: {
        columns: ["expected count", "hidden genes", "inside the central 90%", "95% from", "to"],
        rows: rows.map(({ label, queries, value, low, high }) => [label, queries, value, low, high]),
      },
      legend: [
        { label: "share inside, with 95% intervals", colour: COLOURS.blue },
        { label: "90%, as claimed", colour: COLOURS.muted, shape: "dashes" },
      ],
      panels: [panel],
      note: `By expected count; in brackets how many hidden genes. ${percentOf(half)} of the genes hidden. Left of the line intervals are too narrow, right of it too wide.`,
    },
    options,
  );
}

function calibrationOf(evaluation: CountEvaluation): Calibration {
  checkCountEvaluation(evaluation);
  const { calibration } = evaluation;
  if (calibration === undefined || calibration === null) throw withoutCalibration();
  checkKind("evaluation.calibration", calibration, "object");
  checkKind("evaluation.calibration.pit", calibration.pit, "object");
  checkKind("evaluation.calibration.strata", calibration.strata, "list");
  checkKind("evaluation.calibration.expressed", calibration.expressed, "list");
  return calibration;
}

function withoutCalibration() {
  return nothingToDraw(
    "the evaluation has no calibration",
    "evaluate a model of counts with half of the genes hidden",
  );
}

function distance({ predicted, value }: { predicted: number; value: number }): number {
  return Math.abs(predicted - value);
}
