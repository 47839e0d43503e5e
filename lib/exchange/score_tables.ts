/** Tables of an evaluation in Markdown. */

import { isObject, type JsonObject } from "../base/json.js";
import { BASELINE_LABELS } from "../evaluation/counts/verdict.js";
import { RANK_BASELINE_LABELS } from "../evaluation/table.js";
import { escaped, tableOf } from "./markdown.js";
import { within } from "./scores_read.js";

/** Names of methods, as people know them. */
const LABELS: Readonly<Record<string, string>> = {
  ...BASELINE_LABELS,
  // Of models of counts the gene's marginal is that of its counts.
  globalMode: RANK_BASELINE_LABELS.globalMode,
  geneMode: RANK_BASELINE_LABELS.geneMode,
};

/** Methods and shares of hidden genes that a table has at most: a file may list any number. */
const MOST_ROWS = 32;
const MOST_RATIOS = 8;

/** Lines of the tables, and what they mean. */
export function scoreLines(json: JsonObject): string[] {
  return isObject(json.likelihood) ? countLines(json) : rankLines(json);
}

function countLines(json: JsonObject): string[] {
  const ratios = keysOf(json.likelihood).slice(0, MOST_RATIOS);
  const methods = methodsOf(json, "likelihood");
  const likelihood = tableOf(
    ["nats a hidden gene", ...ratios.map((ratio) => `${percent(ratio)} hidden`)],
    methods.map(([name, scores]) => [
      name,
      ...ratios.map((ratio) => interval(within(scores, "likelihood", ratio, "all"), "nats")),
    ]),
  );
  const molecular = methodsOf(json, "mcv").map(([name, scores]) => [
    name,
    interval(within(scores, "mcv", "poisson"), "value"),
    interval(within(scores, "mcv", "mse"), "value"),
  ]);
  const sentence = within(json, "verdict", "sentence");
  return [
    ...(typeof sentence === "string" ? [escaped(sentence), ""] : []),
    "Lower is better; intervals are 95% over held-out cells.",
    "",
    ...likelihood,
    ...(molecular.length === 0
      ? []
      : [
          "",
          ...tableOf(["molecular cross-validation", "Poisson deviance", "MSE of log1p(CP10k)"], molecular),
        ]),
  ];
}

function rankLines(json: JsonObject): string[] {
  const ratios = keysOf(json.ratios).slice(0, MOST_RATIOS);
  const rows = ratios.flatMap((ratio) =>
    methodsOf(json, "ratios").flatMap(([name, scores]) => {
      const found = within(scores, "ratios", ratio);
      if (!isObject(found)) return [];
      const { maskedAccuracy, crossEntropy, rankMae } = found;
      return [[percent(ratio), name, number(maskedAccuracy), number(crossEntropy), number(rankMae, 2)]];
    }),
  );
  return [
    "Means over masked ranks; these scores come without intervals.",
    "",
    ...tableOf(["masked", "predictor", "masked accuracy", "nats a masked rank", "rank error"], rows),
  ];
}

/** The model and its baselines, as far as they have the scores of this name. */
function methodsOf(json: JsonObject, scores: string): (readonly [string, unknown])[] {
  const baselines = keysOf(json.baselines).map((name): [string, unknown] => [
    label(name, isObject(json.ratios)),
    within(json.baselines, name),
  ]);
  const methods: [string, unknown][] = [["**model**", json], ...baselines];
  return methods.filter(([, found]) => within(found, scores) !== undefined).slice(0, MOST_ROWS);
}

function label(name: string, ofRanks: boolean): string {
  if (ofRanks && name === "geneMarginal") return "gene's rank distribution";
  return (Object.hasOwn(LABELS, name) ? LABELS[name] : undefined) ?? escaped(name);
}

function keysOf(value: unknown): string[] {
  return isObject(value) ? Object.keys(value) : [];
}

function percent(ratio: string): string {
  const share = Number(ratio);
  return Number.isFinite(share) ? `${Number((100 * share).toFixed(1))}%` : escaped(ratio);
}

function number(value: unknown, digits = 4): string {
  return typeof value === "number" && Number.isFinite(value) ? value.toFixed(digits) : "-";
}

/** "0.1981 (0.1938 to 0.2026)". */
function interval(value: unknown, middle: "nats" | "value"): string {
  if (!isObject(value)) return "-";
  return `${number(value[middle])} (${number(value.low)} to ${number(value.high)})`;
}
