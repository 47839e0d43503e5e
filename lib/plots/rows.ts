/** Panels of rows: a label to the left, estimates with their intervals on an axis of numbers. */
import * as Plot from "@observablehq/plot";
import { type Panel, TEXT_SIZE } from "./drawing.js";
import type { Estimate } from "./marks.js";
import { extent, widened } from "./numbers.js";
import { COLOURS } from "./palette.js";
import { plotPanel } from "./panel.js";
import { textWidth, wrapText } from "./text.js";

/** An estimate as it is drawn. */
export interface DrawnEstimate extends Estimate {
  readonly colour: string;
  /** Whether it is a ring and not a dot. */
  readonly isRing?: boolean;
  /** A bar from the reference to the value in place of the dot. */
  readonly isBar?: boolean;
}

/** A row. */
export interface EstimateRow {
  readonly label: string;
  readonly estimates: readonly DrawnEstimate[];
}

/** How rows are drawn. */
export interface RowsOptions {
  readonly rows: readonly EstimateRow[];
  readonly title?: string;
  /** What the numbers are, with their unit. */
  readonly xLabel: string;
  /** Range of the axis; default what the estimates and the reference need. */
  readonly domain?: readonly [number, number];
  /** A number with a meaning, such as 0 for no difference: a dashed line. */
  readonly reference?: number;
  /** Whether the labels are drawn: they may stand beside another panel. Default true. */
  readonly hasLabels?: boolean;
  readonly tickFormat?: string;
  /** Pixels a row; default 25. */
  readonly rowHeight?: number;
}

const TOP = 6;
const BOTTOM = 42;

/** The range that an axis of some estimates needs. */
export function rowsDomain(rows: readonly EstimateRow[], reference?: number): [number, number] | undefined {
  const numbers = rows.flatMap(({ estimates }) =>
    estimates.flatMap(({ value, low, high }) => [value, low, high]),
  );
  const range = extent([...numbers, ...(reference === undefined ? [] : [reference])]);
  return range && widened(range);
}

/** A panel of rows, the first on top. */
export function rowsPanel(options: RowsOptions): Panel {
  const { rows, title, xLabel, reference, hasLabels = true, tickFormat, rowHeight = 25 } = options;
  const domain = options.domain ?? rowsDomain(rows, reference) ?? [0, 1];
  const drawn = rows.flatMap(({ estimates }, row) =>
    estimates.map((estimate, i) => ({
      ...estimate,
      row,
      // Estimates of one row stand a little above each other, so that their intervals do not hide each other.
      shift: (i - (estimates.length - 1) / 2) * Math.min(8, rowHeight / 3),
    })),
  );
  const shifts = [...new Set(drawn.map(({ shift }) => shift))];
  const plot = (width: number): Plot.PlotOptions => {
    const widest = Math.max(0, ...rows.map(({ label }) => textWidth(label, TEXT_SIZE)));
    const left = hasLabels ? Math.min(widest + 16, Math.max(90, 0.42 * width)) : 12;
    const labels = rows.map(({ label }) =>
      wrapText(label, left - 14, TEXT_SIZE, rowHeight < 24 ? 1 : 2).join("\n"),
    );
    return {
      marginTop: TOP,
      marginBottom: BOTTOM,
      marginLeft: left,
      x: {
        domain: [...domain],
        grid: true,
        label: wrapText(xLabel, width - 8, TEXT_SIZE, 1)[0] ?? "",
        ticks: Math.max(3, Math.floor((width - left) / 70)),
        ...(tickFormat === undefined ? {} : { tickFormat }),
      },
      y: { domain: rows.map((_, row) => row), label: null, axis: null, type: "point", padding: 0.5 },
      marks: [
        hasLabels
          ? Plot.axisY({
              tickSize: 0,
              tickPadding: 6,
              label: null,
              tickFormat: (row: number) => labels[row] ?? "",
            })
          : null,
        reference === undefined
          ? null
          : Plot.ruleX([reference], { stroke: COLOURS.muted, strokeDasharray: "4,3", strokeWidth: 1.25 }),
        ...shifts.flatMap((dy) => {
          const here = drawn.filter(({ shift }) => shift === dy);
          const bars = here.filter(({ isBar }) => isBar === true);
          const rest = here.filter(({ isBar }) => isBar !== true);
          const intervals = here.filter(({ low, high }) => low !== null && high !== null);
          return [
            Plot.ruleY(bars, {
              ...{ y: "row", x1: reference ?? 0, x2: "value", stroke: "colour", dy },
              strokeWidth: rowHeight * 0.55,
            }),
            Plot.ruleY(intervals, { y: "row", x1: "low", x2: "high", stroke: "colour", strokeWidth: 2, dy }),
            Plot.dot(rest, {
              ...{ y: "row", x: "value", stroke: "colour", r: 4, strokeWidth: 2, dy },
              fill: ({ isRing, colour }: DrawnEstimate) => (isRing === true ? COLOURS.ground : colour),
            }),
          ];
        }),
      ],
      color: { type: "identity" },
    };
  };
  return plotPanel(TOP + BOTTOM + rows.length * rowHeight, plot, title);
}
