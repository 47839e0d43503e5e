/** Checks of what figures are drawn from: results may come from JSON, or from callers without types. */
import { checkKind } from "../base/arguments.js";
import { DdscError, wrongType } from "../base/errors.js";
import type { CountEvaluation } from "../evaluation/index.js";

/** Throws `ARGUMENT_TYPE` unless it is the result of `evaluateCounts` or `evaluateFile` of a model of counts. */
export function checkCountEvaluation(evaluation: CountEvaluation): void {
  checkKind("evaluation", evaluation, "object");
  const { likelihood, baselines, verdict } = evaluation;
  if (likelihood === undefined && (evaluation as { ratios?: unknown }).ratios !== undefined) {
    throw wrongType("evaluation", "scores of ranks", "scores of a model of counts");
  }
  checkKind("evaluation.likelihood", likelihood, "object");
  checkKind("evaluation.baselines", baselines, "object");
  checkKind("evaluation.verdict", verdict, "object");
  checkKind("evaluation.verdict.sentence", verdict.sentence, "text");
}

/** The share of hidden genes that is nearest to a half, as it is written: calibration and groups are of it. */
export function halfOf({ likelihood }: Pick<CountEvaluation, "likelihood">): string {
  const ratios = Object.keys(likelihood);
  const off = (ratio: string) => Math.abs(Number(ratio) - 0.5);
  return ratios.reduce((best, ratio) => (off(ratio) < off(best) ? ratio : best), ratios[0] ?? "0.5");
}

/** Throws `ARGUMENT_TYPE` and `ARGUMENT_LENGTH` unless it is an array of `length` numbers of the kind. */
export function checkArray(
  argument: string,
  value: unknown,
  kind: "doubles" | "integers",
  length?: number,
): void {
  checkKind(argument, value, kind);
  const found = (value as Float64Array).length;
  if (length === undefined || found === length) return;
  const problem = `expected ${length} numbers for ${argument} but received ${found}`;
  throw new DdscError("ARGUMENT_LENGTH", problem, { argument });
}
