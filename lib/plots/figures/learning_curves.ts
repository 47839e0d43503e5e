import * as Plot from "@observablehq/plot";
import { checkKind } from "../../base/arguments.js";
import { quantile } from "../../base/quantile.js";
import type { MetricsLine } from "../../training/metrics_lines.js";
import { drawFigure, type LegendEntry } from "../drawing.js";
import type { Figure } from "../figure.js";
import type { PlotOptions, RunMetrics } from "../inputs.js";
import { counted, extent, finite, fixed, nothingToDraw, widened } from "../numbers.js";
import { CATEGORIES, COLOURS } from "../palette.js";
import { plotPanel } from "../panel.js";
import { nameText } from "../text.js";

/** Points of a run's curve at most: more would not be seen, and would make large files. */
const MOST_POINTS = 300;
const MOST_RAW_POINTS = 1200;
/** Share of a run's steps that a point of the smoothed curve is the mean of, to each side. */
const SMOOTHED = 0.02;

interface Point {
  readonly step: number;
  readonly value: number;
}

interface Run {
  readonly name: string;
  readonly colour: string;
  readonly isDashed: boolean;
  readonly lines: readonly MetricsLine[];
}

/**
 * What a run learnt, step by step: its loss, raw and smoothed, and what it had on held-out cells. Steps that a resumed run did again
 * replace those before. Throws `PLOT_EMPTY` where no line holds a loss, `ARGUMENT_*`.
 */
export function learningCurvesFigure(runs: readonly RunMetrics[], options: PlotOptions = {}): Figure {
  const all = runsOf(runs).map((run) => {
    const raw = pointsOf(run.lines, ({ loss }) => loss);
    const validation = pointsOf(run.lines, (line) => line.validation?.nll);
    return { ...run, raw, smooth: smoothed(raw), validation };
  });
  const range = extent(
    all.flatMap(({ smooth, validation }) => [...smooth, ...validation].map(({ value }) => value)),
  );
  if (range === undefined) {
    throw nothingToDraw("no line of metrics has a loss", "take the metrics of a run that has made steps");
  }
  const domain = widened(
    lossRange(
      all.map(({ raw, smooth, validation }) => ({ raw, rest: [...smooth, ...validation] })),
      range,
    ),
  );
  const hasValidation = all.some(({ validation }) => validation.length > 0);
  const several = all.length > 1;
  const legend: LegendEntry[] = [
    ...(several ? runEntries(all) : []),
    { label: "loss, smoothed", colour: several ? COLOURS.muted : COLOURS.blue, shape: "line" },
    {
      label: "loss of each step",
      colour: several ? COLOURS.muted : COLOURS.blue,
      shape: "line",
      opacity: 0.3,
    },
    ...(hasValidation
      ? ([
          { label: "held-out cells", colour: several ? COLOURS.muted : COLOURS.vermillion, shape: "ring" },
        ] as const)
      : []),
  ];
  const panel = plotPanel(300, (width) => ({
    clip: true,
    x: stepAxis(width),
    y: { domain, grid: true, label: "loss, nats", nice: false },
    color: { type: "identity" },
    marks: all.flatMap(({ colour, isDashed, raw, smooth, validation }) => [
      Plot.line(thinned(raw, MOST_RAW_POINTS), {
        x: "step",
        y: "value",
        stroke: colour,
        strokeOpacity: 0.25,
        strokeWidth: 1,
      }),
      Plot.line(smooth, {
        ...{ x: "step", y: "value", stroke: colour, strokeWidth: 2 },
        ...(isDashed ? { strokeDasharray: "6,4" } : {}),
      }),
      Plot.line(validation, {
        x: "step",
        y: "value",
        stroke: several ? colour : COLOURS.vermillion,
        strokeWidth: 1,
        clip: true,
      }),
      Plot.dot(validation, {
        x: "step",
        y: "value",
        r: 3.5,
        strokeWidth: 1.75,
        stroke: several ? colour : COLOURS.vermillion,
        fill: COLOURS.ground,
        clip: false,
      }),
    ]),
  }));
  const texts = all.map(({ name, smooth, validation }) => runText(name, several, smooth, validation));
  return drawFigure(
    {
      name: "learning-curves",
      title: several
        ? "How fast do the runs learn, and do they still?"
        : "How fast does the run learn, and does it still?",
      description: texts.join(" "),
      table: {
        columns: ["run", "step", "loss, smoothed (nats)", "held-out cells (nats)"],
        rows: all.flatMap(({ name, smooth, validation }) => tableRows(name, smooth, validation)),
      },
      legend,
      panels: [panel],
    },
    options,
  );
}

/** The learning rate, step by step. Throws `PLOT_EMPTY` where no line holds one, `ARGUMENT_*`. */
export function learningRateFigure(runs: readonly RunMetrics[], options: PlotOptions = {}): Figure {
  const all = runsOf(runs).map((run) => ({
    ...run,
    rates: thinned(
      pointsOf(run.lines, ({ learningRate }) => learningRate),
      MOST_RAW_POINTS,
    ),
  }));
  const range = extent(all.flatMap(({ rates }) => rates.map(({ value }) => value)));
  if (range === undefined) {
    throw nothingToDraw(
      "no line of metrics has a learning rate",
      "take the metrics of a run that has made steps",
    );
  }
  const panel = plotPanel(200, (width) => ({
    marginLeft: 62,
    x: stepAxis(width),
    y: { domain: [0, range[1] * 1.05 || 1], grid: true, label: "learning rate", tickFormat: "~g", ticks: 5 },
    color: { type: "identity" },
    marks: all.map(({ colour, isDashed, rates }) =>
      Plot.line(rates, {
        x: "step",
        y: "value",
        stroke: colour,
        strokeWidth: 2,
        ...(isDashed ? { strokeDasharray: "6,4" } : {}),
      }),
    ),
  }));
  const texts = all.flatMap(({ name, rates }) => {
    const [low, high] = extent(rates.map(({ value }) => value)) ?? [];
    return low === undefined || high === undefined
      ? []
      : [
          `${all.length > 1 ? `${name}: ` : ""}the learning rate is between ${shortNumber(low)} and ${shortNumber(high)} and ends with ${shortNumber(rates.at(-1)?.value ?? low)}.`,
        ];
  });
  return drawFigure(
    {
      name: "learning-rate",
      title: "How does the learning rate change?",
      description: texts.join(" "),
      table: {
        columns: ["run", "step", "learning rate"],
        rows: all.flatMap(({ name, rates }) => rates.map(({ step, value }) => [name, step, value])),
      },
      legend: all.length > 1 ? runEntries(all) : [],
      panels: [panel],
    },
    options,
  );
}

function runsOf(runs: readonly RunMetrics[]): Run[] {
  checkKind("runs", runs, "list");
  return runs.map((run, i) => {
    checkKind(`runs[${i}]`, run, "object");
    checkKind(`runs[${i}].name`, run.name, "text");
    checkKind(`runs[${i}].lines`, run.lines, "list");
    return {
      name: nameText(run.name),
      colour: CATEGORIES[i % CATEGORIES.length] as string,
      isDashed: i >= CATEGORIES.length,
      lines: run.lines,
    };
  });
}

function runEntries(runs: readonly Run[]): LegendEntry[] {
  return runs.map(({ name, colour, isDashed }) => ({
    label: name,
    colour,
    shape: isDashed ? "dashes" : "line",
  }));
}

function stepAxis(width: number): Plot.ScaleOptions {
  return { label: "training step", ticks: Math.max(2, Math.floor(width / 90)), tickFormat: stepText };
}

/** "800", "12k", "1.5M". */
function stepText(step: number): string {
  if (step >= 1e6) return `${step / 1e6}M`;
  return step >= 1e4 ? `${step / 1e3}k` : String(step);
}

/** Numbers by step; a step that was done again replaces what was there from it on. */
function pointsOf(
  lines: readonly MetricsLine[],
  of: (line: MetricsLine) => number | null | undefined,
): Point[] {
  const points: Point[] = [];
  for (const line of lines) {
    const value = finite(of(line));
    if (value === null) continue;
    while ((points.at(-1)?.step ?? -1) >= line.step) points.pop();
    points.push({ step: line.step, value });
  }
  return points;
}

/** Means over neighbours, at some hundred steps; wider where there are more steps, so that noise is smoothed away alike. */
function smoothed(points: readonly Point[]): Point[] {
  const reach = Math.max(1, Math.round(points.length * SMOOTHED));
  const sums = new Float64Array(points.length + 1);
  for (const [i, { value }] of points.entries()) sums[i + 1] = (sums[i] as number) + value;
  const places = thinned([...points.keys()], MOST_POINTS);
  return places.map((place) => {
    // As many to each side, so that the ends do not lag.
    const side = Math.min(reach, place, points.length - 1 - place);
    const sum = (sums[place + side + 1] as number) - (sums[place - side] as number);
    return { step: (points[place] as Point).step, value: sum / (2 * side + 1) };
  });
}

/** At most `most` of them at equal distances, the first and the last among them. */
function thinned<T>(values: readonly T[], most: number): T[] {
  if (values.length <= most) return [...values];
  return Array.from(
    { length: most },
    (_, i) => values[Math.round((i * (values.length - 1)) / (most - 1))] as T,
  );
}

/** A range that a fall over the first steps does not fill: what is above it is cut off. */
function lossRange(
  runs: readonly { readonly raw: readonly Point[]; readonly rest: readonly Point[] }[],
  [low, high]: readonly [number, number],
): [number, number] {
  const later = runs.flatMap(({ raw, rest }) => {
    const start = (raw.at(-1)?.step ?? 0) * 0.05;
    return rest.filter(({ step }) => step >= start).map(({ value }) => value);
  });
  const raws = runs.flatMap(({ raw }) => raw.map(({ value }) => value)).sort((a, b) => a - b);
  const at = (share: number) => quantile(raws.length, (place) => raws[place] as number, share);
  const [least = low, most = high] = extent(later) ?? [];
  return [
    Math.min(least, at(0.02) || least),
    Math.min(Math.max(most, at(0.98) || most), Math.max(high, most)),
  ];
}

function tableRows(
  name: string,
  smooth: readonly Point[],
  validation: readonly Point[],
): (string | number | null)[][] {
  const losses = new Map(smooth.map(({ step, value }) => [step, value]));
  const held = new Map(validation.map(({ step, value }) => [step, value]));
  return [...new Set([...losses.keys(), ...held.keys()])]
    .sort((a, b) => a - b)
    .map((step) => [name, step, losses.get(step) ?? null, held.get(step) ?? null]);
}

function runText(
  name: string,
  isNamed: boolean,
  smooth: readonly Point[],
  validation: readonly Point[],
): string {
  const [first, last] = [smooth[0], smooth.at(-1)];
  const parts: string[] = [];
  if (first !== undefined && last !== undefined) {
    parts.push(
      `the smoothed loss goes from ${fixed(first.value, 4)} to ${fixed(last.value, 4)} nats at step ${last.step}`,
    );
  }
  if (validation.length > 0) {
    const best = validation.reduce((least, point) => (point.value < least.value ? point : least));
    parts.push(
      `held-out cells were scored ${counted(validation.length, "time")}, best with ${fixed(best.value, 4)} nats at step ${best.step}`,
    );
  }
  const text = parts.length === 0 ? "no step has a loss" : parts.join("; ");
  return `${isNamed ? `${name}: ` : ""}${text}.`;
}

function shortNumber(value: number): string {
  return String(Number(value.toPrecision(3)));
}
