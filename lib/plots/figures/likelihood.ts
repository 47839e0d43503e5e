import { BASELINE_LABELS } from "../../evaluation/counts/verdict.js";
import { COUNT_BASELINES, type CountEvaluation, type Nats } from "../../evaluation/index.js";
import { checkCountEvaluation } from "../checks.js";
import { drawFigure, type Panel, widthOf } from "../drawing.js";
import type { Figure } from "../figure.js";
import type { PlotOptions } from "../inputs.js";
import { finite, intervalText, nothingToDraw, percentOf } from "../numbers.js";
import { COLOURS } from "../palette.js";
import { type DrawnEstimate, type EstimateRow, rowsDomain, rowsPanel } from "../rows.js";

interface Method {
  readonly label: string;
  readonly nats: DrawnEstimate;
  /** The method's nats less the model's, on the same cells. */
  readonly more?: DrawnEstimate;
}

/** Pixels from which two panels stand side by side. */
const WIDE = 520;

/**
 * Nats a hidden gene of the model and of every baseline at each share of hidden genes, and how many more a baseline needs than the
 * model, on the same cells; 95% intervals. Throws `PLOT_EMPTY`, `ARGUMENT_*`.
 */
export function likelihoodFigure(evaluation: CountEvaluation, options: PlotOptions = {}): Figure {
  checkCountEvaluation(evaluation);
  const ratios = Object.keys(evaluation.likelihood);
  const all = ratios.map((ratio) => ({ ratio, methods: methodsAt(evaluation, ratio) }));
  const drawn = all.filter(({ methods }) => methods.length > 0);
  if (drawn.length === 0) {
    throw nothingToDraw("the evaluation has no likelihoods", "evaluate a model of counts");
  }
  const width = widthOf(options);
  const columns = width >= WIDE ? 2 : 1;
  const natsRows = drawn.map(({ methods }) =>
    methods.map(({ label, nats }) => ({ label, estimates: [nats] })),
  );
  const moreRows = drawn.map(({ methods }) =>
    methods.map(({ label, more }): EstimateRow => ({ label, estimates: more === undefined ? [] : [more] })),
  );
  const natsDomain = rowsDomain(natsRows.flat());
  const moreDomain = rowsDomain(moreRows.flat(), 0);
  const panels = drawn.flatMap(({ ratio }, i): Panel[] => {
    const hidden = `${percentOf(ratio)} of the genes hidden`;
    return [
      rowsPanel({
        rows: natsRows[i] as EstimateRow[],
        title: hidden,
        xLabel: "nats a hidden gene",
        ...(natsDomain === undefined ? {} : { domain: natsDomain }),
      }),
      rowsPanel({
        rows: (moreRows[i] as EstimateRow[]).filter(({ estimates }) => columns === 2 || estimates.length > 0),
        title: columns === 2 ? "more than the model" : `${hidden}: more than the model`,
        xLabel: "nats more than the model",
        reference: 0,
        hasLabels: columns === 1,
        ...(moreDomain === undefined ? {} : { domain: moreDomain }),
      }),
    ];
  });
  const sentence = evaluation.verdict.sentence;
  return drawFigure(
    {
      name: "likelihood",
      title: "How surprised is the model by hidden counts, and how surprised are simple methods?",
      description: `${sentence} ${drawn.map(({ ratio, methods }) => ratioText(ratio, methods)).join(" ")}`,
      table: {
        columns: [
          "genes hidden",
          "method",
          ...["nats a hidden gene", "95% from", "to"],
          ...["more than the model", "95% from", "to"],
        ],
        rows: drawn.flatMap(({ ratio, methods }) =>
          methods.map(({ label, nats, more }) => [
            percentOf(ratio),
            label,
            ...[nats.value, nats.low, nats.high],
            ...[more?.value ?? null, more?.low ?? null, more?.high ?? null],
          ]),
        ),
      },
      legend: [
        { label: "model", colour: COLOURS.blue, shape: "dot" },
        { label: "baselines", colour: COLOURS.grey, shape: "dot" },
      ],
      panels,
      columns,
      note: "Fewer nats are better. Bars are 95% intervals over cells. Differences are of the same cells, and so surer than the distance of the dots.",
    },
    options,
  );
}

function methodsAt({ likelihood, withoutConditions, baselines }: CountEvaluation, ratio: string): Method[] {
  const estimate = (nats: Nats | undefined, colour: string, isRing = false): DrawnEstimate | undefined => {
    const value = finite(nats?.nats);
    return value === null
      ? undefined
      : { value, low: finite(nats?.low), high: finite(nats?.high), colour, isRing };
  };
  const methods: Method[] = [];
  const own = estimate(likelihood[ratio]?.all, COLOURS.blue);
  if (own !== undefined) methods.push({ label: "model", nats: own });
  const untold = estimate(withoutConditions?.likelihood[ratio]?.all, COLOURS.blue, true);
  if (untold !== undefined) methods.push({ label: "model without conditions", nats: untold });
  const others = COUNT_BASELINES.flatMap((name): Method[] => {
    const scores = baselines[name];
    const nats = estimate(scores?.likelihood?.[ratio]?.all, COLOURS.grey);
    if (nats === undefined) return [];
    // The scores have the model less the baseline.
    const less = estimate(scores?.difference?.likelihood?.[ratio]?.all, COLOURS.grey);
    const negative = (value: number | null) => (value === null ? null : -value);
    const more = less && { ...less, value: -less.value, low: negative(less.high), high: negative(less.low) };
    return [{ label: BASELINE_LABELS[name], nats, ...(more === undefined ? {} : { more }) }];
  });
  return [...methods, ...others.sort((a, b) => a.nats.value - b.nats.value)];
}

function ratioText(ratio: string, methods: readonly Method[]): string {
  const texts = methods.map(
    ({ label, nats }) => `${label} ${intervalText(nats.value, nats.low, nats.high, 4)}`,
  );
  return `Nats with ${percentOf(ratio)} hidden: ${texts.join(", ")}.`;
}
