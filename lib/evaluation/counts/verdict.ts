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
export function verdictOf(ratio: string, likelihood: Rivalry, mcv?: Rivalry): CountVerdict {
  const rival = BASELINE_LABELS[likelihood.best];
  const { difference } = likelihood;
  const by = amount(difference, "nats a hidden gene");
  const hidden = `With ${Number((100 * Number(ratio)).toFixed(1))}% of the genes hidden the model`;
  const first = {
    better: `${hidden} beats the best baseline, ${rival}, by ${by}`,
    worse: `${hidden} does not beat the best baseline, ${rival}: it is worse by ${by}`,
    even: `${hidden} does not beat the best baseline, ${rival}: the difference of ${by} may be none`,
  }[outcome(difference)];
  return {
    best: likelihood.best,
    difference: difference.value,
    low: difference.low,
    high: difference.high,
    beaten: outcome(difference) === "better",
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
  const by = amount(difference, "of Poisson deviance a gene");
  return {
    better: `in molecular cross-validation it beats the best one, ${rival}, by ${by}`,
    worse: `in molecular cross-validation it does not beat the best one, ${rival}: it is worse by ${by}`,
    even: `in molecular cross-validation it does not beat the best one, ${rival}: the difference of ${by} may be none`,
  }[outcome(difference)];
}

/** "0.0047 nats a hidden gene (95% 0.0041 to 0.0054)": without signs where the whole interval has one sign. */
function amount(difference: Interval, unit: string): string {
  const sign = outcome(difference) === "better" ? -1 : 1;
  const ends = [sign * difference.low, sign * difference.high].sort((a, b) => a - b);
  const text = (value: number) => value.toFixed(Math.abs(difference.value) >= 0.1 ? 3 : 5);
  return `${text(sign * difference.value)} ${unit} (95% ${text(ends[0] as number)} to ${text(ends[1] as number)})`;
}

/** Lower is better. */
function outcome({ low, high }: Interval): "better" | "worse" | "even" {
  if (high < 0) return "better";
  return low > 0 ? "worse" : "even";
}
