export type { BaselineScores } from "./baseline_totals.js";
export { BASELINE_KINDS, type BaselineKind, type BaselinePrediction, RankBaselines } from "./baselines.js";
export * from "./counts/index.js";
export { DEFAULT_RATIOS } from "./defaults.js";
export { type EvaluateOptions, type EvaluationResult, evaluate } from "./evaluate.js";
export type { GroupScores } from "./groups.js";
export type { EvaluationScores } from "./scores.js";
export { renderGroups, renderTable } from "./table.js";
