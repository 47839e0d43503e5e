import * as Plot from "@observablehq/plot";
import { checkKind } from "../../base/arguments.js";
import { quantile } from "../../base/quantile.js";
import { checkArray } from "../checks.js";
import { drawFigure } from "../drawing.js";
import type { Figure } from "../figure.js";
import type { PlotOptions, TotalsInput } from "../inputs.js";
import { counted, extent, nothingToDraw } from "../numbers.js";
import { COLOURS } from "../palette.js";
import { plotPanel } from "../panel.js";

const BARS = 32;
/** Largest over smallest total from which the axis is logarithmic. */
const LOGARITHMIC = 8;

/**
 * How total counts of real and generated cells are distributed: the share of the cells in each part of the axis. Throws `PLOT_EMPTY` where
 * neither has a cell with a count, `ARGUMENT_*`.
 */
export function totalsFigure(input: TotalsInput, options: PlotOptions = {}): Figure {
  checkKind("input", input, "object");
  checkArray("input.real", input.real, "doubles");
  checkArray("input.generated", input.generated, "doubles");
  const kinds = [
    { name: "real", colour: COLOURS.blue, all: input.real },
    { name: "generated", colour: COLOURS.vermillion, all: input.generated },
  ].map((kind) => ({
    ...kind,
    totals: kind.all.filter((total) => Number.isFinite(total) && total > 0).sort(),
  }));
  const range = extent(kinds.flatMap(({ totals }) => [totals[0] ?? null, totals.at(-1) ?? null]));
  if (range === undefined) throw nothingToDraw("no cell has a count", "give cells with counts");
  const isLogarithmic = range[1] / range[0] >= LOGARITHMIC;
  const at = isLogarithmic ? Math.log : (value: number) => value;
  const back = isLogarithmic ? Math.exp : (value: number) => value;
  const [low, high] =
    range[0] === range[1] ? [at(range[0] * 0.9), at(range[1] * 1.1)] : [at(range[0]), at(range[1])];
  const bounds = Array.from({ length: BARS + 1 }, (_, i) => back(low + ((high - low) * i) / BARS));
  const shares = kinds.map(({ totals, all }) => {
    const bars = new Float64Array(BARS);
    for (const total of totals) {
      const bar = Math.min(BARS - 1, Math.max(0, Math.floor(((at(total) - low) / (high - low)) * BARS)));
      bars[bar] = (bars[bar] as number) + 1 / all.length;
    }
    return bars;
  });
  const panel = plotPanel(260, (width) => ({
    x: {
      domain: [bounds[0] as number, bounds[BARS] as number],
      type: isLogarithmic ? "log" : "linear",
      label: `total counts of a cell${isLogarithmic ? " (logarithmic)" : ""}`,
      ticks: Math.max(2, Math.floor(width / 110)),
      tickFormat: "~s",
    },
    y: { grid: true, label: "cells", tickFormat: "%", ticks: 5, zero: true },
    marks: kinds.flatMap(({ colour }, kind) => {
      const steps = outline(bounds, shares[kind] as Float64Array);
      return [
        Plot.areaY(steps, { x: "0", y1: 0, y2: "1", fill: colour, fillOpacity: 0.14 }),
        Plot.line(steps, {
          x: "0",
          y: "1",
          stroke: colour,
          strokeWidth: 2,
          ...(kind === 1 ? { strokeDasharray: "7,3" } : {}),
        }),
      ];
    }),
  }));
  const empty = kinds.flatMap(({ name, all, totals }) =>
    all.length === totals.length
      ? []
      : [
          `${counted(all.length - totals.length, `${name} cell`)} without a count ${all.length - totals.length === 1 ? "is" : "are"} not drawn.`,
        ],
  );
  const texts = kinds.map(({ name, all, totals }) => {
    const of = (share: number) =>
      Math.round(quantile(totals.length, (place) => totals[place] as number, share)).toLocaleString("en-US");
    return totals.length === 0
      ? `${name}: no cell with a count.`
      : `${counted(all.length, `${name} cell`)}: median total ${of(0.5)}, half of them between ${of(0.25)} and ${of(0.75)}.`;
  });
  return drawFigure(
    {
      name: "totals",
      title: "Do generated cells have as many counts as real ones?",
      description: [...texts, ...empty].join(" "),
      table: {
        columns: ["total from", "to", "share of real cells", "share of generated cells"],
        rows: Array.from({ length: BARS }, (_, bar) => [
          bounds[bar] as number,
          bounds[bar + 1] as number,
          shares[0]?.[bar] ?? null,
          shares[1]?.[bar] ?? null,
        ]),
      },
      legend: [
        { label: counted(input.real.length, "real cell"), colour: COLOURS.blue, shape: "line" },
        {
          label: counted(input.generated.length, "generated cell"),
          colour: COLOURS.vermillion,
          shape: "dashes",
        },
      ],
      panels: [panel],
      note: empty.length === 0 ? undefined : empty.join(" "),
    },
    options,
  );
}

/** The outline of a histogram, from the axis to the axis. */
function outline(bounds: readonly number[], shares: Float64Array): [number, number][] {
  const inner = Array.from(shares).flatMap((share, bar): [number, number][] => [
    [bounds[bar] as number, share],
    [bounds[bar + 1] as number, share],
  ]);
  return [[bounds[0] as number, 0], ...inner, [bounds.at(-1) as number, 0]];
}
