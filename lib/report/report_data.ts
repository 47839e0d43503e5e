import type { CellComparison } from "../comparison/index.js";
import type { CountEvaluation, EvaluationResult } from "../evaluation/index.js";
import type { MetricsLine } from "../training/metrics_lines.js";

/** What a report has of one subject; where it could not be made, why. Names out of files are already `clip`ped. */
export type Part<T> = { readonly made: T } | { readonly missing: string };

/** What was found of the model on cells that it was not trained on. */
export interface CountScoresPart {
  readonly kind: "counts";
  readonly evaluation: CountEvaluation;
  /** Training cells that baselines were fitted on. */
  readonly trainingCells: number;
}

/** The same of a model of ranks. */
export interface RankScoresPart {
  readonly kind: "ranks";
  readonly evaluation: EvaluationResult;
}

/** How well one gene is predicted where half of the genes are hidden. */
export interface GeneScore {
  readonly gene: string;
  /** Nats a hidden count of the gene, of the model and of the gene's marginal over training cells. */
  readonly model: number;
  readonly baseline: number;
  /** Hidden counts of the gene above 0. */
  readonly expressed: number;
}

/** Numbers by gene. */
export interface GeneColumns {
  readonly means: readonly number[];
  readonly variances: readonly number[];
  /** Share of the cells without a count. */
  readonly zeros: readonly number[];
}

/** Real and generated cells side by side. */
export interface GeneratedPart {
  readonly comparison: CellComparison;
  /** Total counts of each cell, over the genes that both measure. */
  readonly totals: { readonly real: readonly number[]; readonly generated: readonly number[] };
  /** Names of the genes whose numbers follow: all that are compared, or evenly chosen ones by mean. */
  readonly genes: readonly string[];
  /** Genes that are compared. */
  readonly allGenes: number;
  readonly real: GeneColumns;
  readonly generated: GeneColumns;
  /** Correlations of log1p counts of the genes of most counts, [genes x genes], row-major. */
  readonly correlations: {
    readonly genes: readonly string[];
    readonly real: readonly number[];
    readonly generated: readonly number[];
  };
  /** Seconds that drawing the cells took. */
  readonly seconds: number;
}

/** Real and generated cells in the plane. */
export interface MapPart {
  /** [cells x 2], row-major. */
  readonly points: readonly number[];
  /** 1: generated; 0: real, [cells]. */
  readonly isGenerated: readonly (0 | 1)[];
  /** Types, [cells]; left out where there are none. */
  readonly labels?: readonly string[];
}

/** One cell whose genes are filled in step by step. */
export interface FillingPart {
  readonly title: string;
  readonly kind: "counts" | "ranks";
  readonly genes: readonly string[];
  readonly steps: number;
  /** Step, 1..steps, in which each gene was revealed; 0: known from the start, [genes]. */
  readonly revealedAt: readonly number[];
  readonly values: readonly number[];
  /** The cell's own values; left out where there is no such cell. */
  readonly truth?: readonly number[];
}

/** A few facts under a heading. */
export interface FactGroup {
  readonly title: string;
  readonly facts: readonly (readonly [string, string])[];
}

/** All that a report shows; plain JSON. */
export interface ReportData {
  /** What the run is called. */
  readonly name: string;
  readonly kind: "counts" | "ranks";
  /** When it was made, ISO 8601. */
  readonly made: string;
  /** Whether the model beats the best simple baseline, in words. */
  readonly verdict: string;
  /** The same for programs; left out where it is not known. */
  readonly beaten?: boolean;
  /** Which cells it is about. */
  readonly cells: string;
  /** Column of metadata that tells the cells' types; left out where none does. */
  readonly by?: string;
  readonly curves: Part<readonly MetricsLine[]>;
  readonly scores: Part<CountScoresPart | RankScoresPart>;
  readonly genes: Part<readonly GeneScore[]>;
  readonly generated: Part<GeneratedPart>;
  readonly map: Part<MapPart>;
  readonly filling: Part<FillingPart>;
  readonly generation: Part<FillingPart>;
  readonly facts: readonly FactGroup[];
  /** Commands that make the run and the report again; with a remark where one cannot be told. */
  readonly commands: readonly string[];
  /** What a reader should know. */
  readonly notes: readonly string[];
}
