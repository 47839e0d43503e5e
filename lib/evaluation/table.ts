import { BASELINE_KINDS, type BaselineKind } from "./baselines.js";
import type { EvaluationResult } from "./evaluate.js";
import type { EvaluationScores } from "./scores.js";

const BASELINE_NAMES: Readonly<Record<BaselineKind, string>> = {
  globalMode: "most frequent rank",
  geneMode: "gene's most frequent rank",
  geneMarginal: "gene's rank distribution",
};

const HEADER = ["masked", "predictor", "masked accuracy", "accuracy", "nats / masked token", "rank error"];

/** One text table of an evaluation: the model and the baselines at each mask ratio, for people. */
export function renderTable(result: EvaluationResult): string {
  const rows = Object.entries(result.ratios).flatMap(([ratio, scores]) => [
    [ratio, "model", ...cellsOf(scores)],
    ...BASELINE_KINDS.flatMap((kind) => {
      const baseline = result.baselines[kind]?.ratios[ratio];
      return baseline === undefined ? [] : [["", BASELINE_NAMES[kind], ...cellsOf(baseline)]];
    }),
  ]);
  const widths = HEADER.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((text, column) =>
        column < 2 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd();
  return [line(HEADER), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

function cellsOf({ maskedAccuracy, accuracy, crossEntropy, rankMae }: EvaluationScores): string[] {
  return [
    maskedAccuracy.toFixed(4),
    accuracy.toFixed(4),
    crossEntropy === undefined ? "-" : crossEntropy.toFixed(4),
    rankMae.toFixed(2),
  ];
}
