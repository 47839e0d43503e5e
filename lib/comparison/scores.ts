import type { Interval } from "../evaluation/counts/bootstrap.js";

/** Area under the ROC curve of classifiers that tell two kinds of cells apart: 0.5 where they cannot be, 1 where they always are. */
export interface ClassifierScores {
  /** The larger of the two, not below 0.5. */
  readonly value: number;
  /** 95% interval of the larger one over cells, whose scores are kept; not below 0.5. */
  readonly low: number;
  readonly high: number;
  /** L2-regularised logistic regression, as it is: below 0.5 by chance. */
  readonly logistic: number;
  /** Random forest, as it is. */
  readonly forest: number;
}

/** How often counts are 0. */
export interface ZeroFractionScores {
  /** Share of all entries (cells times genes). */
  readonly real: number;
  readonly generated: number;
  /** Generated less real, with its 95% interval over cells of both kinds. */
  readonly difference: Interval;
  /** The shares of cells without a count of each gene: root mean square and largest of the differences, and their correlation. */
  readonly byGene: { readonly rms: number; readonly largest: number; readonly pearson: number | null };
}

/** First, second and third quartile. */
export interface Quartiles {
  readonly q1: number;
  readonly median: number;
  readonly q3: number;
}

/** Total counts of cells, over the genes compared. */
export interface TotalsScores {
  readonly real: Quartiles;
  readonly generated: Quartiles;
  /** Generated over real, less 1; null where the real quartile is 0. */
  readonly relative: { readonly [K in keyof Quartiles]: number | null };
}

/** How a quantity of genes agrees: Pearson correlation, and root mean square of the differences. */
export interface Agreement {
  readonly pearson: number | null;
  readonly rms: number | null;
}

/** Natural logs of the genes' mean counts and of their variances. */
export interface MeanVarianceScores {
  /** Genes with a mean and variance above 0 among both kinds of cells: the others are left out. */
  readonly genes: number;
  readonly mean: Agreement;
  readonly variance: Agreement;
}

/** Euclidean distances, on log1p counts, to the nearest training cell. */
export interface MemorisationScores {
  /** Median over the generated cells. */
  readonly generated: number;
  /** Median over the real cells, which are held out. */
  readonly heldOut: number;
  /** Generated over held out: 1 or more where generated cells are no nearer to the training cells than real cells are; null where that is 0. */
  readonly ratio: number | null;
  /** Its 95% interval over cells of both kinds. */
  readonly low: number | null;
  readonly high: number | null;
  /** Share of the generated cells that equal a training cell. */
  readonly copies: number;
  /** Share of the real cells that do. */
  readonly heldOutCopies: number;
}

/** Sets of as many cells as there are real ones, without a common cell, whose correlations were compared with those of the real ones. */
export interface CorrelationSets {
  readonly count: number;
  /** Standard deviation over the sets: how much of one set's value is chance; null for fewer than two. */
  readonly deviation: number | null;
}

/**
 * How some cells compare with real ones: at equal numbers, but for shares of zeros over all entries, and totals, whose expectation does
 * not hang on the number of cells.
 */
export interface ComparisonScores {
  readonly auc: ClassifierScores;
  /** Cells that zero fraction (but by gene) and totals are of: as many sets of so many cells as are compared as there are, 20 at most. */
  readonly marginalCells: { readonly real: number; readonly generated: number };
  readonly zeroFraction: ZeroFractionScores;
  readonly totals: TotalsScores;
  readonly meanVariance: MeanVarianceScores;
  /**
   * Correlation of the upper triangles of the gene-gene correlation matrices, mean over `correlationSets`; null where fewer than three genes
   * vary.
   */
  readonly correlationStructure: number | null;
  readonly correlationSets: CorrelationSets;
  /** 2 E|X - Y| - E|X - X'| - E|Y - Y'|, Euclidean on log1p counts, unbiased and so below 0 by chance; no root is taken. */
  readonly energyDistance: number;
  readonly memorisation: MemorisationScores;
}

/** What generated cells are compared beside, on the same measures. */
export interface ComparisonBounds {
  /** Real training cells in place of the generated ones. */
  readonly ceiling: ComparisonScores;
  /** Cells that are made from training cells in a simple way. */
  readonly floors: {
    /** Drawn from negative binomials of the type's mean and the gene's size at a training cell's depth. */
    readonly negativeBinomial: ComparisonScores;
    /** Training cells with each gene's counts permuted among cells of a type: marginals as they were, no correlations. */
    readonly shuffled: ComparisonScores;
  };
}

/** A comparison of the cells of one group; fewer than five cells have no scores. */
export interface GroupComparison extends Partial<ComparisonScores & ComparisonBounds> {
  /** Cells of each kind that were compared. */
  readonly cells: number;
  /** Whether these are fewer than 20: too few to conclude from. */
  readonly few: boolean;
  /** Real and generated cells of the group among those given: how often generators draw it shows here. */
  readonly real: number;
  readonly generated: number;
}

/** Result of `compareCells`. */
export interface CellComparison extends ComparisonScores, ComparisonBounds {
  /** Cells of each kind that were compared. */
  readonly cells: number;
  /** Genes that were compared: those that all cells measure. */
  readonly genes: number;
  /** What the training cells are: those given, or a random half of the real cells, with the other half compared. */
  readonly reference: "training" | "half";
  /** Their number. */
  readonly trainingCells: number;
  /** By group, those of most cells first; left out where real or generated cells have no labels. */
  readonly groups?: Readonly<Record<string, GroupComparison>>;
}
