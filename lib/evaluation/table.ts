import { checkKind } from "../base/arguments.js";
import { tableLines } from "../base/text_table.js";
import { BASELINE_KINDS, type BaselineKind } from "./baselines.js";
import type { EvaluationResult } from "./evaluate.js";
import type { GroupScores } from "./groups.js";
import type { EvaluationScores } from "./scores.js";

/** Names of the baselines of ranks, as people know them. */
export const RANK_BASELINE_LABELS: Readonly<Record<BaselineKind, string>> = {
  globalMode: "most frequent rank",
  geneMode: "gene's most frequent rank",
  geneMarginal: "gene's rank distribution",
};

const HEADER = ["masked", "predictor", "masked accuracy", "accuracy", "nats / masked token", "rank error"];

/** A table for people, before it becomes text or a page. */
export interface ResultTable {
  /** What it shows; it stands above it. */
  readonly caption?: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Columns of words, from the left; the others are numbers. */
  readonly left: number;
  /** What a reader should know of it. */
  readonly note?: string;
}

/** A table as text, with its caption and its note. */
export function resultText({ caption, header, rows, left, note }: ResultTable): string {
  return [
    ...(caption === undefined ? [] : [caption]),
    ...tableLines([header, ...rows], left),
    ...(note === undefined ? [] : [note]),
  ].join("\n");
}

/** One text table of an evaluation: the model and the baselines at each mask ratio, for people. */
export function renderTable(result: EvaluationResult): string {
  return resultText(ratiosTable(result));
}

/** The table of `renderTable`. */
export function ratiosTable(result: EvaluationResult): ResultTable {
  checkResult(result);
  const rows = Object.entries(result.ratios).flatMap(([ratio, scores]) => [
    [ratio, "model", ...cellsOf(scores)],
    ...BASELINE_KINDS.flatMap((kind) => {
      const baseline = result.baselines[kind]?.ratios[ratio];
      return baseline === undefined ? [] : [["", RANK_BASELINE_LABELS[kind], ...cellsOf(baseline)]];
    }),
  ]);
  return { header: HEADER, rows, left: 2 };
}

/** One text table of the scores by group; `by` names what groups are by. */
export function renderGroups(groups: Readonly<Record<string, GroupScores>>, by: string): string {
  return resultText(rankGroupsTable(groups, by));
}

/** The table of `renderGroups`. */
export function rankGroupsTable(groups: Readonly<Record<string, GroupScores>>, by: string): ResultTable {
  checkKind("groups", groups, "object");
  for (const [label, scores] of Object.entries(groups)) {
    checkKind(`groups.${label}`, scores, "object");
    checkKind(`groups.${label}.ratios`, scores.ratios, "object");
  }
  checkKind("by", by, "text");
  const header = [by, "cells", ...HEADER.filter((_, column) => column !== 1)];
  const rows = Object.entries(groups).flatMap(([group, { cells, ratios }]) =>
    Object.entries(ratios).map(([ratio, scores], i) => [
      i === 0 ? group : "",
      i === 0 ? String(cells) : "",
      ratio,
      ...cellsOf(scores),
    ]),
  );
  return { header, rows, left: 1 };
}

function cellsOf({ maskedAccuracy, accuracy, crossEntropy, rankMae }: EvaluationScores): string[] {
  return [
    maskedAccuracy.toFixed(4),
    accuracy.toFixed(4),
    crossEntropy === undefined ? "-" : crossEntropy.toFixed(4),
    rankMae.toFixed(2),
  ];
}

function checkResult(result: EvaluationResult): void {
  checkKind("result", result, "object");
  checkKind("result.ratios", result.ratios, "object");
  checkKind("result.baselines", result.baselines, "object");
}
