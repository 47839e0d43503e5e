/** Results and figures as HTML: for notebooks and pages. */
import { checkKind } from "../base/arguments.js";
import { wrongType } from "../base/errors.js";
import { printable } from "../base/printable.js";
import { comparisonCaption, comparisonSentence, comparisonTables } from "../comparison/comparison_table.js";
import type { CellComparison } from "../comparison/index.js";
import { countCaption, countTables } from "../evaluation/counts/count_table.js";
import type { CountEvaluation, EvaluationResult } from "../evaluation/index.js";
import { type ResultTable, rankGroupsTable, ratiosTable } from "../evaluation/table.js";
import { Figure, type FigureTable } from "./figure.js";
import { accuracyFigure } from "./figures/accuracy.js";
import { calibrationFigure, coverageFigure } from "./figures/calibration.js";
import { classifierFigure } from "./figures/classifier.js";
import { groupsFigure } from "./figures/groups.js";
import { likelihoodFigure } from "./figures/likelihood.js";
import { escaped } from "./markup.js";

/** What `html` shows: figures, one or several, and the results of `evaluateFile`, `evaluateCounts`, `evaluate`, `compareFiles` and `compareCells`. */
export type Shown = Figure | readonly Figure[] | CountEvaluation | EvaluationResult | CellComparison;

/** Rows of a figure's data that a page shows at most. */
const MOST_ROWS = 200;

/**
 * HTML of results: the verdict, tables and figures, for pages and notebooks, such as `tslab.display.html(html(scores))`. Figures are inline
 * SVG with their data as a table to open. Throws `ARGUMENT_TYPE`.
 */
export function html(value: Shown): string {
  checkKind("value", Array.isArray(value) ? {} : value, "object");
  if (value instanceof Figure) return figureHtml(value);
  if (isFigures(value)) return value.map(figureHtml).join("\n");
  try {
    if ("verdict" in value) return countHtml(value);
    if ("auc" in value) return comparisonHtml(value);
    if ("ratios" in value) return rankHtml(value as EvaluationResult);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  throw wrongType("value", value, "a Figure, or the result of an evaluation or a comparison");
}

function isFigures(value: Shown): value is readonly Figure[] {
  return Array.isArray(value) && value.every((each) => each instanceof Figure);
}

function countHtml(evaluation: CountEvaluation): string {
  const hasGroups = Object.keys(evaluation.groups ?? {}).length > 0;
  const figures = [
    likelihoodFigure(evaluation),
    ...((evaluation.calibration?.expressed.length ?? 0) > 0
      ? [calibrationFigure(evaluation), coverageFigure(evaluation)]
      : []),
    ...(hasGroups ? [groupsFigure(evaluation)] : []),
  ];
  return page(evaluation.verdict.sentence, countCaption(evaluation), countTables(evaluation), figures);
}

function rankHtml(evaluation: EvaluationResult): string {
  const { cells, tokens, groups } = evaluation;
  const tables = [
    ratiosTable(evaluation),
    ...(groups === undefined ? [] : [rankGroupsTable(groups, "group")]),
  ];
  return page(undefined, `${cells} held-out cells, ${tokens} tokens`, tables, [accuracyFigure(evaluation)]);
}

function comparisonHtml(comparison: CellComparison): string {
  const tables = comparisonTables(comparison);
  return page(comparisonSentence(comparison), comparisonCaption(comparison), tables, [
    classifierFigure(comparison),
  ]);
}

function page(
  sentence: string | undefined,
  caption: string,
  tables: readonly ResultTable[],
  figures: readonly Figure[],
): string {
  return [
    ...(sentence === undefined ? [] : [`<p><strong>${text(sentence)}</strong></p>`]),
    `<p>${text(caption)}</p>`,
    ...tables.map(tableHtml),
    ...figures.map(figureHtml),
  ].join("\n");
}

function tableHtml({ caption, header, rows, left, note }: ResultTable): string {
  const line = (cells: readonly string[]) =>
    `<tr>${cells.map((cell, column) => (column < left ? `<th scope="row">${text(cell)}</th>` : `<td>${text(cell)}</td>`)).join("")}</tr>`;
  return [
    "<table>",
    ...(caption === undefined ? [] : [`<caption>${text(caption)}</caption>`]),
    `<thead><tr>${header.map((cell) => `<th scope="col">${text(cell)}</th>`).join("")}</tr></thead>`,
    `<tbody>${rows.map(line).join("\n")}</tbody>`,
    "</table>",
    ...(note === undefined ? [] : [`<p>${text(note)}</p>`]),
  ].join("\n");
}

function figureHtml({ svg, table, title }: Figure): string {
  return `<figure>${svg}<figcaption><details><summary>Data: ${text(title)}</summary>${dataHtml(table)}</details></figcaption></figure>`;
}

function dataHtml({ columns, rows }: FigureTable): string {
  const shown = rows.slice(0, MOST_ROWS).map((row) => row.map(cellText));
  const more = rows.length - shown.length;
  const note = more > 0 ? { note: `${more.toLocaleString("en-US")} more rows: see the figure's table.` } : {};
  return tableHtml({ header: columns, rows: shown, left: 1, ...note });
}

function cellText(value: string | number | null): string {
  if (value === null) return "";
  return typeof value === "number" ? String(Number(value.toPrecision(6))) : value;
}

function text(value: string): string {
  return escaped(printable(value));
}
