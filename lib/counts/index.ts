export {
  type ChooseQueriesInput,
  type CountCells,
  type CountRows,
  chooseQueries,
  type SummaryPool,
} from "../native/counts.js";
export {
  CellSummary,
  type CellSummaryJson,
  type LearnSummaryOptions,
  SUMMARY_WIDTH,
} from "./cell_summary.js";
export { CountBase, type CountBaseJson } from "./count_base.js";
export { DepthStatistics } from "./depth_statistics.js";
export { type SplitCounts, thinCounts } from "./thin_counts.js";
