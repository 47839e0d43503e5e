import type { MetricsLine } from "../../training/metrics_lines.js";
import type { Part } from "../report_data.js";
import { evenly } from "./sizes.js";

/** Points of a curve that are kept, at most. */
const MOST_POINTS = 600;

/**
 * Evenly chosen lines of metrics and validations, the last ones always: what undone steps left is dropped first (a later
 * line of a step that was there before begins anew).
 */
export function thinCurves(metrics: Part<readonly MetricsLine[]>): Part<readonly MetricsLine[]> {
  if ("missing" in metrics) return metrics;
  const lines: MetricsLine[] = [];
  for (const line of metrics.made) {
    // A validation has a line of its own with the step that it follows.
    while (lines.length > 0 && isUndone(lines.at(-1), line)) lines.pop();
    lines.push(line);
  }
  const validations = lines.filter(({ validation }) => validation !== null);
  const kept = new Set([...evenly(lines, MOST_POINTS), ...evenly(validations, MOST_POINTS)]);
  return { made: lines.filter((line) => kept.has(line)) };
}

function isUndone(before: MetricsLine | undefined, line: MetricsLine): boolean {
  if (before === undefined) return false;
  return before.step > line.step || (before.step === line.step && line.loss !== null);
}
