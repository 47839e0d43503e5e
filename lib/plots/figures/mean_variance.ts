import * as Plot from "@observablehq/plot";
import { checkKind } from "../../base/arguments.js";
import { quantile } from "../../base/quantile.js";
import { checkArray } from "../checks.js";
import { drawFigure } from "../drawing.js";
import type { Figure } from "../figure.js";
import type { GeneMoments, MeanVarianceInput, PlotOptions } from "../inputs.js";
import { points } from "../marks.js";
import { counted, extent, finite, fixed, groupedBy, nothingToDraw } from "../numbers.js";
import { COLOURS } from "../palette.js";
import { plotPanel } from "../panel.js";

/** Parts of the axis of means over which medians of variances are taken, a factor of ten. */
const PARTS = 4;
/** Genes that a median needs at least. */
const LEAST_GENES = 3;

interface Gene {
  readonly mean: number;
  readonly variance: number;
}

/**
 * How much counts vary at each mean, among real and among generated cells, gene by gene, with the medians; both axes logarithmic. Genes with a
 * mean or variance of 0 are left out. Throws `PLOT_EMPTY` where none is left, `ARGUMENT_*`.
 */
export function meanVarianceFigure(input: MeanVarianceInput, options: PlotOptions = {}): Figure {
  checkKind("input", input, "object");
  checkMoments("input.real", input.real);
  checkMoments("input.generated", input.generated, input.real.means.length);
  const kinds = [
    { name: "real", colour: COLOURS.blue, moments: input.real },
    { name: "generated", colour: COLOURS.vermillion, moments: input.generated },
  ].map((kind) => {
    const genes = genesOf(kind.moments);
    return { ...kind, genes, medians: mediansOf(genes) };
  });
  const means = extent(kinds.flatMap(({ genes }) => genes.map(({ mean }) => mean)));
  const variances = extent(kinds.flatMap(({ genes }) => genes.map(({ variance }) => variance)));
  if (means === undefined || variances === undefined) {
    throw nothingToDraw("no gene has a mean and a variance above 0", "give more cells");
  }
  const poisson = [Math.max(means[0], variances[0]), Math.min(means[1], variances[1])].map((value) => [
    value,
    value,
  ]);
  const panel = plotPanel(340, (width) => ({
    marginLeft: 60,
    x: {
      type: "log",
      domain: factored(means),
      grid: true,
      label: "mean count (logarithmic)",
      ticks: Math.max(2, Math.floor(width / 110)),
      tickFormat: "~g",
    },
    y: {
      type: "log",
      domain: factored(variances),
      grid: true,
      label: "variance (logarithmic)",
      ticks: 5,
      tickFormat: "~g",
    },
    marks: [
      (poisson[0]?.[0] ?? 0) < (poisson[1]?.[0] ?? 0)
        ? Plot.line(poisson, { stroke: COLOURS.muted, strokeDasharray: "4,3", strokeWidth: 1.25 })
        : null,
      ...kinds.map(({ genes, colour }) =>
        points(
          genes.map(({ mean }) => mean),
          genes.map(({ variance }) => variance),
          { colour, radius: genes.length > 300 ? 1.25 : 2, opacity: 0.4 },
        ),
      ),
      ...kinds.flatMap(({ medians, colour }, kind) => [
        Plot.line(medians, { x: "mean", y: "variance", stroke: COLOURS.ground, strokeWidth: 5 }),
        Plot.line(medians, {
          x: "mean",
          y: "variance",
          stroke: colour,
          strokeWidth: 2.5,
          ...(kind === 1 ? { strokeDasharray: "7,3" } : {}),
        }),
      ]),
    ],
  }));
  const genes = input.real.means.length;
  return drawFigure(
    {
      name: "mean-variance",
      title: "Do generated genes vary as real ones do?",
      description: kinds
        .map(({ name, genes, medians }) => {
          const over = medians.map(
            ({ mean, variance }) =>
              `${fixed(variance / mean, 2)} at a mean of ${Number(mean.toPrecision(2))}`,
          );
          return `${counted(genes.length, "gene")} vary among ${name} cells${over.length === 0 ? "" : `; variance over mean is ${over.join(", ")}`}.`;
        })
        .join(" "),
      table: {
        columns: ["gene", "mean, real", "variance, real", "mean, generated", "variance, generated"],
        rows: Array.from({ length: genes }, (_, gene) => [
          gene + 1,
          ...[input.real, input.generated].flatMap(({ means, variances }) => [
            finite(means[gene]),
            finite(variances[gene]),
          ]),
        ]),
      },
      legend: [
        { label: "real cells: genes and medians", colour: COLOURS.blue, shape: "line" },
        { label: "generated cells", colour: COLOURS.vermillion, shape: "dashes" },
        { label: "variance = mean (Poisson)", colour: COLOURS.muted, shape: "dashes" },
      ],
      panels: [panel],
    },
    options,
  );
}

function checkMoments(argument: string, moments: GeneMoments, genes?: number): void {
  checkKind(argument, moments, "object");
  checkArray(`${argument}.means`, moments.means, "doubles", genes);
  checkArray(`${argument}.variances`, moments.variances, "doubles", moments.means.length);
}

function genesOf({ means, variances }: GeneMoments): Gene[] {
  return Array.from(means, (mean, gene) => ({ mean, variance: variances[gene] as number })).filter(
    ({ mean, variance }) => Number.isFinite(mean) && Number.isFinite(variance) && mean > 0 && variance > 0,
  );
}

/** Medians of the variances of genes of about the same mean. */
function mediansOf(genes: readonly Gene[]): Gene[] {
  const parts = groupedBy(genes, ({ mean }) => Math.floor(PARTS * Math.log10(mean)));
  return [...parts]
    .filter(([, some]) => some.length >= LEAST_GENES)
    .map(([, some]) => ({
      mean: median(some.map(({ mean }) => mean)),
      variance: median(some.map(({ variance }) => variance)),
    }))
    .sort((a, b) => a.mean - b.mean);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return quantile(sorted.length, (place) => sorted[place] as number, 0.5);
}

/** A range with room at both ends of a logarithmic axis. */
function factored([low, high]: readonly [number, number]): [number, number] {
  const room = Math.max(1.1, (high / low) ** 0.04);
  return [low / room, high * room];
}
