export type { CountModel, SourceCells } from "../../counts/ask_model.js";
export type { Interval } from "./bootstrap.js";
export type { Calibration, ExpressedBin, PitScores, PitStratum } from "./calibration.js";
export { type CountBase as GeneStatistics, type CountCells, countCellsOf } from "./count_cells.js";
export type { EvaluateCountsOptions } from "./count_options.js";
export { renderCountTable } from "./count_table.js";
export { evaluateCounts } from "./evaluate_counts.js";
export type { HiddenScores } from "./hidden_entries.js";
export { type HiddenGenes, hideGenes, type MaskedCells } from "./masked_cells.js";
export { ModelPredictor, type ModelPredictorOptions } from "./model_predictor.js";
export type { OpenProblemsScores } from "./open_problems.js";
export type { CountDenoiser, CountPredictor, QueryPredictions } from "./predictor.js";
export {
  type BaselineCountScores,
  COUNT_BASELINES,
  type CountBaseline,
  type CountEvaluation,
  type CountGroup,
  type CountScores,
  type CountVerdict,
  type HiddenNats,
  type LikelihoodByRatio,
  type McvScores,
  type Nats,
  type PairedDifferences,
} from "./scores.js";
