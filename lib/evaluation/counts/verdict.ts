import type { Interval } from "./bootstrap.js";
import type { CountBaseline, CountVerdict } from "./scores.js";

/** Names for sentences and tables. */
export const BASELINE_LABELS: Readonly<Record<CountBaseline, string>> = {
  geneMarginal: "gene marginal",
  negativeBinomial: "negative binomial at depth",
  knn: "kNN smoothing",
  svd: "truncated SVD",
  ridge: "ridge on components",
  typeMean: "type mean",
  none: "no denoising",
  geneMean: "gene mean",
};

/** The best baseline by one measure, and the model's value less its value. */
export interface Rivalry {
  readonly best: CountBaseline;
  readonly difference: Interval;
}

/** What the comparisons say, in fields and in one sentence that does not claim more than the intervals allow. */
export function verdictOf(
  ratio: string,
  likelihood: Rivalry,
  mcv?: Rivalry,
): CountVerdict {
  const rival = BASELINE_LABELS[likelihood.best];
  const { value, low, high } = likelihood.difference;
  const by = `${signed(value)} nats a hidden gene (95% ${signed(low)} to ${signed(high)})`;
  const hidden = `${Number((100 * Number(ratio)).toFixed(1))}% of the genes hidden`;
  const first = {
    better: `With ${hidden} the model beats the best baseline, ${rival}, by ${by}`,
    worse: `With ${hidden} the model does not beat the best baseline, ${rival}: it is worse by ${by}`,
    even: `With ${hidden} the model does not beat the best baseline, ${rival}: no difference can be told, ${by}`,
  }[outcome(likelihood.difference)];
  return {
    best: likelihood.best,
    difference: value,
    low,
    high,
    beaten: outcome(likelihood.difference) === "better",
    ...(mcv === undefined
      ? {}
      : {
          mcv: {
            best: mcv.best,
            difference: mcv.difference.value,
            low: mcv.difference.low,
            high: mcv.difference.high,
            beaten: outcome(mcv.difference) === "better",
          },
        }),
    sentence: `${first}${mcv === undefined ? "" : `; ${mcvClause(mcv)}`}.`,
  };
}

function mcvClause({ best, difference }: Rivalry): string {
  const rival = BASELINE_LABELS[best];
  const by = `${signed(difference.value)} of Poisson deviance a gene (95% ${signed(difference.low)} to ${signed(difference.high)})`;
  return {
    better: `by molecular cross-validation it beats the best there, ${rival}, by ${by}`,
    worse: `by molecular cross-validation ${rival} is better, the model's difference being ${by}`,
    even: `by molecular cross-validation it cannot be told from the best there, ${rival}: ${by}`,
  }[outcome(difference)];
}

function outcome({ low, high }: Interval): "better" | "worse" | "even" {
  if (high < 0) return "better";
  return low > 0 ? "worse" : "even";
}

/** With a sign and digits that tell it from 0. */
function signed(value: number): string {
  const digits = Math.abs(value) >= 0.1 ? 3 : 5;
  return `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(digits)}`;
}
