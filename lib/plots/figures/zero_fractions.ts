import * as Plot from "@observablehq/plot";
import { checkKind } from "../../base/arguments.js";
import { checkArray } from "../checks.js";
import { drawFigure, widthOf } from "../drawing.js";
import type { Figure } from "../figure.js";
import type { PlotOptions, ZeroFractionsInput } from "../inputs.js";
import { points } from "../marks.js";
import { counted, extent, finite, fixed, nothingToDraw, percent, widened } from "../numbers.js";
import { COLOURS } from "../palette.js";
import { plotPanel } from "../panel.js";
import { fitText, nameText } from "../text.js";

const SAME = { stroke: COLOURS.muted, strokeDasharray: "4,3", strokeWidth: 1.25 } as const;

/** Genes that are named in the picture: those furthest from the diagonal. */
const NAMED = 5;
/** Difference of shares from which a gene is named. */
const FAR = 0.02;

/**
 * Whether genes are as often absent from generated cells as from real ones: the share of cells without a count, gene by gene; on the
 * diagonal where they agree. Throws `PLOT_EMPTY` without genes, `ARGUMENT_*`.
 */
export function zeroFractionsFigure(input: ZeroFractionsInput, options: PlotOptions = {}): Figure {
  checkKind("input", input, "object");
  const { real, generated, genes } = input;
  checkArray("input.real", real, "doubles");
  checkArray("input.generated", generated, "doubles", real.length);
  if (genes !== undefined) checkKind("input.genes", genes, "texts");
  const all = Array.from(real, (share, i) => ({
    name: nameText(genes?.[i] ?? `gene ${i + 1}`),
    real: finite(share),
    generated: finite(generated[i]),
  }));
  const drawn = all.flatMap(({ name, real, generated }) =>
    real === null || generated === null ? [] : [{ name, real, generated, off: Math.abs(real - generated) }],
  );
  if (drawn.length === 0)
    throw nothingToDraw("no gene has shares of zeros", "give at least one cell of each kind");
  const furthest = drawn
    .toSorted((a, b) => b.off - a.off)
    .slice(0, NAMED)
    .filter(({ off }) => off >= FAR);
  const rms = Math.sqrt(drawn.reduce((sum, { off }) => sum + off * off, 0) / drawn.length);
  const columns = widthOf(options) >= 520 ? 2 : 1;
  const style = { colour: COLOURS.blue, radius: drawn.length > 300 ? 1.5 : 2.5, opacity: 0.6 };
  const reals = drawn.map(({ real }) => real);
  const share = {
    domain: [0, 1],
    grid: true,
    label: "real cells without a count",
    tickFormat: "%",
    ticks: 5,
  };
  const shares = plotPanel(columns === 2 ? 330 : 300, {
    x: share,
    y: { domain: [0, 1], grid: true, label: "generated cells without a count", tickFormat: "%", ticks: 5 },
    marks: [
      Plot.line(
        [
          [0, 0],
          [1, 1],
        ],
        SAME,
      ),
      points(
        reals,
        drawn.map(({ generated }) => generated),
        style,
      ),
    ],
  });
  const more = ({ real, generated }: { real: number; generated: number }) => 100 * (generated - real);
  const differences = plotPanel(columns === 2 ? 330 : 260, {
    x: share,
    y: {
      domain: widened(extent([-1, 1, ...drawn.map(more)]) as [number, number], 0.08),
      ...{ grid: true, label: "percentage points more of generated cells", ticks: 6 },
    },
    marks: [
      Plot.ruleY([0], SAME),
      points(reals, drawn.map(more), style),
      furthest.map((gene) =>
        Plot.text([[gene.real, more(gene)]], {
          text: [fitText(gene.name, 110, 11)],
          ...{ fontSize: 11, stroke: COLOURS.ground, strokeWidth: 3, fill: COLOURS.ink },
          textAnchor: gene.real > 0.5 ? "end" : "start",
          dx: gene.real > 0.5 ? -6 : 6,
        }),
      ),
    ],
  });
  const worst = furthest[0];
  return drawFigure(
    {
      name: "zero-fractions",
      title: "Are genes as often absent from generated cells as from real ones?",
      description:
        `${counted(drawn.length, "gene")}; the share of cells without a count differs by ${fixed(100 * rms, 2)} percentage points (root mean square). ` +
        (worst === undefined
          ? `No gene differs by more than ${percent(FAR, 0)}.`
          : `Furthest apart is ${worst.name}: absent from ${percent(worst.real)} of the real and ${percent(worst.generated)} of the generated cells.`),
      table: {
        columns: ["gene", "real cells without a count", "generated cells without a count"],
        rows: all.map(({ name, real, generated }) => [name, real, generated]),
      },
      legend: [
        { label: "a gene", colour: COLOURS.blue, opacity: 0.7 },
        { label: "as often", colour: COLOURS.muted, shape: "dashes" },
      ],
      panels: [shares, differences],
      columns,
      note: "Below the line generated cells have the gene too often, above it too rarely.",
    },
    options,
  );
}
