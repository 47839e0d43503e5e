import { checkKind } from "../../base/arguments.js";
import { BASELINE_LABELS } from "../../evaluation/counts/verdict.js";
import { COUNT_BASELINES, type CountEvaluation, type CountGroup, type Nats } from "../../evaluation/index.js";
import { FEW_NOTE } from "../../evaluation/number_texts.js";
import { checkCountEvaluation, halfOf } from "../checks.js";
import { drawFigure } from "../drawing.js";
import type { Figure } from "../figure.js";
import type { PlotOptions } from "../inputs.js";
import { counted, finite, fixed, nothingToDraw, percentOf } from "../numbers.js";
import { COLOURS } from "../palette.js";
import { type DrawnEstimate, rowsPanel } from "../rows.js";
import { nameText } from "../text.js";

/** Groups that are drawn at most; the table has all. */
const MOST_GROUPS = 60;

interface Row {
  readonly label: string;
  readonly cells: number;
  readonly few: boolean;
  readonly model: DrawnEstimate;
  readonly best?: { readonly name: string; readonly nats: DrawnEstimate };
}

/**
 * Nats a hidden gene by group, such as by type: of the model and of the baseline that is best there, half of the genes hidden; 95%
 * intervals. Groups with most cells come first. Throws `PLOT_EMPTY` without groups, `ARGUMENT_*`.
 */
export function groupsFigure(evaluation: CountEvaluation, options: PlotOptions = {}): Figure {
  checkCountEvaluation(evaluation);
  const half = halfOf(evaluation);
  const rows = Object.entries(evaluation.groups ?? {}).flatMap(([label, group]) => rowOf(label, group, half));
  if (rows.length === 0) {
    throw nothingToDraw(
      "the evaluation has no groups",
      "evaluate by a column of metadata, such as the cells' types",
    );
  }
  const drawn = rows.slice(0, MOST_GROUPS);
  const better = rows.filter(({ model, best }) => best !== undefined && model.value < best.nats.value);
  const compared = rows.filter(({ best }) => best !== undefined);
  const panel = rowsPanel({
    rows: drawn.map(({ label, cells, few, model, best }) => ({
      label: `${label} (${cells.toLocaleString("en-US")}${few ? " !" : ""})`,
      estimates: [model, ...(best === undefined ? [] : [best.nats])],
    })),
    xLabel: "nats a hidden gene",
    rowHeight: drawn.length > 20 ? 22 : 27,
  });
  const notes = [
    `In brackets how many cells; ${percentOf(half)} of the genes hidden. Fewer nats are better, but types of more counts need more.`,
    ...(drawn.some(({ few }) => few) ? [`${FEW_NOTE}.`] : []),
    ...(drawn.length < rows.length
      ? [`${counted(rows.length - drawn.length, "more group")} with fewer cells: see the table.`]
      : []),
  ];
  return drawFigure(
    {
      name: "groups",
      title: "Which types of cells does the model know well?",
      description:
        `${counted(rows.length, "group")}; in ${better.length} of ${compared.length} the model needs fewer nats than the baseline that is best there. ` +
        `${drawn.map(({ label, model, best }) => `${label}: model ${fixed(model.value, 4)}${best === undefined ? "" : `, ${best.name} ${fixed(best.nats.value, 4)}`}`).join("; ")}.`,
      table: {
        columns: [
          "group",
          "cells",
          "model (nats a hidden gene)",
          "95% from",
          "to",
          "best baseline",
          "its nats",
          "95% from",
          "to",
        ],
        rows: rows.map(({ label, cells, model, best }) => [
          ...[label, cells, model.value, model.low, model.high],
          ...[best?.name ?? null, best?.nats.value ?? null, best?.nats.low ?? null, best?.nats.high ?? null],
        ]),
      },
      legend: [
        { label: "model", colour: COLOURS.blue },
        { label: "best baseline of the type", colour: COLOURS.vermillion, shape: "ring" },
      ],
      panels: [panel],
      note: notes.join(" "),
    },
    options,
  );
}

function rowOf(name: string, group: CountGroup, half: string): Row[] {
  checkKind(`evaluation.groups.${nameText(name)}`, group, "object");
  const model = estimate(group.likelihood?.[half]?.all, COLOURS.blue, false);
  if (model === undefined) return [];
  let best: { name: string; nats: DrawnEstimate } | undefined;
  for (const baseline of COUNT_BASELINES) {
    const nats = estimate(group.baselines?.[baseline]?.likelihood?.[half]?.all, COLOURS.vermillion, true);
    if (nats !== undefined && (best === undefined || nats.value < best.nats.value)) {
      best = { name: BASELINE_LABELS[baseline], nats };
    }
  }
  const common = { label: nameText(name), cells: group.cells, few: group.few, model };
  return [best === undefined ? common : { ...common, best }];
}

function estimate(nats: Nats | undefined, colour: string, isRing: boolean): DrawnEstimate | undefined {
  const value = finite(nats?.nats);
  return value === null
    ? undefined
    : { value, low: finite(nats?.low), high: finite(nats?.high), colour, isRing };
}
