import type { Interval } from "./bootstrap.js";
import type { Calibration } from "./calibration.js";
import type { HiddenScores } from "./hidden_entries.js";
import type { OpenProblemsScores } from "./open_problems.js";

/** Nats a hidden gene and their 95% interval. */
export interface Nats {
  readonly nats: number;
  readonly low: number;
  readonly high: number;
}

/** Nats a hidden gene, pooled: the sum of -log P(count) over hidden genes, over their number. */
export interface HiddenNats {
  /** Over all hidden genes, zeros too. */
  readonly all: Nats;
  /** Over the hidden genes that are expressed; absent where none is. */
  readonly expressed?: Nats;
}

/** Nats by share of genes that are hidden, written as a number ("0.5"). */
export type LikelihoodByRatio = Readonly<Record<string, HiddenNats>>;

/** Molecular cross-validation: lower is better. */
export interface McvScores {
  /** 2 mean(x log(x / m) - x + m): x the test molecules, m what is predicted of them. */
  readonly poisson: Interval;
  /** Mean squared error of log1p(CP10k). The test molecules are themselves noisy, so this rewards not denoising. */
  readonly mse: Interval;
}

/** How a method did less how another did, on the same resamples of cells. */
export interface PairedDifferences {
  readonly likelihood?: LikelihoodByRatio;
  readonly mcv?: McvScores;
  readonly hidden?: { readonly mse: Interval };
}

/** Scores of one method; what does not apply to it is absent. */
export interface CountScores {
  readonly likelihood?: LikelihoodByRatio;
  readonly mcv?: McvScores;
  readonly hidden?: HiddenScores;
  readonly calibration?: Calibration;
  readonly openProblems?: OpenProblemsScores;
  /** What was chosen on training cells, by share hidden ("0.5") and for "mcv": such as "rank 8, weight 0.1, size times 2". */
  readonly chosen?: Readonly<Record<string, string>>;
}

/** The baselines. */
export const COUNT_BASELINES = [
  "geneMarginal",
  "negativeBinomial",
  "knn",
  "svd",
  "ridge",
  "typeMean",
  "none",
  "geneMean",
] as const;
/** One of `COUNT_BASELINES`. `none` (no denoising) and `geneMean` take part in molecular cross-validation alone. */
export type CountBaseline = (typeof COUNT_BASELINES)[number];

/** Scores of a baseline, and the model's less the baseline's. */
export interface BaselineCountScores extends CountScores {
  readonly difference: PairedDifferences;
}

/** Scores of the model and the baselines on the cells of one group. */
export interface CountGroup {
  readonly cells: number;
  /** Whether there are fewer than 20 cells: too few to conclude from. */
  readonly few: boolean;
  readonly likelihood: LikelihoodByRatio;
  readonly mcv?: McvScores;
  readonly baselines: Readonly<Partial<Record<CountBaseline, Pick<CountScores, "likelihood" | "mcv">>>>;
}

/** Whether to believe the model: against the baseline with the fewest nats over all genes, half of them hidden. */
export interface CountVerdict {
  /** The best baseline. */
  readonly best: CountBaseline;
  /** Nats a hidden gene of the model less the best baseline's, paired over cells; below 0: the model is better. */
  readonly difference: number;
  readonly low: number;
  readonly high: number;
  /** Whether the whole interval is below 0. */
  readonly beaten: boolean;
  /** The same by the Poisson deviance of molecular cross-validation, where that was asked for. */
  readonly mcv?: {
    readonly best: CountBaseline;
    readonly difference: number;
    readonly low: number;
    readonly high: number;
    readonly beaten: boolean;
  };
  /** All of it in words. */
  readonly sentence: string;
}

/** Result of `evaluateCounts`. */
export interface CountEvaluation extends CountScores {
  /** Held-out cells. */
  readonly cells: number;
  /** Genes that were measured in some of them. */
  readonly genes: number;
  readonly hiddenRatios: readonly number[];
  readonly likelihood: LikelihoodByRatio;
  /** The model when it is not told the cells' conditions. */
  readonly withoutConditions?: { readonly likelihood: LikelihoodByRatio };
  readonly baselines: Readonly<Partial<Record<CountBaseline, BaselineCountScores>>>;
  /** By label, those of most cells first; absent without groups. */
  readonly groups?: Readonly<Record<string, CountGroup>>;
  readonly verdict: CountVerdict;
}
