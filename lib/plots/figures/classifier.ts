import { checkKind } from "../../base/arguments.js";
import type { CellComparison, ClassifierScores } from "../../comparison/index.js";
import { drawFigure } from "../drawing.js";
import type { Figure } from "../figure.js";
import type { PlotOptions } from "../inputs.js";
import { counted, finite, intervalText, nothingToDraw } from "../numbers.js";
import { COLOURS } from "../palette.js";
import { rowsPanel } from "../rows.js";

/**
 * Whether a classifier can tell generated cells from real ones: the area under its ROC curve, beside other real cells (nothing can do
 * better) and simple generators (what a model should beat); 95% intervals. Throws `PLOT_EMPTY`, `ARGUMENT_*`.
 */
export function classifierFigure(comparison: CellComparison, options: PlotOptions = {}): Figure {
  checkKind("comparison", comparison, "object");
  checkKind("comparison.ceiling", comparison.ceiling, "object");
  checkKind("comparison.floors", comparison.floors, "object");
  const { ceiling, floors } = comparison;
  const rows = [
    rowOf("other real cells", ceiling.auc, COLOURS.green),
    rowOf("generated cells", comparison.auc, COLOURS.blue),
    rowOf("negative binomial of the type", floors.negativeBinomial?.auc, COLOURS.grey),
    rowOf("real, genes shuffled", floors.shuffled?.auc, COLOURS.grey),
  ].flat();
  if (rows.length === 0)
    throw nothingToDraw("the comparison has no AUC", "compare generated cells with real ones");
  const own = rows.find(({ label }) => label === "generated cells");
  const real = rows.find(({ label }) => label === "other real cells");
  const isTold = own?.low != null && real?.high != null && own.low > real.high;
  const panel = rowsPanel({
    rows: rows.map(({ label, ...estimate }) => ({ label, estimates: [estimate] })),
    xLabel: "AUC: 0.5 cannot be told, 1 always is",
    domain: [0.48, 1.01],
    reference: 0.5,
    rowHeight: 30,
  });
  return drawFigure(
    {
      name: "classifier",
      title: "Can a classifier tell generated cells from real ones?",
      description:
        `${isTold ? "Yes, more surely than it tells other real cells apart" : "Not more surely than it tells other real cells apart"}. AUC of ` +
        `${rows.map(({ label, value, low, high }) => `${label} ${intervalText(value, low, high, 3)}`).join(", ")}; 0.5 is chance.`,
      table: {
        columns: [
          "real cells against",
          "AUC, larger of two",
          "95% from",
          "to",
          "logistic regression",
          "random forest",
        ],
        rows: rows.map(({ label, value, low, high, logistic, forest }) => [
          label,
          value,
          low,
          high,
          logistic,
          forest,
        ]),
      },
      panels: [panel],
      note: `${counted(comparison.cells, "cell")} of each kind, ${counted(comparison.genes, "gene")}. Other real cells are what a perfect generator would be; the two below are simple generators. Bars are 95% intervals.`,
    },
    options,
  );
}

function rowOf(label: string, auc: ClassifierScores | undefined, colour: string) {
  const value = finite(auc?.value);
  if (value === null) return [];
  return [
    {
      ...{ label, colour, value },
      low: finite(auc?.low),
      high: finite(auc?.high),
      logistic: finite(auc?.logistic),
      forest: finite(auc?.forest),
    },
  ];
}
