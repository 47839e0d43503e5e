import { checkKind } from "../../base/arguments.js";
import { DdscError } from "../../base/errors.js";
import { FEW_NOTE, intervalText, numberText } from "../number_texts.js";
import { type ResultTable, resultText } from "../table.js";
import type { Interval } from "./bootstrap.js";
import {
  COUNT_BASELINES,
  type CountBaseline,
  type CountEvaluation,
  type CountGroup,
  type CountScores,
  type Nats,
} from "./scores.js";
import { BASELINE_LABELS } from "./verdict.js";

/**
 * An evaluation of a count model for people: one table of the model and the baselines with 95% intervals, calibration, groups where
 * there are some, and the verdict.
 *
 * Throws `ARGUMENT_TYPE`, `EVALUATION_EMPTY`.
 *
 * @param by names what groups are by
 */
export function renderCountTable(result: CountEvaluation, by = "group"): string {
  const tables = countTables(result, by);
  return [countCaption(result), ...tables.map(resultText), result.verdict.sentence].join("\n\n");
}

/** What was scored, and how the tables of it are read. */
export function countCaption({ cells, genes }: CountEvaluation): string {
  return `${cells} held-out cells, ${genes} genes; intervals are 95% over cells; lower is better but for correlations`;
}

/** The tables of `renderCountTable`. */
export function countTables(result: CountEvaluation, by = "group"): ResultTable[] {
  checkResult(result);
  checkKind("by", by, "text");
  const texts = Object.keys(result.likelihood);
  const half = texts.reduce((best, text) =>
    Math.abs(Number(text) - 0.5) < Math.abs(Number(best) - 0.5) ? text : best,
  );
  const methods: [string, CountScores][] = [["model", result]];
  if (result.withoutConditions !== undefined) {
    methods.push(["model without conditions", result.withoutConditions]);
  }
  for (const name of COUNT_BASELINES) {
    const scores = result.baselines[name];
    if (scores !== undefined) methods.push([BASELINE_LABELS[name], scores]);
  }
  return [
    likelihoodTable(texts, methods),
    ...otherTable(methods, half),
    ...calibrationTable(result, half),
    ...(result.groups === undefined ? [] : [groupTable(result.groups, by, half)]),
  ];
}

function likelihoodTable(texts: readonly string[], methods: readonly [string, CountScores][]): ResultTable {
  const header = ["nats a hidden gene", ...texts.flatMap((text) => [`${text} hidden`, "expressed"])];
  const rows = methods
    .filter(([, { likelihood }]) => likelihood !== undefined)
    .map(([name, { likelihood }]) => [
      name,
      ...texts.flatMap((text) => [
        nats(likelihood?.[text]?.all),
        numberText(likelihood?.[text]?.expressed?.nats, 3),
      ]),
    ]);
  return { header, rows, left: 1 };
}

function otherTable(methods: readonly [string, CountScores][], half: string): ResultTable[] {
  const published = methods.some(([, { openProblems }]) => openProblems !== undefined);
  const header = [
    "molecules and entries",
    "MCV Poisson",
    "MCV MSE *",
    `${half} hidden MSE`,
    "Pearson",
    "Spearman",
    ...(published ? ["OP MSE", "OP Poisson"] : []),
  ];
  const rows = methods
    .filter(([, { mcv, hidden }]) => mcv !== undefined || hidden !== undefined)
    .map(([name, { mcv, hidden, openProblems }]) => [
      name,
      interval(mcv?.poisson, 4),
      interval(mcv?.mse, 3),
      interval(hidden?.mse, 3),
      numberText(hidden?.pearson?.value, 3),
      numberText(hidden?.spearman?.value, 3),
      ...(published ? [numberText(openProblems?.mse, 4), numberText(openProblems?.poisson, 4)] : []),
    ]);
  if (rows.length === 0) return [];
  const note = "* of log1p(CP10k): test molecules are noisy themselves, so this rewards not denoising";
  return [{ header, rows, left: 1, note }];
}

function calibrationTable({ calibration }: CountScores, half: string): ResultTable[] {
  if (calibration === undefined) return [];
  const strata = calibration.strata.map(({ from, to, queries, inside }) => [
    to === null ? `${from} and more` : `${from} to ${to}`,
    String(queries),
    `${(100 * inside.value).toFixed(1)}% (${(100 * inside.low).toFixed(1)}-${(100 * inside.high).toFixed(1)})`,
  ]);
  const expressed = calibration.expressed.map(({ predicted, observed }) => [
    predicted.toFixed(3),
    intervalText(observed, 3),
  ]);
  // Side by side: both are short and narrow.
  const rows = Array.from({ length: Math.max(strata.length, expressed.length) }, (_, i) => [
    ...(strata[i] ?? ["", "", ""]),
    ...(expressed[i] ?? ["", ""]),
  ]);
  const header = ["expected count", "hidden genes", "PIT in 0.05-0.95 (90%)", "P(expressed)", "expressed"];
  return [{ caption: `calibration of the model, ${half} hidden`, header, rows, left: 1 }];
}

function groupTable(groups: Readonly<Record<string, CountGroup>>, by: string, half: string): ResultTable {
  const header = [
    by,
    "cells",
    `model, ${half} hidden`,
    "best baseline",
    "",
    "MCV Poisson",
    "best baseline",
    "",
  ];
  const rows = Object.entries(groups).map(([label, group]) => {
    const likely = bestOf(group, (scores) => scores.likelihood?.[half]?.all.nats);
    const molecular = bestOf(group, (scores) => scores.mcv?.poisson.value);
    return [
      label,
      `${group.cells}${group.few ? " !" : ""}`,
      nats(group.likelihood[half]?.all),
      nats(likely?.scores.likelihood?.[half]?.all),
      likely === undefined ? "-" : BASELINE_LABELS[likely.name],
      interval(group.mcv?.poisson, 4),
      interval(molecular?.scores.mcv?.poisson, 4),
      molecular === undefined ? "-" : BASELINE_LABELS[molecular.name],
    ];
  });
  const few = Object.values(groups).some((group) => group.few);
  return {
    header,
    rows,
    left: 1,
    ...(few ? { note: FEW_NOTE } : {}),
  };
}

type GroupBaseline = Pick<CountScores, "likelihood" | "mcv">;

function bestOf(
  { baselines }: CountGroup,
  measure: (scores: GroupBaseline) => number | undefined,
): { name: CountBaseline; scores: GroupBaseline } | undefined {
  let best: { name: CountBaseline; scores: GroupBaseline; value: number } | undefined;
  for (const name of COUNT_BASELINES) {
    const scores = baselines[name];
    const value = scores === undefined ? undefined : measure(scores);
    if (scores === undefined || value === undefined) continue;
    if (best === undefined || value < best.value) best = { name, scores, value };
  }
  return best;
}

function nats(value: Nats | undefined): string {
  return interval(value && { ...value, value: value.nats }, 4);
}

function interval(value: Interval | undefined, digits: number): string {
  return value === undefined ? "-" : intervalText(value, digits);
}

function checkResult(result: CountEvaluation): void {
  checkKind("result", result, "object");
  const { likelihood, baselines, verdict, calibration } = result;
  checkKind("result.likelihood", likelihood, "object");
  checkKind("result.baselines", baselines, "object");
  checkKind("result.verdict", verdict, "object");
  checkKind("result.verdict.sentence", verdict.sentence, "text");
  for (const name of ["mcv", "hidden", "openProblems", "withoutConditions", "groups"] as const) {
    if (result[name] !== undefined) checkKind(`result.${name}`, result[name], "object");
  }
  if (Object.keys(likelihood).length === 0) {
    throw new DdscError("EVALUATION_EMPTY", "result.likelihood names no share of hidden genes", {
      argument: "result",
    });
  }
  if (calibration === undefined) return;
  checkKind("result.calibration", calibration, "object");
  checkKind("result.calibration.strata", calibration.strata, "list");
  checkKind("result.calibration.expressed", calibration.expressed, "list");
}
