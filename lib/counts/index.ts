export { type ChooseQueriesInput, type CountCells, type CountRows, chooseQueries } from "../native/counts.js";
export { CountBase, type CountBaseJson } from "./count_base.js";
export { DepthStatistics } from "./depth_statistics.js";
export { type SplitCounts, thinCounts } from "./thin_counts.js";
