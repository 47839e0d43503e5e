export { type CompareCellsOptions, compareCells } from "./compare_cells.js";
export { renderComparison } from "./comparison_table.js";
export type {
  Agreement,
  CellComparison,
  ClassifierScores,
  ComparisonBounds,
  ComparisonScores,
  CorrelationSets,
  GroupComparison,
  MeanVarianceScores,
  MemorisationScores,
  Quartiles,
  TotalsScores,
  ZeroFractionScores,
} from "./scores.js";
