import { join } from "node:path";
import { renderComparison } from "../comparison/comparison_table.js";
import { renderCountTable } from "../evaluation/counts/count_table.js";
import { renderTable } from "../evaluation/table.js";
import { NOTEBOOK_DISPLAY } from "../plots/figure.js";
import { METRICS_FILE } from "../training/metrics.js";
import { readMetrics } from "../training/metrics_lines.js";
import type { FileComparison } from "./compare_sources.js";
import type { FileEvaluation } from "./score_run.js";

/** What a notebook shows, by media type. */
type Representations = Readonly<Record<string, string>>;

/**
 * Gives a result what notebooks show of it (Deno's kernel asks for it): tables and figures as HTML, drawn when they are asked for. It is not
 * enumerable, so that JSON, copies and comparisons of results are what they were.
 */
export function withDisplay<Result extends FileEvaluation | FileComparison>(result: Result): Result {
  return shownBy(result, async () => {
    const { html } = await import("../plots/html.js");
    return { "text/html": html(result), "text/plain": resultAsText(result) };
  });
}

/** Gives the outcome of a training what notebooks show of it: the run's learning curve. */
export function withCurve<Result extends { readonly out: string }>(result: Result): Result {
  return shownBy(result, async () => {
    const { html, figures } = await import("../plots/index.js");
    const { lines } = await readMetrics(join(result.out, METRICS_FILE));
    const figure = figures.learningCurves([{ name: result.out, lines }]);
    return { "text/html": html(figure), "text/plain": `${figure.title}\n${figure.description}` };
  });
}

function shownBy<Result extends object>(result: Result, value: () => Promise<Representations>): Result {
  return Object.defineProperty(result, NOTEBOOK_DISPLAY, { value });
}

function resultAsText(result: FileEvaluation | FileComparison): string {
  if (!("kind" in result)) return renderComparison(result);
  return result.kind === "counts" ? renderCountTable(result) : renderTable(result);
}
