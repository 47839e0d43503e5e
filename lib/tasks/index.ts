export type { TrainingOutcome } from "./begin_training.js";
export { type CompareFilesOptions, type Comparison, compareFiles } from "./compare_file.js";
export type { FileComparison } from "./compare_sources.js";
export { type EvaluateFileOptions, type Evaluation, evaluateFile } from "./evaluate_file.js";
export type { CountFileEvaluation, FileEvaluation, RankFileEvaluation } from "./score_run.js";
export { type TrainFileOptions, type Training, trainFile } from "./train_file.js";
