import { DdscError } from "../base/errors.js";
import { takeTurn } from "../base/turns.js";
import type { Figure } from "../plots/figure.js";
import type { FillingInput } from "../plots/inputs.js";
import { clip } from "./collect/texts.js";
import type { FillingPart, Part, ReportData } from "./report_data.js";

/** Names of the figures of a report, in the order of the page; so are their files called. */
export const FIGURE_NAMES = [
  "learning-curves",
  "learning-rate",
  "likelihood",
  "accuracy",
  "calibration",
  "coverage",
  "groups",
  "genes",
  "classifier",
  "totals",
  "zero-fractions",
  "mean-variance",
  "gene-correlations",
  "cell-map",
  "filling",
  "generation",
] as const;
/** One of them. */
export type FigureName = (typeof FIGURE_NAMES)[number];

/** A figure for wide screens and paper, and one for narrow screens. */
export interface DrawnFigure {
  readonly wide: Figure;
  readonly narrow: Figure;
}

/** A figure that changes step by step; frame n is after n steps. */
export interface Animation {
  readonly wide: readonly Figure[];
  readonly narrow: readonly Figure[];
}

/** The figures of a report. */
export interface ReportFigures {
  readonly figures: ReadonlyMap<FigureName, Part<DrawnFigure>>;
  readonly animations: ReadonlyMap<FigureName, Animation>;
}

/** Widths of figures, pixels. */
const WIDE = 800;
const NARROW = 340;

/** Draws what a report shows; what is missing has no figure. Loads the library that draws. */
export async function reportFigures(data: ReportData, signal?: AbortSignal): Promise<ReportFigures> {
  const { figures: plots } = await import("../plots/index.js");
  const figures = new Map<FigureName, Part<DrawnFigure>>();
  const animations = new Map<FigureName, Animation>();
  const add = async <T>(name: FigureName, part: Part<T>, draw: (made: T, width: number) => Figure) => {
    await takeTurn(signal);
    if ("missing" in part) {
      figures.set(name, part);
      return;
    }
    try {
      figures.set(name, { made: { wide: draw(part.made, WIDE), narrow: draw(part.made, NARROW) } });
    } catch (error) {
      // Such as a figure of nothing: the page says so in its place.
      if (!(error instanceof DdscError) || error.code === "INTERNAL") throw error;
      figures.set(name, { missing: clip(error.message) });
    }
  };
  const { scores, generated, map } = data;
  const runs = after(data.curves, (lines) => [{ name: data.name, lines }]);
  await add("learning-curves", runs, (made, width) => plots.learningCurves(made, { width }));
  await add("learning-rate", runs, (made, width) => plots.learningRate(made, { width }));
  if ("made" in scores && scores.made.kind === "ranks") {
    const { evaluation } = scores.made;
    await add("accuracy", { made: evaluation }, (made, width) => plots.accuracy(made, { width }));
  } else {
    const counts = after(scores, (made) => (made.kind === "counts" ? made.evaluation : undefined));
    if ("made" in counts && counts.made !== undefined) {
      const evaluation = { made: counts.made };
      await add("likelihood", evaluation, (made, width) => plots.likelihood(made, { width }));
      await add("calibration", evaluation, (made, width) => plots.calibration(made, { width }));
      await add("coverage", evaluation, (made, width) => plots.coverage(made, { width }));
      if (counts.made.groups !== undefined)
        await add("groups", evaluation, (made, width) => plots.groups(made, { width }));
    }
  }
  await add("genes", data.genes, (rows, width) => plots.genes(rows, { width }));
  await add("classifier", generated, ({ comparison }, width) => plots.classifier(comparison, { width }));
  await add("totals", generated, ({ totals }, width) =>
    plots.totals({ real: floats(totals.real), generated: floats(totals.generated) }, { width }),
  );
  await add("zero-fractions", generated, ({ real, generated: drawn, genes }, width) =>
    plots.zeroFractions({ real: floats(real.zeros), generated: floats(drawn.zeros), genes }, { width }),
  );
  await add("mean-variance", generated, ({ real, generated: drawn }, width) =>
    plots.meanVariance(
      {
        real: { means: floats(real.means), variances: floats(real.variances) },
        generated: { means: floats(drawn.means), variances: floats(drawn.variances) },
      },
      { width },
    ),
  );
  await add("gene-correlations", generated, ({ correlations: { genes, real, generated: drawn } }, width) =>
    plots.geneCorrelations({ genes, real: floats(real), generated: floats(drawn) }, { width }),
  );
  await add("cell-map", map, ({ points, isGenerated, labels }, width) =>
    plots.cellMap(
      {
        points: floats(points),
        isGenerated: Uint8Array.from(isGenerated),
        ...(labels === undefined ? {} : { labels }),
        method: "UMAP",
      },
      { width },
    ),
  );
  for (const [name, part] of [
    ["filling", data.filling],
    ["generation", data.generation],
  ] as const) {
    await add(name, part, (made, width) => plots.filling(fillingInput(made), { width }));
    const drawn = figures.get(name);
    if ("missing" in part || drawn === undefined || "missing" in drawn) continue;
    const input = fillingInput(part.made);
    const frames = async (width: number) => {
      const all: Figure[] = [];
      for (let step = 0; step <= input.steps; step++) {
        all.push(plots.filling(input, { width, step }));
        await takeTurn(signal);
      }
      return all;
    };
    animations.set(name, { wide: await frames(WIDE), narrow: await frames(NARROW) });
  }
  return { figures, animations };
}

/** A part with something else made of it. */
function after<T, R>(part: Part<T>, make: (made: T) => R): Part<R> {
  return "made" in part ? { made: make(part.made) } : part;
}

function floats(values: readonly number[]): Float64Array {
  return Float64Array.from(values);
}

function fillingInput({ revealedAt, values, truth, ...rest }: FillingPart): FillingInput {
  return {
    ...rest,
    revealedAt: Int32Array.from(revealedAt),
    values: Int32Array.from(values),
    ...(truth === undefined ? {} : { truth: Int32Array.from(truth) }),
  };
}
